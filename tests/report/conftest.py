"""What the tests of pages share."""

from small_models import lots, own_cache, saved_lots, world

__all__ = ["lots", "own_cache", "saved_lots", "world"]
