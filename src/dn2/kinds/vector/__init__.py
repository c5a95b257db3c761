"""Vectors as they come: embeddings made elsewhere."""
