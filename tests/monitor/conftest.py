"""What the tests of monitors share."""

from small_models import networks_once
from small_patches import plate_model, plates, saved_plates

__all__ = ["networks_once", "plate_model", "plates", "saved_plates"]
