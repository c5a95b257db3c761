"""Vectors to scores: arrays in, arrays out; nothing here knows a file or a picture."""
