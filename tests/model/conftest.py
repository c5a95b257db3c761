"""What the tests of models share."""

from small_models import networks_once

__all__ = ["networks_once"]
