"""Arrays of a .npz file, none of which is an object."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dn2.bounds import parsing
from dn2.inputs.npz_files import Array, NpzFile

SUFFIX = ".npz"


def load_arrays(path: Path, example: str, only: Callable[[str], bool]) -> tuple[dict[str, Array], list[str]]:
    """Read arrays of a file by name.

    example : how such a file is written, for the error.  only : which of them, by their names.
    Returns them, and the names of all.  Raises InputError for a file that is none."""
    problem = f"is damaged, or no {SUFFIX} file of plain numbers; write it with numpy.savez(path, {example})"
    with parsing(path, problem), open(path, "rb") as file:
        arrays = NpzFile(path, file)
        return arrays.read([name for name in arrays if only(name)]), list(arrays)
