"""What the tests of monitors share."""

from small_models import lots, networks_once, own_cache, saved, saved_lots, world
from small_patches import plate_model, plates, saved_plates

__all__ = [
    "lots",
    "networks_once",
    "own_cache",
    "plate_model",
    "plates",
    "saved",
    "saved_lots",
    "saved_plates",
    "world",
]
