"""Watching over time: a stream of items, whether it has changed."""
