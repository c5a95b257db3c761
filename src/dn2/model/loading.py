"""Models from disk: the content of their files is checked before it is used."""

from __future__ import annotations

import gc
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, compress
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from dn2.errors import ModelError, UnreadableItem
from dn2.kinds.exchange import ReferenceItem
from dn2.kinds.kind import Kind
from dn2.kinds.registry import kind_of
from dn2.model.belonging import Rules, membership_of
from dn2.model.model import Model
from dn2.model.state import Origin
from dn2.model.told import NOTHING_TOLD, Told
from dn2.model.writing import shards_in_files
from dn2.neighbors.blocks import LEVELS, STORAGES, Block, as_stored, rows_at
from dn2.neighbors.detector import Detector
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.membership import ROLES
from dn2.neighbors.recheck import check_draws, check_leave_one_out, check_stored_rows, evenly_placed
from dn2.neighbors.steps import Steps
from dn2.neighbors.suspicion import Suspicion
from dn2.neighbors.windows import WindowPlaces
from dn2.store import bundle
from dn2.store.cache import Cache
from dn2.store.shards import StoredRows
from dn2.store.versions import versions_of
from dn2.system.naming import identity, path_of_text

# The errors that undamaged files raise if dn2 did not write them.
MISFITS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    UnreadableItem,
)
LONGEST_REASON = 300  # characters of such an error
DIGEST_LENGTHS = {0, 64}


def read(folder: Path, cache: Cache | None, backbone: str | None = None) -> Model:
    """Load a saved model; see `dn2.load`."""
    return bundle.read(folder, lambda files: _read(files, cache, backbone, thorough=False))


def verify(folder: Path, backbone: str | None = None) -> int:
    """Check every byte of a model's files against its digests, and then what loading checks, of more items.

    Returns the number of files.  Raises ModelError for a damaged model, and as `dn2.load` does."""
    files = bundle.Bundle(folder)
    earlier = [bundle.Bundle(folder, version.file) for version in versions_of(folder) if version.file]
    if problems := sorted({problem for one in (files, *earlier) for problem in one.problems()}):
        raise ModelError(f"the model {folder} is damaged: {'; '.join(problems)}; restore it or fit again")
    _read(files, None, backbone, thorough=True)
    return len(files.manifest["files"]) + 1


def _read(files: bundle.Bundle, cache: Cache | None, backbone: str | None, *, thorough: bool) -> Model:
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(files.check)  # hashing takes about as long as compiling the network does
        try:
            model = _assemble(files, cache, backbone, thorough)
        except Exception as error:
            whole.result()  # damaged files explain the other error
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
    kind = kind_of(manifest["kind"]).restore(files, kept, cache, backbone)
    loo = LeaveOneOut(**files.arrays("reference-scores"))
    learnt = Learnt.from_arrays(files.arrays("learnt")) if "learnt" in manifest["contents"] else None
    steps = Steps.from_dict(manifest["detector"])
    if learnt is not None:
        learnt.check(len(items), kind.dimension, steps.n_neighbors)
    _check_shapes(blocks, loo, len(items), kind.dimension, steps.n_neighbors)
    _check_storage(blocks, steps.search.storage)
    in_memory = thorough or not files.is_large
    if in_memory:
        check_stored_rows(blocks, may_miss=steps.scale is not None)
    windows = WindowPlaces.from_arrays(**files.arrays("places")) if "places" in manifest["contents"] else None
    if windows is not None and len(windows.places) != len(items):
        raise ValueError(f"places of {len(windows.places)} windows for {len(items)} items")
    kind.check_steps(steps)
    rules = Rules(**manifest["membership"])
    rules.check()
    detector = Detector.from_saved(steps, blocks, loo, learnt, windows, membership_of(items, rules))
    if in_memory:
        _check_kept(kind, blocks, len(items), thorough)
        check_draws(blocks, thorough)
        check_leave_one_out(detector.reference, thorough)
    block_contents = [
        part for part in ("items", "reference", "codes", *kind.contents_of_items()) if part in manifest["contents"]
    ]
    files_of = {part: files.stored_files(part) for part in block_contents}
    shards = shards_in_files(blocks, [None] * len(blocks), files_of, [block.all_codes for block in blocks])
    origin = Origin(files.folder.resolve(), manifest["digest"], shards, backbone)
    known, told = Suspicion.from_dict(manifest["suspicion"]), _told(files, kind.dimension)
    kind = kind.completed(detector, items)
    model = Model(kind, detector, items, origin=origin, rules=rules, known=known, told=told)
    model.state.mark_saved()
    _check_description(manifest, model)
    return model


def read_blocks(folder: Path) -> list[Block]:
    """Map the reference set of a saved model alone; no more of it is read than is searched.

    Raises ModelError for a model that is missing or damaged."""
    return bundle.read(folder, lambda files: _blocks(files)[0])


def _blocks(files: bundle.Bundle) -> tuple[list[Block], StoredRows]:
    """Map the files of the reference set, and find which of their rows are in it."""
    contents = files.manifest["contents"]
    stored, draws = (files.mapped("reference", key) for key in ("embeddings", "draws"))
    if any(rows.ndim != 2 or not rows.size for rows in stored):
        raise ValueError("embeddings must be matrices with rows")
    codes = files.mapped("codes", "codes") if "codes" in contents else [None] * len(stored)
    for rows, block_draws, block_codes in zip(stored, draws, codes, strict=True):
        if block_draws.dtype != np.uint64 or block_draws.shape != rows.shape[:1]:
            raise ValueError(f"draws of {block_draws.shape} {block_draws.dtype} for {len(rows)} rows")
        if block_codes is not None and (
            block_codes.dtype != np.uint8 or block_codes.ndim != 2 or len(block_codes) != len(rows)
        ):
            raise ValueError(f"codes of {block_codes.shape} {block_codes.dtype} for {len(rows)} rows")
    sizes = [len(rows) for rows in stored]
    kept = StoredRows(sizes, files.arrays("removed")["rows"]) if "removed" in contents else StoredRows(sizes)
    if len(kept.removed) != files.manifest["removed_in_files"]:
        raise ValueError(f"{len(kept.removed)} removed rows")
    return list(map(Block, stored, kept.by_shard, draws, codes)), kept


def _items(files: bundle.Bundle, kept: StoredRows) -> list[ReferenceItem]:
    """Read the items of the reference set."""
    items: list[ReferenceItem] = []
    with _pause_garbage_collection():
        for rows, size in zip(files.rows("items", kept.sizes), kept.sizes, strict=True):
            if len(rows) != size:
                raise ValueError(f"{len(rows)} items for {size} rows")
            items += _items_of_file(rows)
        items = list(compress(items, kept.flags)) if len(kept.removed) else items
        if "places" not in files.manifest["contents"] and len({identity(item.name) for item in items}) < len(items):
            raise ValueError("two items of one name")
    return items


def _told(files: bundle.Bundle, dimension: int) -> Told:
    """Read what people said of scored items."""
    contents = files.manifest["contents"]
    if "verdicts" not in contents:
        return NOTHING_TOLD
    (records,) = files.rows("verdicts")
    return Told.restored(records, files.arrays("defects") if "defects" in contents else None, dimension)


def _items_of_file(rows: Sequence[Mapping[str, Any]]) -> list[ReferenceItem]:
    names, paths, digests = zip(*map(itemgetter("item", "path", "sha256"), rows), strict=True)
    parts, strata, roles = ([row.get(name, "") for row in rows] for name in ("part", "per", "role"))
    # A name that is not a text, or cannot be written, would end a run only later, as evidence.
    "".join(chain(names, paths, digests, parts, strata)).encode()
    if not set(roles) <= set(ROLES):
        raise ValueError("items joined in another way than dn2 knows")
    path_of = {path: path_of_text(path) for path in set(paths)}  # the rows of a table share its path and its digest
    once: dict[str, str] = {}
    share = once.setdefault
    if not {len(digest) for digest in set(digests)} <= DIGEST_LENGTHS:
        raise ValueError("digests of another length than SHA-256's")
    labels = (map(share, of_items, of_items) for of_items in (parts, strata, roles))
    return list(map(ReferenceItem, names, map(path_of.__getitem__, paths), map(share, digests, digests), *labels))


@contextmanager
def _pause_garbage_collection() -> Iterator[None]:
    """Pause garbage collection while many objects are made that all stay: it would double the time."""
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
        raise ValueError(f"embeddings of {[rows.shape for rows in stored][:5]} for {n} items of dimension {dimension}")
    if loo.members.ndim != 1 or loo.distances.shape != (m, k) or loo.neighbors.shape != (m, k) or not 0 < m <= n:
        raise ValueError(f"leave-one-out scores of {loo.distances.shape} for {m} of {n} items")
    if loo.distances.dtype != np.float32 or not np.isfinite(loo.distances).all() or not loo.distances.min() >= 0:
        raise ValueError("leave-one-out distances must be finite float32 of at least 0")
    if (np.diff(loo.distances, axis=1) < 0).any():
        raise ValueError("leave-one-out distances must ascend")
    for positions in (loo.members, loo.neighbors):
        if positions.dtype != np.int64 or positions.min() < 0 or positions.max() >= n:
            raise ValueError(f"positions outside of 0 ... {n - 1}")
    if (np.diff(loo.members) <= 0).any():
        raise ValueError("the positions of calibrating items must ascend")


def _check_storage(blocks: Sequence[Block], storage: str) -> None:
    allowed = list(STORAGES.values()) if storage == "auto" else [STORAGES[storage]]
    one_way = len({block.stored.dtype for block in blocks}) == 1 and blocks[0].stored.dtype in allowed
    if not one_way or blocks[0].dimension < 1:
        raise ValueError(f"embeddings must be stored as {storage}, got {blocks[0].stored.dtype}")


def _check_kept(kind: Kind[Any], blocks: Sequence[Block], n: int, thorough: bool) -> None:
    """Raise ValueError unless the kept content of items embeds to their vectors."""
    again = kind.embed_kept(evenly_placed(n, thorough))
    if again is None:
        return
    places, vectors = again
    storage = str(blocks[0].stored.dtype)
    rows, expected = rows_at(blocks, places), as_stored(vectors, storage)
    rounding = 1e-3 * np.nanmax(np.abs(rows), axis=0, initial=0, keepdims=True)  # for each column, as scales differ
    if storage == "uint8":  # a last bit may make a step on a row's scale
        rounding = rounding + 1.5 * np.ptp(rows, axis=1, keepdims=True) / LEVELS
    if not np.allclose(rows, expected, rtol=1e-3, atol=rounding, equal_nan=True):
        raise ValueError(f"the kept {kind.many} must embed to the vectors of the model")


def _check_description(manifest: Mapping[str, Any], model: Model) -> None:
    """Raise ValueError unless `model.json` describes the model as its files do; words may be of another release."""
    about = json.loads(json.dumps(model.describe(), default=lambda number: number.item()))
    for key in ("calibration", "contamination", "search"):
        if not _are_alike(manifest[key], about[key]):
            raise ValueError(f"its {key} must be what its files give")


def _are_alike(recorded: Any, computed: Any) -> bool:
    """Compare values from JSON: numbers up to rounding; explanations in words do not count."""
    if isinstance(computed, dict):
        same = isinstance(recorded, dict) and recorded.keys() == computed.keys()
        return same and all(
            _are_alike(recorded[key], computed[key]) for key in computed if key not in ("assumptions", "why")
        )
    if isinstance(computed, float):
        return isinstance(recorded, (int, float)) and math.isclose(recorded, computed, rel_tol=1e-6, abs_tol=1e-12)
    return bool(recorded == computed)


def load(path: str | os.PathLike[str], *, cache: Cache | bool | None = True, backbone: str | None = None) -> Model:
    """Load a saved model and check that its files are whole and that this machine embeds alike.

    Nothing that the model says is opened outside of its folder, or downloaded: its network lies in it, comes with an
    installed package, or is in the cache of its library.

    Parameters
    ----------
    path : path
        The folder.
    cache : Cache, bool or None, default=True
        Where embeddings are kept by content: in the user's cache, in another one, or nowhere (False).
    backbone : str, default=None
        The network by name or path, where the model does not hold it: named by you, it may be opened and downloaded,
        and must be the one that the model was made with.

    Returns
    -------
    model : Model

    Raises
    ------
    ModelError
        If it is missing or damaged.
    NotReproducible
        If this machine embeds otherwise.
    BackboneError
        If the network cannot be had.

    Examples
    --------
    >>> import dn2, numpy, os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "normal.dn2")
    ...     dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4))).save(path)
    ...     dn2.load(path).score_one([9, 9, 9, 9]).is_anomaly
    True
    """
    return read(Path(path), Cache.of(cache), backbone)
