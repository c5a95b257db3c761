"""Models to disk: what of a model goes into which file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np

from dn2 import __version__
from dn2.naming import path_to_text
from dn2.neighbors.blocks import Block, Codes, Positions, first_positions
from dn2.state import Origin, State
from dn2.store import bundle
from dn2.store.manifest import FORMAT, MANIFEST
from dn2.store.shards import Shard, removed_rows, shards_of

READABLE_FROM = "0.1.0"


def write(model: State, folder: Path, overwrite: bool) -> Origin:
    """Save a model as it is; see `Model.save`."""
    blocks = model.detector.blocks_
    origin = model.origin if model.origin is not None and model.origin.folder == folder.resolve() else None
    known = origin.shards if origin is not None and (folder / MANIFEST).exists() else ()
    shards = shards_of(blocks, known)
    removed = removed_rows(blocks, shards)
    codes = _codes(blocks, shards)
    of_blocks = _parts_of_blocks(model, shards, codes)
    parts = {**of_blocks, "reference-scores": [asdict(model.detector.leave_one_out_)], **model.kind.parts()}
    if (line := model.detector.reference_.line) is not None:
        parts["places"] = [line.as_arrays()]
    if model.detector.learnt_ is not None:
        parts["learnt"] = [asdict(model.detector.learnt_)]
    if len(removed):
        parts["removed"] = [{"rows": removed}]
    manifest = {
        "format": FORMAT,
        "readable_from": READABLE_FROM,
        "dn2": __version__,
        **model.describe(),
        "removed_in_files": len(removed),
    }
    replaces = None if origin is None else origin.digest
    digest, files = bundle.save(folder, manifest, parts, replaces, overwrite)
    rows = [block.kept if shard is None else shard.rows for block, shard in zip(blocks, shards, strict=True)]
    saved = shards_in_files(blocks, rows, {kind: files[kind] for kind in of_blocks}, codes or [None] * len(blocks))
    return Origin(folder.resolve(), digest, saved)


def _parts_of_blocks(
    model: State, shards: Sequence[Shard | None], codes: Sequence[Codes] | None
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


def shards_in_files(
    blocks: Sequence[Block],
    rows: Sequence[Positions | None],
    files: Mapping[str, Sequence[bundle.Existing]],
    codes: Sequence[Codes | None],
) -> list[Shard]:
    """Note which files hold each block; rows : those of its stored rows that they hold."""
    by_block = [dict(zip(files, of_one, strict=True)) for of_one in zip(*files.values(), strict=True)]
    stored = [block.stored for block in blocks]
    return [Shard(*one) for one in zip(stored, rows, by_block, codes, strict=True)]
