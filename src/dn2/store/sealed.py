"""Keys of what is kept by content, and values with a checksum."""

from __future__ import annotations

import hashlib
import zlib

HALF = 16  # bytes of a key that tell the content


def key_of(content: str, recipe: str) -> bytes:
    """Return the key of what a recipe makes of a content: its first half tells the content alone, so that all that is
    kept of it can be found.

    content : a text, such as the SHA-256 of a file."""
    halves = (hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HALF) for text in (content, recipe))
    return b"".join(half.digest() for half in halves)


def key_range(content: str) -> tuple[bytes, bytes]:
    """Return the least and the largest key that a content can have."""
    half = key_of(content, "")[:HALF]
    return half + bytes(HALF), half + b"\xff" * HALF


def seal(key: bytes, value: bytes) -> bytes:
    """Append a checksum, which SQLite lacks: a flipped bit must not become an embedding."""
    return value + zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "big")


def unseal(key: bytes, sealed_value: bytes) -> bytes | None:
    """Return a value without its checksum; None where it does not fit."""
    value = sealed_value[:-4]
    return value if seal(key, value) == sealed_value else None
