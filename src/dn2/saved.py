"""Models to and from disk: what of a model goes into which file, and what loading checks."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain, compress, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from dn2 import __version__
from dn2.errors import ModelError, UnreadableItem
from dn2.kinds.guess import KINDS
from dn2.kinds.kind import ReferenceItem
from dn2.kinds.series import Series
from dn2.model import Model, Origin
from dn2.naming import path_of_text, path_to_text
from dn2.neighbors.blocks import STORAGES, Block, Codes, Positions, first_positions
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.windows import Line
from dn2.store import bundle
from dn2.store.cache import Cache
from dn2.store.shards import Kept, Shard, removed_rows, shards_of

READABLE_FROM = "0.1.0"

# What files raise that are whole but were not written by dn2.
MISFITS = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, UnreadableItem)


def write(model: Model, folder: Path, overwrite: bool) -> None:
    """Save a model; see `Model.save`."""
    blocks = model.detector.blocks_
    origin = model.origin if model.origin is not None and model.origin.folder == folder.resolve() else None
    known = origin.shards if origin is not None and (folder / bundle.MANIFEST).exists() else ()
    shards = shards_of(blocks, known)
    removed = removed_rows(blocks, shards)
    codes = _codes(blocks, shards)
    of_blocks = _parts_of_blocks(model, shards, codes)
    parts = {**of_blocks, "reference-scores": [asdict(model.detector.leave_one_out_)], **model.kind.parts()}
    if model.detector.line_ is not None:
        parts["places"] = [model.detector.line_.as_arrays()]
    if model.detector.learnt_ is not None:
        parts["learnt"] = [asdict(model.detector.learnt_)]
    if len(removed):
        parts["removed"] = [{"rows": removed}]
    manifest = {
        "format": bundle.FORMAT,
        "readable_from": READABLE_FROM,
        "dn2": __version__,
        **model.describe(),
        "removed_in_files": len(removed),
    }
    replaces = None if origin is None else origin.digest
    digest, files = bundle.save(folder, manifest, parts, replaces, overwrite)
    rows = [block.kept if shard is None else shard.rows for block, shard in zip(blocks, shards, strict=True)]
    saved = _shards(blocks, rows, {kind: files[kind] for kind in of_blocks}, codes or [None] * len(blocks))
    model.origin = Origin(folder.resolve(), digest, saved)


def _parts_of_blocks(
    model: Model, shards: Sequence[Shard | None], codes: Sequence[Codes] | None
) -> dict[str, Iterable[bundle.Part]]:
    """Give the files of each block by kind: those that it has already, others made only when they come to be written.

    shards, codes : of each block."""
    blocks = model.detector.blocks_
    places = [slice(start, stop) for start, stop in pairwise(first_positions(blocks).tolist())]

    def of_items(kind: str, content: Callable[[slice], bundle.Part]) -> Iterator[bundle.Part]:
        for some, shard in zip(places, shards, strict=True):
            yield content(some) if shard is None else shard.files[kind]

    def items(some: slice) -> bundle.Part:
        return [
            {"item": item.name, "path": path_to_text(item.path), "sha256": item.sha256} for item in model.items[some]
        ]

    contents = {"items": items, **model.kind.parts_of_items()}
    parts: dict[str, Iterable[bundle.Part]] = {kind: of_items(kind, content) for kind, content in contents.items()}
    parts["reference"] = (
        {"embeddings": block.compact().stored, "draws": block.draws} if shard is None else shard.files["reference"]
        for block, shard in zip(blocks, shards, strict=True)
    )
    if codes is not None:
        parts["codes"] = [
            shard.files["codes"] if shard is not None and _same(one, shard.codes) else {"codes": one}
            for one, shard in zip(codes, shards, strict=True)
        ]
    return parts


def _codes(blocks: Sequence[Block], shards: Sequence[Shard | None]) -> list[Codes] | None:
    """Return the codes of each block as its file is to hold them; None where the search has none.

    shards : the files of each block, which hold rows that are gone, too."""
    codes: list[Codes] = []
    for block, shard in zip(blocks, shards, strict=True):
        if block.all_codes is None or block.codes is None:
            return None
        every = block.all_codes if shard is None or shard.rows is None else block.all_codes[shard.rows]
        codes.append(block.codes if shard is None else every)
    return codes


def _same(codes: Codes, known: Codes | None) -> bool:
    return codes is known or (known is not None and np.array_equal(codes, known))


def _shards(
    blocks: Sequence[Block],
    rows: Sequence[Positions | None],
    files: Mapping[str, Sequence[bundle.Existing]],
    codes: Sequence[Codes | None],
) -> list[Shard]:
    """Note which files hold each block; rows : those of its stored rows that they hold."""
    by_block = [dict(zip(files, of_one, strict=True)) for of_one in zip(*files.values(), strict=True)]
    stored = [block.stored for block in blocks]
    return [Shard(*one) for one in zip(stored, rows, by_block, codes, strict=True)]


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
                    f"the model {files.folder} does not hold together ({error!r:.200}); fit it again"
                ) from error
            raise
        whole.result()
    return model


def _assemble(files: bundle.Bundle, cache: Cache | None) -> Model:
    blocks, kept = _blocks(files)
    items = _items(files, kept)
    kind = KINDS[files.manifest["kind"]].restore(files, kept, cache)
    loo = LeaveOneOut(**files.arrays("reference-scores"))
    learnt = None
    if "learnt" in files.manifest["parts"]:
        learnt = Learnt(**_completed(files.arrays("learnt"), kind.dimension))
    detector = KNNDetector(**_parameters(files.manifest, learnt))
    if learnt is not None:
        learnt.check(len(items), kind.dimension, detector.n_neighbors)
    _check_shapes(blocks, loo, len(items), kind.dimension, detector.n_neighbors)
    _check_storage(blocks, files.manifest["detector"].get("storage", "float32"))
    line = Line.from_arrays(**files.arrays("places")) if "places" in files.manifest["parts"] else None
    window = kind.embedder.window if isinstance(kind, Series) else None
    if {detector.window, None if line is None else line.window} != {window} or (
        line and len(line.places) != len(items)
    ):
        raise ValueError("windows without their places, or places of other windows")
    model = Model(kind, detector.from_saved(blocks, loo, learnt, line), items)
    of_blocks = [
        one for one in ("items", "reference", "codes", *kind.parts_of_items()) if one in files.manifest["parts"]
    ]
    shards: Sequence[Shard] = ()
    if files.manifest["format"] > 1:  # the files of before lack something, and are written anew
        codes = [block.all_codes for block in blocks]
        shards = _shards(blocks, [None] * len(blocks), {one: files.existing(one) for one in of_blocks}, codes)
    model.origin = Origin(files.folder.resolve(), files.manifest["digest"], shards)
    return model


def _parameters(manifest: Mapping[str, Any], learnt: Learnt | None) -> dict[str, Any]:
    """Return the detector's parameters; what `auto` chose for a model of format 1 stays chosen."""
    parameters = dict(manifest["detector"])
    if manifest["format"] == 1 and parameters.get("index", "auto") == "auto":
        parameters["index"] = "approximate" if learnt is not None and len(learnt.cells) else "exact"
    return parameters


def _completed(arrays: dict[str, Any], dimension: int) -> dict[str, Any]:
    """Add to what was learnt what earlier releases did not have."""
    if len(arrays.get("probing", ())) == 2:  # how many cells, and the recall; as few candidates as are sure to do, and
        # what was not measured may be as bad as can be.
        searched, recall = arrays["probing"]
        arrays["probing"] = np.array([searched, 1, recall, 1.0, 1.0])
    first = ("aside", "readmitted", "directions", "factors", "centroids", "representatives", "share")
    nothing = asdict(Learnt.nothing(dimension))
    return {name: nothing[name] for name in nothing if name not in first} | arrays


def _blocks(files: bundle.Bundle) -> tuple[list[Block], Kept]:
    """Map the reference set, and find out which rows of its files are in it."""
    parts = files.manifest["parts"]
    stored = files.mapped("reference", "embeddings")
    if any(one.ndim != 2 or not one.size for one in stored):
        raise ValueError("embeddings that are no matrices")
    nothing: list[None] = [None] * len(stored)
    draws = files.mapped("reference", "draws") if files.manifest["format"] > 1 else nothing
    codes = files.mapped("codes", "codes") if "codes" in parts else nothing
    for rows, of_draws, of_codes in zip(stored, draws, codes, strict=True):
        if of_draws is not None and (of_draws.dtype != np.uint64 or of_draws.shape != rows.shape[:1]):
            raise ValueError(f"draws of {of_draws.shape} {of_draws.dtype} for {len(rows)} rows")
        if of_codes is not None and (of_codes.dtype != np.uint8 or of_codes.ndim != 2 or len(of_codes) != len(rows)):
            raise ValueError(f"codes of {of_codes.shape} {of_codes.dtype} for {len(rows)} rows")
    sizes = [len(one) for one in stored]
    kept = Kept(sizes, files.arrays("removed")["rows"]) if "removed" in parts else Kept(sizes)
    if len(kept.removed) != files.manifest.get("removed_in_files", 0):
        raise ValueError(f"{len(kept.removed)} removed rows")
    return list(map(Block, stored, kept.by_shard, draws, codes)), kept


def _items(files: bundle.Bundle, kept: Kept) -> list[ReferenceItem]:
    """Read the items of the reference set."""
    items: list[ReferenceItem] = []
    with _no_garbage():
        for rows, size in zip(files.rows("items"), kept.sizes, strict=True):
            if len(rows) != size:
                raise ValueError(f"{len(rows)} items for {size} rows")
            items += _items_of_file(rows)
    return list(compress(items, kept.flags)) if len(kept.removed) else items


def _items_of_file(rows: Sequence[Mapping[str, Any]]) -> list[ReferenceItem]:
    names, paths, digests = zip(*map(itemgetter("item", "path", "sha256"), rows), strict=True)
    # A name that is no text, or cannot be written, would end a run only when it comes up as evidence.
    "".join(chain(names, paths, digests)).encode()
    known = {path: path_of_text(path) for path in set(paths)}  # the rows of a table share its path and its digest
    once: dict[str, str] = {}
    share = once.setdefault
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
        raise ValueError(f"embeddings of {[one.shape for one in stored]} for {n} items of dimension {dimension}")
    if loo.members.ndim != 1 or loo.distances.shape != (m, k) or loo.neighbors.shape != (m, k) or not 0 < m <= n:
        raise ValueError(f"leave-one-out scores of {loo.distances.shape} for {m} of {n} items")
    if loo.distances.dtype != np.float32 or not loo.distances.min() >= 0:
        raise ValueError("leave-one-out distances that are no squares")
    for positions in (loo.members, loo.neighbors):
        if positions.dtype != np.int64 or positions.min() < 0 or positions.max() >= n:
            raise ValueError(f"positions outside of 0 ... {n - 1}")


def _check_storage(blocks: Sequence[Block], storage: str) -> None:
    allowed = list(STORAGES.values()) if storage == "auto" else [STORAGES[storage]]
    one_way = len({block.stored.dtype for block in blocks}) == 1 and blocks[0].stored.dtype in allowed
    if not one_way or blocks[0].dimension < 1:
        raise ValueError(f"embeddings of {blocks[0].stored.dtype} that are to be {storage}")
