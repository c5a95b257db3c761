"""What the tests of kinds share."""

from small_models import own_cache, world

__all__ = ["own_cache", "world"]
