"""What kind of items inputs name."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from dn2.embed.images import SUFFIXES
from dn2.errors import InputError
from dn2.inputs.files import expand, is_list
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

logger = logging.getLogger("dn2")

KNOWN_SUFFIXES = SUFFIXES | TABLE_SUFFIXES | VECTOR_SUFFIXES | PLAIN_SUFFIXES
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
    """Guess the kind of items: by what holds them in memory, or by the endings of the files that inputs name.

    Where files lie together, pictures are meant if they are at least as many as the others that could be items, of
    which those named as a picture is are not counted; and texts are notes if they are no more than half.
    Raises InputError where that does not tell, and for a Parquet file that cannot be read."""
    if is_column_of_texts(inputs) and not _names_files(inputs):
        return Texts.name
    if isinstance(inputs, np.ndarray):
        return Vectors.name
    if is_frame(inputs):
        return Tables.name
    several = [inputs] if isinstance(inputs, (str, os.PathLike)) or not isinstance(inputs, Iterable) else list(inputs)
    guesses = [kind for one in several if isinstance(one, (str, os.PathLike)) for kind in _of_input(os.fspath(one))]
    kinds = sorted({kind for kind in guesses if kind is not None})
    if len(kinds) > 1:
        raise InputError(
            f"the inputs look like items of several kinds, {' and '.join(kinds)}; give those of one kind, or say which "
            "are meant: --kind, or kind="
        )
    return kinds[0] if kinds else Images.name


def _of_input(given: str) -> list[str | None]:
    try:
        named = expand(given)
    except InputError:  # which the finding will say in the words of its kind
        return [None if is_list(given) else _of_file(Path(given))]
    return [_of_files(one.folder or given, one.files) for one in named]


def _of_files(where: str | Path, files: Iterable[Path]) -> str | None:
    """Guess the kind of files that lie together; None if no ending tells it."""
    known = [file for file in files if _ending(file) in KNOWN_SUFFIXES]
    pictures = {file.stem for file in known if _ending(file) in SUFFIXES}
    others = [file for file in known if _ending(file) not in SUFFIXES and file.stem not in pictures]
    n_pictures = sum(_ending(file) in SUFFIXES for file in known)
    counts = Counter({Images.name: n_pictures} if n_pictures else {})
    if n_pictures < len(others):
        counts.update(map(_of_file, others))
        if 2 * counts[Texts.name] <= counts.total():
            del counts[Texts.name]
    if len(counts) > 1:
        told = ", ".join(f"{count:,} of the kind {kind}" for kind, count in sorted(counts.items()))
        raise InputError(f"{where} holds files of several kinds, {told}; say which are meant: --kind, or kind=")
    kind = next(iter(counts), None)
    if counts.total() < n_pictures + len(others):
        logger.info("%s: items are taken to be of the kind %s; --kind, or kind=, says otherwise", where, kind)
    return kind


def _of_file(file: Path) -> str:
    suffix = _ending(file)
    if suffix in VECTOR_SUFFIXES or (suffix == ".parquet" and os.path.isfile(file) and has_vectors(file)):
        return Vectors.name
    if suffix in PLAIN_SUFFIXES:
        return Texts.name
    return Tables.name if suffix in TABLE_SUFFIXES else Images.name


def _ending(file: Path) -> str:
    return os.path.splitext(file)[1].lower()


def _names_files(column: Any) -> bool:
    """Tell whether the first texts of a column in memory end as names of files do."""
    first = [one for one in islice(column, TEXTS_LOOKED_AT) if isinstance(one, str)]
    return all(os.path.splitext(one)[1].lower() in KNOWN_SUFFIXES for one in first)
