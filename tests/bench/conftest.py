"""What the tests of the bench share."""

from small_models import own_cache

__all__ = ["own_cache"]
