"""What kind of items inputs name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np

from dn2.embed.images import SUFFIXES
from dn2.errors import InputError
from dn2.inputs.frames import is_frame
from dn2.inputs.tables import TABLE_SUFFIXES
from dn2.inputs.texts import PLAIN_SUFFIXES, TEXT_SUFFIXES, TEXTS_LOOKED_AT, is_column_of_texts
from dn2.inputs.vectors import VECTOR_SUFFIXES, has_vectors
from dn2.kinds.images import Images
from dn2.kinds.kind import Kind
from dn2.kinds.series import Series
from dn2.kinds.tables import Tables
from dn2.kinds.texts import Texts
from dn2.kinds.vectors import Vectors

KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (Images, Series, Tables, Texts, Vectors)}
SUFFIXES_BY_KIND = {
    Images.name: SUFFIXES,
    Series.name: TABLE_SUFFIXES,
    Tables.name: TABLE_SUFFIXES,
    Texts.name: TEXT_SUFFIXES,
    Vectors.name: VECTOR_SUFFIXES | {".parquet"},
}


def suffixes_of(kind: str | None) -> frozenset[str]:
    """Return the endings of the files that hold items of a kind, or of any kind."""
    return frozenset().union(*SUFFIXES_BY_KIND.values()) if kind is None else SUFFIXES_BY_KIND[kind]


def guess_kind(inputs: Any) -> str:
    """Guess the kind of items: by what holds them in memory, or by the endings of files; a folder with any image in it
    holds images.

    Raises InputError for inputs of several kinds, and for a Parquet file that cannot be read."""
    if is_column_of_texts(inputs) and not _names_files(inputs):
        return Texts.name
    if isinstance(inputs, np.ndarray):
        return Vectors.name
    if is_frame(inputs):
        return Tables.name
    several = [inputs] if isinstance(inputs, (str, os.PathLike)) or not isinstance(inputs, Iterable) else list(inputs)
    kinds = sorted({_of_path(os.fspath(one)) for one in several if isinstance(one, (str, os.PathLike))})
    if len(kinds) > 1:
        raise InputError(f"the inputs look like items of several kinds, {' and '.join(kinds)}; give those of one kind")
    return kinds[0] if kinds else Images.name


def _of_path(path: str) -> str:
    if path.startswith("@") and not os.path.exists(path):  # a list of paths, which says nothing of their kind
        return Images.name
    if not os.path.isdir(path):
        return _of_file(path)
    found = set()
    for folder, _, names in os.walk(path):
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in SUFFIXES:
                return Images.name
            if suffix in TABLE_SUFFIXES | VECTOR_SUFFIXES | PLAIN_SUFFIXES:
                found.add(_of_file(os.path.join(folder, name)))
    others = found - {Texts.name} or found  # a note beside tables is none of them
    return others.pop() if len(others) == 1 else Images.name


def _of_file(path: str) -> str:
    suffix = os.path.splitext(path)[1].lower()
    if suffix in VECTOR_SUFFIXES or (suffix == ".parquet" and os.path.isfile(path) and has_vectors(path)):
        return Vectors.name
    if suffix in PLAIN_SUFFIXES:
        return Texts.name
    return Tables.name if suffix in TABLE_SUFFIXES else Images.name


def _names_files(column: Any) -> bool:
    """Tell whether the first texts of a column in memory end as names of files do."""
    known = SUFFIXES | TABLE_SUFFIXES | VECTOR_SUFFIXES | PLAIN_SUFFIXES
    first = [one for one in islice(column, TEXTS_LOOKED_AT) if isinstance(one, str)]
    return all(os.path.splitext(one)[1].lower() in known for one in first)
