"""Digests of files: whether the bytes are still those that were read."""

from __future__ import annotations

import hashlib

from dn2.system.bounds import reading
from dn2.system.stores import LocalPath


def sha256_of(path: LocalPath) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.  Raises InputError if it cannot be read."""
    with reading(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
