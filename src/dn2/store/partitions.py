"""What the workers of a cluster keep for each other: Parquet files, one for each part of the items.

Many machines write into one folder, where SQLite would have to lock across a network: here each part is a file of its
own, written beside its place and then put there.  Values lie in it by key, as in a `Cache`."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from dn2.extras import import_pyarrow
from dn2.store.sealed import seal, unseal

logger = logging.getLogger("dn2")

FOLDER = "partitions"
ENDING = ".parquet"
PRUNED_AT = 64  # one of so many partitions that are written looks whether the folder has become too large
LOW_WATER = 0.9  # of the bytes allowed, to which the folder is brought down then


class Keeper(Protocol):
    """What keeps bytes by key."""

    def get(self, key: bytes, /) -> bytes | None:
        """Return the value kept under a key, None where there is none."""

    def put(self, entries: Mapping[bytes, bytes], /) -> None:
        """Keep values."""


class Partition:
    """The values of one part, by key; read at the first look, written by `save`.

    folder : of all partitions; name : of this one; max_bytes : of the folder, beyond which the longest unused ones go.

    As a cache it only saves time: what is damaged is made anew, and what cannot be written is not kept, with a word."""

    def __init__(self, folder: Path, name: str, max_bytes: int) -> None:
        self.path = folder / f"{name}{ENDING}"
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: dict[bytes, bytes] | None = None
        self._new: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the value kept under a key, None where there is none."""
        with self._lock:
            if self._kept is None:
                self._kept = self._read()
            sealed = self._kept.get(key)
        return None if sealed is None else unseal(key, sealed)

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep values."""
        with self._lock:
            self._new.update(entries)

    def save(self) -> None:
        """Write what is new, together with what was there."""
        if not self._new:
            return
        pyarrow, kept = import_pyarrow(), self._kept or {}
        entries = kept | {key: seal(key, value) for key, value in self._new.items()}
        table = pyarrow.table({"key": list(entries), "value": list(entries.values())})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as file:
                pyarrow.parquet.write_table(table, file, compression="none")
            os.replace(file.name, self.path)
            if zlib.crc32(self.path.name.encode()) % PRUNED_AT == 0:
                prune(self.path.parent, self._max_bytes)
        except OSError as error:
            logger.warning("embeddings are not kept in %s: %s", self.path, error)

    def _read(self) -> dict[bytes, bytes]:
        if not self.path.exists():
            return {}
        pyarrow = import_pyarrow()
        try:
            columns = pyarrow.parquet.read_table(self.path, columns=["key", "value"]).to_pydict()
            with contextlib.suppress(OSError):
                os.utime(self.path)  # which tells that it is used
            return dict(zip(columns["key"], columns["value"], strict=True))
        except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            logger.warning("the partition %s is damaged (%s) and is made anew", self.path, reason)
            return {}


def name_of(part: Iterable[str]) -> str:
    """Name a partition by what its values are made of."""
    return hashlib.sha256("\n".join(part).encode("utf-8", "surrogatepass")).hexdigest()


def drop(folder: Path, ranges: Sequence[tuple[bytes, bytes]]) -> None:
    """Remove the partitions in which a key lies in one of some ranges; what else they hold is made anew."""
    for path in folder.glob(f"*{ENDING}") if folder.is_dir() else ():
        pyarrow = import_pyarrow()
        try:
            keys = pyarrow.parquet.read_table(path, columns=["key"])["key"].to_pylist()
        except (pyarrow.ArrowException, OSError, KeyError):
            keys = [low for low, _ in ranges]  # a damaged one is made anew as well
        if any(low <= key <= high for low, high in ranges for key in keys):
            path.unlink(missing_ok=True)


def prune(folder: Path, max_bytes: int) -> None:
    """Remove the partitions that were unused the longest, until a folder has no more bytes than it may."""
    files = []
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError):  # which another worker removed
            files.append((entry.stat().st_mtime, entry.stat().st_size, entry.path))
    total = sum(size for _, size, _ in files)
    if total <= max_bytes:
        return
    for _, size, path in sorted(files):
        with contextlib.suppress(OSError):
            os.remove(path)
        total -= size
        if total <= LOW_WATER * max_bytes:
            return
