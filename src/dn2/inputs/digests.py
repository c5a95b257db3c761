"""Digests of files: whether the bytes are still those that were read."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dn2.system.bounds import reading


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.  Raises InputError if it cannot be read."""
    with reading(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
