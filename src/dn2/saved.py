"""Models to and from disk: what of a model goes into which file, and what loading checks."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dn2 import __version__
from dn2.errors import ModelError, UnreadableItem
from dn2.kinds.guess import KINDS
from dn2.kinds.kind import ReferenceItem
from dn2.model import Model, Origin
from dn2.neighbors.blocks import Block
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.store import bundle
from dn2.store.cache import Cache

READABLE_FROM = "0.1.0"

# What files raise that are whole but were not written by dn2.
MISFITS = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, UnreadableItem)


def write(model: Model, folder: Path) -> None:
    """Save a model; see `Model.save`."""
    manifest = {"format": bundle.FORMAT, "readable_from": READABLE_FROM, "dn2": __version__, **model.describe()}
    blocks = model.detector.blocks_
    starts = np.cumsum([0] + [len(block) for block in blocks])
    rows = [{"item": item.name, "path": item.path, "sha256": item.sha256} for item in model.items]
    parts: dict[str, Sequence[bundle.Part]] = {
        "items": [rows[start : start + len(block)] for start, block in zip(starts, blocks, strict=False)],
        "reference": [{"embeddings": block.stored} for block in blocks],
        "reference-scores": [asdict(model.detector.leave_one_out_)],
        **model.kind.parts([len(block) for block in blocks]),
    }
    if model.detector.learnt_ is not None:
        parts["learnt"] = [asdict(model.detector.learnt_)]
    same_place = model.origin is not None and model.origin.folder == folder.resolve()
    digest = bundle.save(folder, manifest, parts, model.origin.digest if model.origin and same_place else None)
    model.origin = Origin(folder.resolve(), digest)


def read(folder: Path, cache: Cache | None) -> Model:
    """Load a saved model; see `dn2.load`."""
    return bundle.read(folder, lambda files: _read(files, cache))


def _read(files: bundle.Bundle, cache: Cache | None) -> Model:
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(files.check)  # hashing takes about as long as compiling the network does
        try:
            model = _assemble(files, cache)
        except Exception as error:
            whole.result()  # damage explains whatever else went wrong
            if isinstance(error, MISFITS):
                raise ModelError(
                    f"the model {files.folder} does not hold together ({error!r}); fit it again"
                ) from error
            raise
        whole.result()
    model.origin = Origin(files.folder.resolve(), files.manifest["digest"])
    return model


def _assemble(files: bundle.Bundle, cache: Cache | None) -> Model:
    with _no_garbage():
        items = _items(files.rows("items"))
    kind = KINDS[files.manifest["kind"]].restore(files, len(items), cache)
    blocks = [Block(stored) for stored in files.mapped("reference", "embeddings")]
    loo = LeaveOneOut(**files.arrays("reference-scores"))
    detector = KNNDetector(**files.manifest["detector"])
    learnt = None
    if "learnt" in files.manifest["parts"]:
        learnt = Learnt(**_completed(files.arrays("learnt"), kind.dimension))
        learnt.check(len(items), kind.dimension, detector.n_neighbors)
    _check_shapes(blocks, loo, len(items), kind.dimension, detector.n_neighbors)
    return Model(kind, detector.from_saved(blocks, loo, learnt), items)


def _completed(arrays: dict[str, Any], dimension: int) -> dict[str, Any]:
    """Add to what was learnt what earlier releases did not have."""
    if len(arrays.get("probing", ())) == 2:  # how many cells, and the recall: as many candidates as are sure to do
        searched, recall = arrays["probing"]
        arrays["probing"] = np.array([searched, 1, recall, np.nan, np.nan])
    first = ("aside", "readmitted", "directions", "factors", "centroids", "representatives", "share")
    nothing = asdict(Learnt.nothing(dimension))
    return {name: nothing[name] for name in nothing if name not in first} | arrays


def _items(rows: Sequence[Mapping[str, Any]]) -> list[ReferenceItem]:
    items = [ReferenceItem(row["item"], row["path"], row["sha256"]) for row in rows]
    # A name that is no text, or cannot be written, would end a run only when it comes up as evidence.
    "".join(itertools.chain.from_iterable(items)).encode()
    return items


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
    if any(one.ndim != 2 or one.dtype != np.float32 or not one.size for one in stored):
        raise ValueError("embeddings that are no matrices of float32")
    if {block.dimension for block in blocks} != {dimension} or sum(len(block) for block in blocks) != n:
        raise ValueError(f"embeddings of {[one.shape for one in stored]} for {n} items of dimension {dimension}")
    if loo.members.ndim != 1 or loo.distances.shape != (m, k) or loo.neighbors.shape != (m, k) or not 0 < m <= n:
        raise ValueError(f"leave-one-out scores of {loo.distances.shape} for {m} of {n} items")
    if loo.distances.dtype != np.float32 or not loo.distances.min() >= 0:
        raise ValueError("leave-one-out distances that are no squares")
    for positions in (loo.members, loo.neighbors):
        if positions.dtype != np.int64 or positions.min() < 0 or positions.max() >= n:
            raise ValueError(f"positions outside of 0 ... {n - 1}")
