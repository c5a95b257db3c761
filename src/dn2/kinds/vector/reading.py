"""Arrays that are vectors already, one a row, in files or in memory."""

from __future__ import annotations

import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from safetensors import safe_open

from dn2.arrays import Array, Vectors
from dn2.errors import InputError
from dn2.extras import import_pyarrow
from dn2.inputs.columns import write_column
from dn2.inputs.digests import sha256_of
from dn2.inputs.files import find_items
from dn2.inputs.frames import is_frame
from dn2.inputs.memory import are_numbers, label_items, number_items, type_of
from dn2.inputs.named_files import Inputs
from dn2.inputs.names import name_rows
from dn2.inputs.npz_files import NpzFile, read_header
from dn2.inputs.parquet_files import BYTES_A_ROW, from_arrow, open_parquet_table
from dn2.inputs.picking import errors_at, picked
from dn2.system.bounds import check_fits, parsing
from dn2.system.stores import LocalPath, here

Content = tuple[Array, list[str | None] | None]  # (n, d), and the names of the rows, or None for a file without names

logger = logging.getLogger("dn2")

VECTOR_SUFFIXES = frozenset({".npy", ".npz", ".safetensors"})
EMBEDDINGS, ITEMS = "embeddings", "items"  # in .npz, as `dn2 embed` writes it
EMBEDDING, ITEM = "embedding", "item"  # in Parquet
ROWS_AT_ONCE = 1_024  # of Parquet
BLOCK = 1 << 22  # numbers converted at a time


@dataclass(frozen=True)
class VectorRows:
    """Rows that are vectors.

    names : of n rows.
    vectors : (n, d) float32.
    errors : by position, why a row cannot be used; its vector is zeros.
    paths, digests : of each row, its file and the SHA-256 of that file's bytes; '' for a row from memory."""

    names: list[str]
    vectors: Vectors
    errors: dict[int, str]
    paths: list[str]
    digests: list[str]

    def at(self, places: Sequence[int]) -> Self:
        """Return the rows at some places."""
        named = picked(places, self.names, self.paths, self.digests)
        vectors, errors = self.vectors[np.array(places, np.int64)], errors_at(self.errors, places)
        return replace(self, names=named[0], vectors=vectors, errors=errors, paths=named[1], digests=named[2])

    def named(self, names: list[str]) -> Self:
        """Return the same rows under other names."""
        return replace(self, names=names)


def read_vectors(inputs: Any, dimension: int | None = None) -> VectorRows:
    """Read vectors from an array, (n, d), a list of vectors, (d,) each, a dict of them by name, or from files as
    `find_items` finds them.

    dimension : d, by default the length of the first vector; a vector of another length in a list gets an error.
    A file is .npy; .npz or .safetensors with an array `embeddings` or a single 2-d array; or .parquet with lists of
    numbers in the column `embedding`.  Rows are named by `items` in .npz and `item` in Parquet, as `dn2 embed`
    writes them, and elsewhere by their file and number.
    Raises InputError unless all files are such files of real numbers and of the width of the first."""
    if isinstance(inputs, Mapping) and any(map(are_numbers, inputs.values())):
        return _stack_list(label_items(inputs), list(inputs.values()), dimension)
    if isinstance(inputs, (list, tuple)) and any(map(are_numbers, inputs)):
        return _stack_list(number_items("row", len(inputs)), inputs, dimension)
    if is_frame(inputs) or (isinstance(inputs, (list, tuple)) and are_numbers(inputs)):
        hint = "; one vector is [vector], and a series takes kind='series'" if isinstance(inputs, (list, tuple)) else ""
        raise InputError(f"vectors come as an array, (n, d), a list of vectors, or files, got {type_of(inputs)}{hint}")
    if isinstance(inputs, np.ndarray):
        _check(inputs, "the array")
        vectors, errors = _convert(inputs)
        nowhere = [""] * len(vectors)
        return VectorRows([f"row {row}" for row in range(1, len(vectors) + 1)], vectors, errors, nowhere, nowhere)
    return _read_files(inputs)


def are_vectors(inputs: Any) -> bool:
    """Tell whether inputs from memory are vectors: an array of numbers, or a list or a tuple of such rows."""
    if isinstance(inputs, np.ndarray):
        return True  # its numbers are checked later
    return isinstance(inputs, (list, tuple)) and (are_numbers(inputs) or any(map(are_numbers, inputs)))


def _stack_list(names: list[str], rows: Sequence[Any], dimension: int | None) -> VectorRows:
    """Stack vectors; at least one must be a sequence of numbers, and the others get an error."""
    width = len(next(row for row in rows if are_numbers(row))) if dimension is None else dimension
    array = np.full((len(rows), width), np.nan)
    wrong: dict[int, str] = {}
    for place, row in enumerate(rows):
        if not are_numbers(row):
            wrong[place] = f"a vector must be a sequence of numbers, got {type_of(row)}"
        elif len(row) != width:
            wrong[place] = f"a vector must have {width:,} numbers here, got {len(row):,}"
        else:
            try:
                array[place] = row
            except OverflowError:
                wrong[place] = "a number is too large"
    vectors, errors = _convert(array)
    nowhere = [""] * len(rows)
    return VectorRows(names, vectors, errors | wrong, nowhere, nowhere)


def has_vectors(path: LocalPath) -> bool:
    """Tell whether a file holds vectors: by its ending, and for .parquet by a column `embedding` of lists.

    Raises InputError if a Parquet file cannot be read, MissingExtra without pyarrow."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix != ".parquet":
        return suffix in VECTOR_SUFFIXES
    with open_parquet_table(path) as file:
        return _is_list(file.schema_arrow, EMBEDDING)


def _read_files(inputs: Inputs) -> VectorRows:
    names: list[str] = []
    ids: list[str | None] = []
    parts: list[Vectors] = []
    errors: dict[int, str] = {}
    paths: list[str] = []
    digests: list[str] = []
    for item in find_items(inputs, VECTOR_SUFFIXES | {".parquet"}):
        array, given = _read(here(item.path))
        check_fits(len(array) * BYTES_A_ROW, f"{item.path} of {len(array):,} rows")
        digest = sha256_of(here(item.path))
        if parts and array.shape[1] != parts[0].shape[1]:
            raise InputError(
                f"vectors must be of one length: {item.path} has {array.shape[1]} columns, "
                f"{paths[0]} has {parts[0].shape[1]}"
            )
        part, failed = _convert(array)
        errors.update({len(names) + row: reason for row, reason in failed.items()})
        defaults = [f"{item.name}:{row}" for row in range(1, len(part) + 1)]
        names += defaults
        ids += defaults if given is None else given
        parts.append(part)
        paths += [str(item.path)] * len(part)
        digests += [digest] * len(part)
    vectors = parts[0] if len(parts) == 1 else np.concatenate(parts)
    names, unnamed = name_rows(ids, names, ITEM)
    errors.update(unnamed)
    if unnamed:
        vectors = np.array(vectors)
        vectors[sorted(unnamed)] = 0
    return VectorRows(names, vectors, errors, paths, digests)


def _read(path: LocalPath) -> Content:
    readers: dict[str, Callable[[LocalPath], Content]] = {
        ".npy": _read_npy,
        ".npz": _read_npz,
        ".safetensors": _read_safetensors,
        ".parquet": _read_parquet,
    }
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in readers:
        raise InputError(f"{path} is no file of vectors; files ending in {', '.join(readers)} are read")
    with parsing(path, "is no file of vectors"):
        array, names = readers[suffix](path)
    _check(array, str(path))
    if names is not None and len(names) != len(array):
        raise InputError(f"{path} has {len(array):,} vectors and {len(names):,} names for them")
    return array, names


def _read_npy(path: LocalPath) -> Content:
    with open(path, "rb") as file:
        header = read_header(file, os.fstat(file.fileno()).st_size)
    order: Literal["F", "C"] = "F" if header.by_columns else "C"
    return np.memmap(os.fspath(path), header.dtype, "r", header.offset, header.shape, order), None


def _read_npz(path: LocalPath) -> Content:
    with open(path, "rb") as file:
        arrays = NpzFile(path, file)
        chosen = EMBEDDINGS if EMBEDDINGS in arrays else _choose(_shapes(path, arrays))
        if chosen != EMBEDDINGS or ITEMS not in arrays:
            return arrays.read([chosen])[chosen], None
        loaded = arrays.read([chosen, ITEMS])
        return loaded[chosen], [str(name) for name in loaded[ITEMS].ravel().tolist()]


def _shapes(path: LocalPath, arrays: NpzFile) -> dict[str, tuple[int, ...]]:
    """Return the shapes of arrays by name; an unreadable array is left out with a warning."""
    shapes = {}
    for name in arrays:
        try:
            shapes[name] = arrays.header(name).shape
        except (ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            logger.warning("%s: the array %r is passed over: %s", path, name, error)
    return {name: shape for name, shape in shapes.items() if name != ITEMS}


def _read_safetensors(path: LocalPath) -> Content:
    with safe_open(path, framework="numpy") as arrays:
        chosen = _choose({name: tuple(arrays.get_slice(name).get_shape()) for name in arrays.keys()})  # noqa: SIM118
        kind = arrays.get_slice(chosen).get_dtype()
        if kind.startswith(("BF", "F8", "F6", "F4")):
            raise ValueError(f"numpy has no {kind}; save it as float32")
        return arrays.get_tensor(chosen), None


def _read_parquet(path: LocalPath) -> Content:
    """Read rows of lists, all as long as the first; a missing list, or one of another length, makes a row of NaN."""
    with open_parquet_table(path) as file:
        if not _is_list(file.schema_arrow, EMBEDDING):
            raise ValueError(f"it has no column {EMBEDDING!r} of lists")
        _check_numbers(file.schema_arrow.field(EMBEDDING).type)
        has_names = ITEM in file.schema_arrow.names
        batches: list[Any] = []
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=[EMBEDDING, ITEM] if has_names else [EMBEDDING]):
            read = len(batches) * ROWS_AT_ONCE + len(batch)
            check_fits(2 * batch.nbytes, f"{path}, unpacked as far as row {read:,},")
            batches.append(batch)
    if not batches:
        raise ValueError("it has no rows")
    table = import_pyarrow().Table.from_batches(batches)
    compute = import_pyarrow().compute
    lists = table.column(EMBEDDING)
    lengths = compute.list_value_length(lists)
    width = next((length for length in lengths.to_pylist() if length), 0)
    check_fits(8 * width * len(lists), f"{path}, unpacked,")
    whole = compute.fill_null(compute.equal(lengths, width), False)
    numbers = compute.list_flatten(lists.filter(whole)).to_numpy()
    array = np.full((len(lists), width), np.nan, numbers.dtype if numbers.dtype.kind == "f" else np.float64)
    array[np.asarray(whole)] = numbers.reshape(-1, width) if width else 0
    return array, write_column(from_arrow(table.column(ITEM), ITEM)).tolist() if has_names else None


def _check_numbers(kind: Any) -> None:
    """Raise ValueError unless the lists hold numbers."""
    types = import_pyarrow().types
    if not any(check(kind.value_type) for check in (types.is_integer, types.is_floating, types.is_boolean)):
        raise ValueError(f"the column {EMBEDDING!r} must hold lists of numbers, got {kind}")


def _is_list(schema: Any, name: str) -> bool:
    types = import_pyarrow().types
    if schema.names.count(name) != 1:
        return False
    kind = schema.field(name).type
    return any(check(kind) for check in (types.is_list, types.is_large_list, types.is_fixed_size_list))


def _choose(shapes: Mapping[str, tuple[int, ...]]) -> str:
    if EMBEDDINGS in shapes:
        return EMBEDDINGS
    flat = [name for name, shape in shapes.items() if len(shape) == 2]
    if len(flat) != 1:
        listed = ", ".join(f"{name!r} of shape {shape}" for name, shape in list(shapes.items())[:5]) or "none"
        raise ValueError(f"it must have an array {EMBEDDINGS!r} or a single 2-d one, has {listed}")
    return flat[0]


def _check(array: Array, where: str) -> None:
    if array.dtype.kind not in "biuf":
        raise InputError(f"{where} must hold real numbers, got {array.dtype}")
    if array.ndim != 2 or 0 in array.shape:
        way = "; one vector is [vector], and a series takes kind='series'" if array.ndim == 1 else ""
        raise InputError(f"{where} must be a table of numbers, (rows, columns), got the shape {array.shape}{way}")


def _convert(array: Array) -> tuple[Vectors, dict[int, str]]:
    """Convert (n, d) to float32 in blocks; a row that is not finite then becomes zeros, with the reason.

    A mapped file of finite float32 stays mapped."""
    if isinstance(array, np.memmap) and array.dtype == np.float32 and array.flags.c_contiguous and _is_finite(array):
        return array, {}
    check_fits(4 * array.size, f"an array of {' x '.join(map(str, array.shape))} as float32")
    vectors = np.empty(array.shape, np.float32)
    errors: dict[int, str] = {}
    rows = max(1, BLOCK // array.shape[1])
    for start in range(0, len(array), rows):
        block = np.asarray(array[start : start + rows])
        with np.errstate(over="ignore", invalid="ignore"):  # also of NaNs that signal
            vectors[start : start + rows] = block
        for row in np.flatnonzero(~np.isfinite(vectors[start : start + rows]).all(axis=1)).tolist():
            within = np.isfinite(block[row]).all()
            errors[start + row] = "a number is beyond float32" if within else "it holds NaN or infinity"
            vectors[start + row] = 0
    return vectors, errors


def _is_finite(array: Vectors) -> bool:
    rows = max(1, BLOCK // array.shape[1])
    return all(np.isfinite(array[start : start + rows]).all() for start in range(0, len(array), rows))
