"""Patches of pictures: a bank of normal ones, and how far those of a picture are from it, place by place."""
