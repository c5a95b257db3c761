"""Arrays in numpy's files, whose headers are checked before any numbers are read."""

from __future__ import annotations

import io
import logging
import math
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from dn2.arrays import Array
from dn2.inputs.names import list_few
from dn2.system.bounds import check_fits
from dn2.system.stores import LocalPath

logger = logging.getLogger("dn2")


ENDING = ".npy"
LONGEST_HEADER = 10_000  # as numpy reads them
AT_ONCE = 1 << 20
EXPANSION = 1_100  # the largest ratio of unpacked to packed bytes that deflate reaches


@dataclass(frozen=True)
class Header:
    """The header of an array.

    by_columns : whether its numbers are in Fortran's order; offset : where they begin, in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool
    offset: int

    @property
    def n_bytes(self) -> int:
        """The size of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes], size: int) -> Header:
    """Read the header of an array in a file of `size` bytes.

    Raises ValueError unless it is the header of plain numbers or texts, all of which the file can hold."""
    start = io.BytesIO(file.read(LONGEST_HEADER + 100))
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(start)
        shape, by_columns, dtype = readers[version](start, max_header_size=LONGEST_HEADER)
    except Exception as error:  # whatever parsing a literal of Python raises
        raise ValueError(f"its header cannot be read: {error}") from error
    header = Header(shape, dtype, by_columns, start.tell())
    if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None or not dtype.itemsize:
        raise ValueError(f"it must hold numbers or texts, got {dtype!s:.80}")
    if not all(0 <= length < 2**63 for length in shape) or header.offset + header.n_bytes > size:
        raise ValueError(f"it has {size - header.offset:,} bytes for numbers, and its header says {shape} of {dtype}")
    return header


class NpzFile:
    """An .npz file, whose arrays are read one by one; other members are passed over with a warning."""

    def __init__(self, path: LocalPath, file: IO[bytes]) -> None:
        """Read the list of members.  Raises ValueError for a damaged file."""
        self._path, self._size = path, os.fstat(file.fileno()).st_size
        self._archive = zipfile.ZipFile(file)
        members = self._archive.infolist()
        self._members = {
            member.filename.removesuffix(ENDING): member for member in members if member.filename.endswith(ENDING)
        }
        other_names = [member.filename for member in members if not member.filename.endswith(ENDING)]
        if len(self._members) + len(other_names) < len(members):
            raise ValueError("two of its arrays have one name")
        if other_names:
            logger.warning("%s: passed over, as their names do not end in %s: %s", path, ENDING, list_few(other_names))

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def header(self, name: str) -> Header:
        """Read the header of an array.  Raises ValueError."""
        with self._open(name) as file:
            return read_header(file, self._members[name].file_size)

    def read(self, names: Iterable[str]) -> dict[str, Array]:
        """Read arrays by name.  Raises ValueError, and InputError if they take more memory than is free."""
        headers = {name: self.header(name) for name in names}
        check_fits(sum(header.n_bytes for header in headers.values()), f"{self._path}, unpacked,")
        return {name: self._read(name, header) for name, header in headers.items()}

    def _read(self, name: str, header: Header) -> Array:
        with self._open(name) as file:
            file.read(header.offset)
            data = bytearray(header.n_bytes)
            view, done = memoryview(data), 0
            while done < len(data) and (part := file.read(AT_ONCE)):
                view[done : done + len(part)] = part[: len(data) - done]
                done += len(part)
            if done != len(data) or file.read(1):  # reading to the end also checks the checksum
                raise ValueError(f"{name!r} is not as long as it says")
        array = np.frombuffer(data, header.dtype) if data else np.empty(0, header.dtype)
        return array.reshape(header.shape, order="F" if header.by_columns else "C")

    def _open(self, name: str) -> IO[bytes]:
        member = self._members[name]
        if member.flag_bits & 1:
            raise ValueError(f"{name!r} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name!r} is packed in a way that numpy does not write")
        if member.compress_size > self._size or member.file_size > EXPANSION * (member.compress_size + 1):
            raise ValueError(f"{name!r} is not as long as it says")
        return self._archive.open(member)
