"""Models from disk: what their files say is checked before it is believed."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, compress
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from dn2.errors import ModelError, UnreadableItem
from dn2.kinds.guess import KINDS
from dn2.kinds.kind import Kind, ReferenceItem
from dn2.kinds.series import Series
from dn2.model import Model
from dn2.naming import identity, path_of_text
from dn2.neighbors.blocks import LEVELS, STORAGES, Block, as_stored, rows_at
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.recheck import check_draws, check_leave_one_out, check_rows, some_of
from dn2.neighbors.windows import Line
from dn2.saved import shards_in_files
from dn2.state import Origin
from dn2.store import bundle
from dn2.store.cache import Cache
from dn2.store.shards import Kept

# What files raise that are whole but were not written by dn2.
MISFITS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    UnreadableItem,
)
LONGEST_REASON = 300  # characters of what such files raise
DIGEST_LENGTHS = {0, 64}


def read(folder: Path, cache: Cache | None, backbone: str | None = None) -> Model:
    """Load a saved model; see `dn2.load`."""
    return bundle.read(folder, lambda files: _read(files, cache, backbone, thorough=False))


def verify(folder: Path, backbone: str | None = None) -> int:
    """Check every byte of a model's files against its digests, and then all that loading checks, of more items.

    Returns how many files there are.  Raises ModelError for a model that is not whole, and what `dn2.load` raises."""
    files = bundle.Bundle(folder)
    if problems := files.problems():
        raise ModelError(f"the model {folder} is damaged: {'; '.join(problems)}; restore it or fit again")
    _read(files, None, backbone, thorough=True)
    return len(files.manifest["files"]) + 1


def _read(files: bundle.Bundle, cache: Cache | None, backbone: str | None, *, thorough: bool) -> Model:
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(files.check)  # hashing takes about as long as compiling the network does
        try:
            model = _assemble(files, cache, backbone, thorough)
        except Exception as error:
            whole.result()  # damage explains whatever else went wrong
            if isinstance(error, MemoryError):
                raise ModelError(f"the model {files.folder} takes more memory than is free") from error
            if isinstance(error, MISFITS):
                reason = repr(error)[:LONGEST_REASON]
                raise ModelError(f"the model {files.folder} does not hold together ({reason}); fit it again") from error
            raise
        whole.result()
    return model


def _assemble(files: bundle.Bundle, cache: Cache | None, backbone: str | None, thorough: bool) -> Model:
    manifest = files.manifest
    blocks, kept = _blocks(files)
    items = _items(files, kept)
    if backbone is not None and "backbone" not in (manifest["embedder"] or {}):
        raise ModelError(f"a model of the kind {manifest['kind']} has no backbone; leave it out")
    kind = KINDS[manifest["kind"]].restore(files, kept, cache, backbone)
    loo = LeaveOneOut(**files.arrays("reference-scores"))
    learnt = Learnt(**files.arrays("learnt")) if "learnt" in manifest["parts"] else None
    detector = KNNDetector(**manifest["detector"])
    if learnt is not None:
        learnt.check(len(items), kind.dimension, detector.n_neighbors)
    _check_shapes(blocks, loo, len(items), kind.dimension, detector.n_neighbors)
    _check_storage(blocks, detector.storage)
    in_memory = thorough or not files.is_large
    if in_memory:
        check_rows(blocks, may_miss=bool(detector.scale_columns))
    line = Line.from_arrays(**files.arrays("places")) if "places" in manifest["parts"] else None
    window = kind.embedder.window if isinstance(kind, Series) else None
    if {detector.window, None if line is None else line.window} != {window} or (
        line and len(line.places) != len(items)
    ):
        raise ValueError("windows without their places, or places of other windows")
    detector = detector.from_saved(blocks, loo, learnt, line)
    if in_memory:
        _check_kept(kind, blocks, len(items), thorough)
        check_draws(blocks, thorough)
        check_leave_one_out(detector.reference_, thorough)
    of_blocks = [one for one in ("items", "reference", "codes", *kind.parts_of_items()) if one in manifest["parts"]]
    files_of = {one: files.existing(one) for one in of_blocks}
    shards = shards_in_files(blocks, [None] * len(blocks), files_of, [block.all_codes for block in blocks])
    model = Model(kind, detector, items, origin=Origin(files.folder.resolve(), manifest["digest"], shards))
    _check_description(manifest, model)
    return model


def _blocks(files: bundle.Bundle) -> tuple[list[Block], Kept]:
    """Map the reference set, and find out which rows of its files are in it."""
    parts = files.manifest["parts"]
    stored, draws = (files.mapped("reference", key) for key in ("embeddings", "draws"))
    if any(one.ndim != 2 or not one.size for one in stored):
        raise ValueError("embeddings that are no matrices")
    codes = files.mapped("codes", "codes") if "codes" in parts else [None] * len(stored)
    for rows, of_draws, of_codes in zip(stored, draws, codes, strict=True):
        if of_draws.dtype != np.uint64 or of_draws.shape != rows.shape[:1]:
            raise ValueError(f"draws of {of_draws.shape} {of_draws.dtype} for {len(rows)} rows")
        if of_codes is not None and (of_codes.dtype != np.uint8 or of_codes.ndim != 2 or len(of_codes) != len(rows)):
            raise ValueError(f"codes of {of_codes.shape} {of_codes.dtype} for {len(rows)} rows")
    sizes = [len(one) for one in stored]
    kept = Kept(sizes, files.arrays("removed")["rows"]) if "removed" in parts else Kept(sizes)
    if len(kept.removed) != files.manifest["removed_in_files"]:
        raise ValueError(f"{len(kept.removed)} removed rows")
    return list(map(Block, stored, kept.by_shard, draws, codes)), kept


def _items(files: bundle.Bundle, kept: Kept) -> list[ReferenceItem]:
    """Read the items of the reference set."""
    items: list[ReferenceItem] = []
    with _no_garbage():
        for rows, size in zip(files.rows("items", kept.sizes), kept.sizes, strict=True):
            if len(rows) != size:
                raise ValueError(f"{len(rows)} items for {size} rows")
            items += _items_of_file(rows)
        items = list(compress(items, kept.flags)) if len(kept.removed) else items
        if "places" not in files.manifest["parts"] and len({identity(item.name) for item in items}) < len(items):
            raise ValueError("two items of one name")
    return items


def _items_of_file(rows: Sequence[Mapping[str, Any]]) -> list[ReferenceItem]:
    names, paths, digests = zip(*map(itemgetter("item", "path", "sha256"), rows), strict=True)
    # A name that is no text, or cannot be written, would end a run only when it comes up as evidence.
    "".join(chain(names, paths, digests)).encode()
    known = {path: path_of_text(path) for path in set(paths)}  # the rows of a table share its path and its digest
    once: dict[str, str] = {}
    share = once.setdefault
    if not {len(digest) for digest in set(digests)} <= DIGEST_LENGTHS:
        raise ValueError("digests of another length than SHA-256's")
    return list(map(ReferenceItem, names, map(known.__getitem__, paths), map(share, digests, digests)))


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Keep Python from searching for garbage among many new objects that are none: it doubles the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _check_shapes(blocks: Sequence[Block], loo: LeaveOneOut, n: int, dimension: int, k: int) -> None:
    m = len(loo.members)
    stored = [block.stored for block in blocks]
    if {block.dimension for block in blocks} != {dimension} or sum(len(block) for block in blocks) != n:
        raise ValueError(f"embeddings of {[one.shape for one in stored][:5]} for {n} items of dimension {dimension}")
    if loo.members.ndim != 1 or loo.distances.shape != (m, k) or loo.neighbors.shape != (m, k) or not 0 < m <= n:
        raise ValueError(f"leave-one-out scores of {loo.distances.shape} for {m} of {n} items")
    if loo.distances.dtype != np.float32 or not np.isfinite(loo.distances).all() or not loo.distances.min() >= 0:
        raise ValueError("leave-one-out distances that are no squares")
    if (np.diff(loo.distances, axis=1) < 0).any():
        raise ValueError("leave-one-out distances that do not ascend")
    for positions in (loo.members, loo.neighbors):
        if positions.dtype != np.int64 or positions.min() < 0 or positions.max() >= n:
            raise ValueError(f"positions outside of 0 ... {n - 1}")
    if (np.diff(loo.members) <= 0).any():
        raise ValueError("calibrating items that do not ascend")


def _check_storage(blocks: Sequence[Block], storage: str) -> None:
    allowed = list(STORAGES.values()) if storage == "auto" else [STORAGES[storage]]
    one_way = len({block.stored.dtype for block in blocks}) == 1 and blocks[0].stored.dtype in allowed
    if not one_way or blocks[0].dimension < 1:
        raise ValueError(f"embeddings of {blocks[0].stored.dtype} that are to be {storage}")


def _check_kept(kind: Kind, blocks: Sequence[Block], n: int, thorough: bool) -> None:
    """Refuse what is kept to be shown of items where it is not what was embedded."""
    again = kind.embed_kept(some_of(n, thorough))
    if again is None:
        return
    places, vectors = again
    storage = str(blocks[0].stored.dtype)
    rows, expected = rows_at(blocks, places), as_stored(vectors, storage)
    rounding = 1e-3 * np.nanmax(np.abs(rows), axis=0, initial=0, keepdims=True)  # of each column, whose scales differ
    if storage == "uint8":  # where a last bit may make a step of a row's own scale
        rounding = rounding + 1.5 * np.ptp(rows, axis=1, keepdims=True) / LEVELS
    if not np.allclose(rows, expected, rtol=1e-3, atol=rounding, equal_nan=True):
        raise ValueError(f"{kind.many} that are not those that were embedded")


def _check_description(manifest: Mapping[str, Any], model: Model) -> None:
    """Refuse a `model.json` that says of the model what its files do not; words may be those of another release."""
    about = json.loads(json.dumps(model.describe(), default=lambda number: number.item()))
    for key in ("calibration", "contamination", "search"):
        if not _agree(manifest[key], about[key]):
            raise ValueError(f"its {key} is not what its files give")


def _agree(said: Any, found: Any) -> bool:
    """Compare what JSON says, numbers but for rounding, and no prose."""
    if isinstance(found, dict):
        same = isinstance(said, dict) and said.keys() == found.keys()
        return same and all(_agree(said[key], found[key]) for key in found if key not in ("assumptions", "why"))
    if isinstance(found, float):
        return isinstance(said, (int, float)) and math.isclose(said, found, rel_tol=1e-6, abs_tol=1e-12)
    return bool(said == found)
