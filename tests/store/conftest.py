"""What the tests of saved bytes share."""

from small_models import folder, own_cache, saved, small_shards, world

__all__ = ["folder", "own_cache", "saved", "small_shards", "world"]
