"""Many arrays that are kept while a run lasts: the first in memory, the others in a temporary file."""

from __future__ import annotations

import mmap
import tempfile

import numpy as np

from dn2.arrays import Array

MOST_IN_MEMORY = 1 << 28  # bytes
FILE_BYTES = 1 << 26


class KeptArrays:
    """Keeps arrays, so that the memory that they take does not grow with their number.

    Beyond `MOST_IN_MEMORY` they are read from a file when they are used.  The file has no name, and is gone with the
    last of its arrays."""

    def __init__(self) -> None:
        self._in_memory = 0
        self._file: mmap.mmap | None = None
        self._used = 0

    def keep(self, array: Array) -> Array:
        """Return the same array, perhaps as a file has it; the array itself where no file can be written."""
        if array.nbytes > FILE_BYTES or self._in_memory + array.nbytes <= MOST_IN_MEMORY:
            self._in_memory += array.nbytes
            return array
        try:
            return self._written(array)
        except OSError:  # such as a full disk
            return array

    def _written(self, array: Array) -> Array:
        if self._file is None or self._used + array.nbytes > FILE_BYTES:
            with tempfile.TemporaryFile(prefix="dn2-maps-") as file:
                file.write(bytes(FILE_BYTES))  # so that a full disk is told here
                file.flush()
                self._file, self._used = mmap.mmap(file.fileno(), FILE_BYTES), 0
        written = np.ndarray(array.shape, array.dtype, self._file, self._used)
        written[...] = array
        self._used += -(-array.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
        return written
