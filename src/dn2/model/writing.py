"""Models to disk: the files of a model and their content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np

from dn2 import __version__
from dn2.arrays import Positions
from dn2.model.state import Origin, State
from dn2.neighbors.blocks import Block, Codes, first_positions
from dn2.store import bundle
from dn2.store.manifest import FORMAT, MANIFEST
from dn2.store.shards import Shard, removed_rows, shards_of
from dn2.store.versions import Replaced
from dn2.system.naming import path_to_text

READABLE_FROM = "0.1.0"


def write(model: State, folder: Path, overwrite: bool) -> Origin:
    """Save the state of a model; see `Model.save`."""
    blocks = model.detector.blocks
    origin = model.origin if model.origin is not None and model.origin.folder == folder.resolve() else None
    known_shards = origin.shards if origin is not None and (folder / MANIFEST).exists() else ()
    shards = shards_of(blocks, known_shards)
    if model.forgets:  # files with rows that were removed are written anew
        shards = [
            None if shard is None or len(shard) > len(block) else shard
            for block, shard in zip(blocks, shards, strict=True)
        ]
    removed = removed_rows(blocks, shards)
    codes = _codes_in_files(blocks, shards)
    block_contents = _parts_of_blocks(model, shards, codes)
    contents = {**block_contents, "reference-scores": [asdict(model.detector.leave_one_out)], **model.kind.contents()}
    contents |= model.told.as_contents()
    if (windows := model.detector.reference.windows) is not None:
        contents["places"] = [windows.as_arrays()]
    if (learnt := model.detector.learnt) is not None:
        contents["learnt"] = [learnt.as_arrays()]
    if len(removed):
        contents["removed"] = [{"rows": removed}]
    manifest = {
        "format": FORMAT,
        "readable_from": READABLE_FROM,
        "dn2": __version__,
        **model.describe(),
        "removed_in_files": len(removed),
        "mapped": [kind for kind in block_contents if kind != "items"],
    }
    replaces = None if origin is None else Replaced(origin.digest, "; ".join(model.changes), model.forgets)
    digest, files = bundle.save(folder, manifest, contents, replaces, overwrite)
    rows = [block.kept if shard is None else shard.rows for block, shard in zip(blocks, shards, strict=True)]
    saved = shards_in_files(blocks, rows, {kind: files[kind] for kind in block_contents}, codes or [None] * len(blocks))
    return Origin(folder.resolve(), digest, saved, None if model.origin is None else model.origin.backbone)


def _parts_of_blocks(
    model: State, shards: Sequence[Shard | None], codes: Sequence[Codes] | None
) -> dict[str, Iterable[bundle.Content]]:
    """Give the files of each block by kind: existing ones are reused, and others are made when they are written.

    shards, codes : of each block."""
    blocks = model.detector.blocks
    places = [slice(start, stop) for start, stop in pairwise(first_positions(blocks).tolist())]

    def of_items(kind: str, content: Callable[[slice], bundle.Content]) -> Iterator[bundle.Content]:
        for positions, shard in zip(places, shards, strict=True):
            yield content(positions) if shard is None else shard.files[kind]

    def items(positions: slice) -> bundle.Content:
        return [
            {"item": item.name, "path": path_to_text(item.path), "sha256": item.sha256}
            | {name: label for name in ("part", "per", "role") if (label := getattr(item, name))}
            for item in model.items[positions]
        ]

    makers = {"items": items, **model.kind.contents_of_items()}
    contents: dict[str, Iterable[bundle.Content]] = {kind: of_items(kind, content) for kind, content in makers.items()}
    contents["reference"] = (
        {"embeddings": block.compact().stored, "draws": block.draws} if shard is None else shard.files["reference"]
        for block, shard in zip(blocks, shards, strict=True)
    )
    if codes is not None:
        contents["codes"] = [
            shard.files["codes"]
            if shard is not None and _are_same_codes(block_codes, shard.codes)
            else {"codes": block_codes}
            for block_codes, shard in zip(codes, shards, strict=True)
        ]
    return contents


def _codes_in_files(blocks: Sequence[Block], shards: Sequence[Shard | None]) -> list[Codes] | None:
    """Return the codes of each block as its file holds them; None for a search without codes.

    shards : the files of each block, which may also hold removed rows."""
    codes: list[Codes] = []
    for block, shard in zip(blocks, shards, strict=True):
        if block.all_codes is None or block.codes is None:
            return None
        all_codes = block.all_codes if shard is None or shard.rows is None else block.all_codes[shard.rows]
        codes.append(block.codes if shard is None else all_codes)
    return codes


def _are_same_codes(codes: Codes, stored: Codes | None) -> bool:
    return codes is stored or (stored is not None and np.array_equal(codes, stored))


def shards_in_files(
    blocks: Sequence[Block],
    rows: Sequence[Positions | None],
    files: Mapping[str, Sequence[bundle.StoredFile]],
    codes: Sequence[Codes | None],
) -> list[Shard]:
    """Note which files hold each block.

    rows : the stored rows of each block that its files hold; None for all."""
    by_block = [dict(zip(files, files_of_block, strict=True)) for files_of_block in zip(*files.values(), strict=True)]
    stored = [block.stored for block in blocks]
    return [Shard(*fields) for fields in zip(stored, rows, by_block, codes, strict=True)]
