"""Arrays of plain numbers in a .npz file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dn2.arrays import Array
from dn2.inputs.npz_files import NpzFile
from dn2.system.bounds import parsing

SUFFIX = ".npz"


def load_arrays(path: Path, example: str, only: Callable[[str], bool]) -> tuple[dict[str, Array], list[str]]:
    """Read arrays of a file by name.

    Parameters
    ----------
    path : Path
    example : str
        How such a file is written, for the error.
    only : callable
        Tells, by its name, whether an array is read.

    Returns
    -------
    dict of str to ndarray
        The arrays that were read.
    list of str
        The names of all.

    Raises
    ------
    InputError
        For a file that is damaged or holds objects."""
    problem = f"is damaged, or no {SUFFIX} file of plain numbers; write it with numpy.savez(path, {example})"
    with parsing(path, problem), open(path, "rb") as file:
        arrays = NpzFile(path, file)
        return arrays.read([name for name in arrays if only(name)]), list(arrays)
