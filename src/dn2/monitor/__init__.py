"""Watching over time: a stream of items, whether it has changed; a folder, what arrives in it."""
