"""Pixels or tokens to vectors."""
