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
from dn2.embed.embedder import ImageEmbedder
from dn2.embed.golden import TOLERANCE, largest_error, make_pictures
from dn2.errors import ModelError, NotReproducible, UnreadableItem
from dn2.model import Model, Origin, ReferenceItem
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.exact import Vectors
from dn2.neighbors.groups import Pooling
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.store import bundle
from dn2.store.cache import Cache
from dn2.store.packed import PackedBytes

READABLE_FROM = "0.1.0"

# What files raise that are whole but were not written by dn2.
MISFITS = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, UnreadableItem)

Arrays = Mapping[str, np.ndarray[Any, Any]]


def write(model: Model, folder: Path) -> None:
    """Save a model; see `Model.save`."""
    manifest = {"format": bundle.FORMAT, "readable_from": READABLE_FROM, "dn2": __version__, **model.describe()}
    manifest["golden_tolerance"] = max(TOLERANCE[one] for one in manifest["embedder"]["precision"].split("+"))
    blocks = model.detector.blocks_
    starts = np.cumsum([0] + [len(block) for block in blocks])
    rows = [{"item": item.name, "path": item.path, "sha256": item.sha256} for item in model.items]
    pictures = make_pictures()
    parts: dict[str, Sequence[bundle.Part]] = {
        "items": [rows[start : start + len(block)] for start, block in zip(starts, blocks, strict=False)],
        "reference": [{"embeddings": block} for block in blocks],
        "reference-scores": [asdict(model.detector.leave_one_out_)],
        "thumbnails": [asdict(model.thumbnails)],
        "golden": [asdict(PackedBytes.of(pictures)) | {"embeddings": model.embedder.embed_pictures(pictures)}],
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
    recorded = files.manifest["embedder"]
    embedder = ImageEmbedder(recorded["backbone"], precision=recorded["precision"], cache=cache)
    _check_embedder(embedder, files.manifest, files.arrays("golden"))
    with _no_garbage():
        items = _items(files.rows("items"))
    (data,), (ends,) = files.mapped("thumbnails", "data"), files.mapped("thumbnails", "ends")
    thumbnails = PackedBytes(data, ends)
    if len(thumbnails) != len(items):
        raise ValueError(f"{len(thumbnails)} thumbnails for {len(items)} items")
    blocks = files.mapped("reference", "embeddings")
    loo = LeaveOneOut(**files.arrays("reference-scores"))
    detector = KNNDetector(**files.manifest["detector"])
    unscaled = {"scaling": np.empty((0, embedder.dimension), np.float32)}  # which models had not at first
    learnt = Learnt(**unscaled | files.arrays("learnt")) if "learnt" in files.manifest["parts"] else None
    _check_shapes(blocks, loo, len(items), embedder.dimension, detector.n_neighbors)
    if learnt is not None:
        _check_learnt(learnt, len(items), embedder.dimension, detector.n_neighbors)
    groups = files.manifest.get("groups")
    pooling = None if groups is None else Pooling(**groups)
    return Model(embedder, detector.from_saved(blocks, loo, learnt), items, thumbnails, pooling)


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


def _check_embedder(embedder: ImageEmbedder, manifest: Mapping[str, Any], golden: Arrays) -> None:
    """Refuse a backbone that is not the recorded one, or that embeds the golden pictures otherwise here."""
    recorded = manifest["embedder"]
    here = embedder.as_dict()
    if here["digest"] != recorded["digest"]:
        raise NotReproducible(
            f"the backbone {embedder.backbone} is not the one that the model was made with: its digest must be "
            f"{recorded['digest']}, got {here['digest']}; restore that version or fit again"
        )
    if here["preprocessing"] != recorded["preprocessing"]:
        raise NotReproducible(
            f"this dn2 prepares pictures as {here['preprocessing']}, the model was made with "
            f"{recorded['preprocessing']}; use dn2 {manifest['dn2']} or fit again"
        )
    embeddings = embedder.embed_pictures(PackedBytes(golden["data"], golden["ends"]))
    error = largest_error(embeddings, golden["embeddings"])
    if not error <= manifest["golden_tolerance"]:
        raise NotReproducible(
            f"this machine does not reproduce the model's embeddings: its golden pictures differ by {error:.2g}, "
            f"at most {manifest['golden_tolerance']:g} is accepted in {recorded['precision']}; "
            "fit again here, or fit with --precision f32 for a model that moves between machines"
        )


def _check_shapes(blocks: Sequence[Vectors], loo: LeaveOneOut, n: int, dimension: int, k: int) -> None:
    m = len(loo.members)
    if any(block.ndim != 2 or block.dtype != np.float32 or not block.size for block in blocks):
        raise ValueError("embeddings that are no matrices of float32")
    if {block.shape[1] for block in blocks} != {dimension} or sum(len(block) for block in blocks) != n:
        raise ValueError(f"embeddings of {[block.shape for block in blocks]} for {n} items of dimension {dimension}")
    if loo.members.ndim != 1 or loo.distances.shape != (m, k) or loo.neighbors.shape != (m, k) or not 0 < m <= n:
        raise ValueError(f"leave-one-out scores of {loo.distances.shape} for {m} of {n} items")
    if loo.distances.dtype != np.float32 or not loo.distances.min() >= 0:
        raise ValueError("leave-one-out distances that are no squares")
    for positions in (loo.members, loo.neighbors):
        if positions.dtype != np.int64 or positions.min() < 0 or positions.max() >= n:
            raise ValueError(f"positions outside of 0 ... {n - 1}")


def _check_learnt(learnt: Learnt, n: int, dimension: int, k: int) -> None:
    if learnt.centroids.dtype != np.float32 or learnt.centroids.shape != (len(learnt.representatives), dimension):
        raise ValueError(f"centroids of {learnt.centroids.shape} for dimension {dimension}")
    if not np.isfinite(learnt.centroids).all():
        raise ValueError("centroids that are no numbers")
    if learnt.scaling.shape != (0, dimension):
        raise ValueError(f"columns scaled by {learnt.scaling.shape}, of pictures")
    factors, directions = learnt.factors, learnt.directions
    if factors.ndim != 1 or directions.shape != (len(factors), dimension):
        raise ValueError(f"directions of {directions.shape} and {factors.shape} factors for dimension {dimension}")
    if not {factors.dtype, directions.dtype} == {np.dtype(np.float32)} or not np.isfinite(directions).all():
        raise ValueError("directions that are no numbers")
    if not ((factors > 0) & (factors <= 1)).all():
        raise ValueError("factors outside of 0 ... 1")
    if learnt.share.shape not in ((0,), (3,)) or not ((learnt.share >= 0) & (learnt.share <= 1)).all():
        raise ValueError(f"a share of anomalies of {learnt.share}")
    for positions in (learnt.aside, learnt.readmitted, learnt.representatives):
        if positions.dtype != np.int64 or positions.ndim != 1:
            raise ValueError("positions that are no whole numbers")
        if len(positions) and not (positions.min() >= 0 and positions.max() < n):
            raise ValueError(f"positions outside of 0 ... {n - 1}")
    if n - len(learnt.aside) <= (0 if len(learnt.centroids) else k):
        raise ValueError(f"{len(learnt.aside)} of {n} items set aside")
