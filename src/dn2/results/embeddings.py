"""Embeddings alone, as files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dn2.arrays import Vectors
from dn2.extras import import_pyarrow
from dn2.results.writing import choose_writer, write_file, write_parquet


def writer_for(path: str | os.PathLike[str]) -> Callable[[Path, Sequence[str], Vectors], None]:
    """Choose how to write embeddings by the ending of the file's name; see `choose_writer`.

    The writer takes the path, n names and (n, d) vectors."""
    return choose_writer(path, {".npz": _write_npz, ".parquet": _write_parquet}, "a file of embeddings")


def _write_npz(path: Path, names: Sequence[str], vectors: Vectors) -> None:
    def into(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez(file, items=np.array(names, dtype=np.str_), embeddings=vectors)

    write_file(path, into)


def _write_parquet(path: Path, names: Sequence[str], vectors: Vectors) -> None:
    pyarrow = import_pyarrow()
    embeddings = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), vectors.shape[1])
    table = pyarrow.table({"item": pyarrow.array(names, pyarrow.string()), "embedding": embeddings})
    write_parquet(path, table)
