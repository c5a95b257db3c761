"""Bytes on disk: the cache, saved models, results."""
