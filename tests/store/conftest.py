"""What the tests of saved bytes share."""

from small_models import folder, networks_once, own_cache, saved, small_shards, world

__all__ = ["folder", "networks_once", "own_cache", "saved", "small_shards", "world"]
