"""What the tests share: real pictures, encoders, a network, a clock."""

from real_pictures import crops, digits, encode, files, has_bf16, lite0, needs_bf16, photos, promptly

__all__ = ["crops", "digits", "encode", "files", "has_bf16", "lite0", "needs_bf16", "photos", "promptly"]
