"""What the tests of patches share."""

from small_patches import plate_model, plates, saved_plates

__all__ = ["plate_model", "plates", "saved_plates"]
