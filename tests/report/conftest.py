"""What the tests of pages share."""

from small_models import lots, own_cache, saved, saved_lots, saved_unsorted, unsorted, world

__all__ = ["lots", "own_cache", "saved", "saved_lots", "saved_unsorted", "unsorted", "world"]
