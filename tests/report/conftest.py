"""What the tests of pages share."""

from small_models import lots, networks_once, own_cache, saved, saved_lots, saved_unsorted, unsorted, world

__all__ = ["lots", "networks_once", "own_cache", "saved", "saved_lots", "saved_unsorted", "unsorted", "world"]
