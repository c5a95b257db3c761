"""What kind of items inputs name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from dn2.inputs.frames import is_frame
from dn2.inputs.tables import TABLE_SUFFIXES
from dn2.inputs.vectors import VECTOR_SUFFIXES, has_vectors
from dn2.kinds.images import Images
from dn2.kinds.kind import Kind
from dn2.kinds.tables import Tables
from dn2.kinds.vectors import Vectors

KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (Images, Tables, Vectors)}


def guess_kind(inputs: Any) -> str:
    """Guess the kind of items: by what holds them in memory, or by the endings of files; folders hold images.

    Raises InputError for a Parquet file that cannot be read."""
    if isinstance(inputs, np.ndarray):
        return Vectors.name
    if is_frame(inputs):
        return Tables.name
    several = [inputs] if isinstance(inputs, (str, os.PathLike)) or not isinstance(inputs, Iterable) else list(inputs)
    kinds = {_of_file(one) for one in several if isinstance(one, (str, os.PathLike))}
    return kinds.pop() if len(kinds) == 1 else Images.name


def _of_file(path: str | os.PathLike[str]) -> str:
    suffix = os.path.splitext(path)[1].lower()
    if suffix in VECTOR_SUFFIXES or (suffix == ".parquet" and os.path.isfile(path) and has_vectors(path)):
        return Vectors.name
    return Tables.name if suffix in TABLE_SUFFIXES else Images.name
