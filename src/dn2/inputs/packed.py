"""Bytes of files as programs export them: packed by gzip, or not."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO

from dn2.errors import InputError
from dn2.system.bounds import reading
from dn2.system.stores import LocalPath

GZIP = b"\x1f\x8b"  # what such a file begins with, and no text does
MOST_UNPACKED, MOST_TIMES = 1 << 28, 100  # bytes: so many, or so many times those of the packed file


@contextlib.contextmanager
def open_bytes(path: LocalPath) -> Iterator[IO[bytes]]:
    """Open a file, which is unpacked while it is read if it begins as gzip, whatever its name.

    Its `fileno` is that of the packed file.
    Raises InputError if it cannot be read; where it is read, for a packed file that is cut off, damaged or a bomb."""
    with reading(path), open(path, "rb") as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        if not packed:
            yield file
            return
        with io.BufferedReader(_Unpacked(path, file), 1 << 17) as unpacked:
            yield unpacked


class _Unpacked(io.RawIOBase):
    """The bytes that a gzip file packs, up to a limit."""

    def __init__(self, path: LocalPath, packed: BinaryIO) -> None:
        self._path, self._packed = path, packed
        self._file = gzip.GzipFile(fileobj=packed, mode="rb")
        self._limit = max(MOST_UNPACKED, MOST_TIMES * os.stat(path).st_size)
        self._count = 0

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._packed.fileno()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            count = self._file.readinto(buffer)
        except EOFError as error:
            raise InputError(f"{self._path} is cut off: its packed content does not end; copy it again") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{self._path} is damaged: it cannot be unpacked ({error}); copy it again") from error
        self._count += count
        if self._count > self._limit:
            raise InputError(
                f"{self._path} unpacks to more than {self._limit:,} bytes, {MOST_TIMES} times its size and more; if it "
                "is meant to, unpack it first"
            )
        return count
