"""A model: fitted, scoring, saved and loaded."""
