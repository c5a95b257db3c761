"""Pictures, and groups of pictures."""
