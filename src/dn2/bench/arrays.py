"""Arrays of a .npz file, none of which is an object."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from dn2.errors import InputError

SUFFIX = ".npz"


def load_arrays(path: Path, example: str, only: Collection[str] | None = None) -> dict[str, np.ndarray[Any, Any]]:
    """Read the arrays of a file by name, all or only some.

    example : how such a file is written, for the error.  Raises InputError for a file that is none."""
    try:
        # numpy leaves a damaged file open where it opened it itself.
        with open(path, "rb") as file, np.load(file) as arrays:
            found = {name: arrays[name] for name in arrays if only is None or name in only}
        if not all(isinstance(one, np.ndarray) for one in found.values()):
            raise TypeError("a member that is no array comes as bytes")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, TypeError, RuntimeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} is damaged, or no {SUFFIX} file of plain numbers; write it with numpy.savez(path, {example})"
        ) from error
    return found
