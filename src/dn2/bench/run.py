"""A protocol from start to end: pictures in, a table and a figure out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dn2.bench import paper
from dn2.bench.analyses import centroids, neighbors
from dn2.bench.classes import backbones, multimodal, one_class
from dn2.bench.context import Bench
from dn2.bench.data import ClassFolders
from dn2.bench.embeddings import Watch, embed
from dn2.bench.few_shot import few_shot
from dn2.bench.figure import draw
from dn2.bench.groups import groups
from dn2.bench.impurity import impurity
from dn2.bench.result import Result
from dn2.bench.rivals import find_rivals
from dn2.bench.table import to_csv, to_markdown
from dn2.drawing import import_figure
from dn2.errors import InputError
from dn2.neighbors.normalize import normalize
from dn2.presets import WHITEN_FROM, get_preset
from dn2.store.cache import Cache
from dn2.store.results import write_file
from dn2.store.rows import Row

PROTOCOLS: dict[str, Callable[[Bench], Result]] = {
    "one-class": one_class,
    "multimodal": multimodal,
    "few-shot": few_shot,
    "impurity": impurity,
    "centroids": centroids,
    "neighbors": neighbors,
    "groups": groups,
}
BACKBONES = "backbones"
COMPARED = ("lite0", "lite2")
WITH_RIVALS = ("one-class", "multimodal", "few-shot")
WITH_WHITENING = (*WITH_RIVALS, BACKBONES)


@dataclass(frozen=True)
class Settings:
    """How pictures become embeddings, and embeddings scores.

    backbones : see `ImageEmbedder`, several for the protocol `backbones` alone; n_neighbors : number k of neighbours,
        fewer_among_few : or fewer in a small reference set; whiten : whether a large one is whitened.
    normalize : None for what measures best with the backbone; precision : `auto`, `f32` or `bf16`."""

    backbones: tuple[str, ...]
    n_neighbors: int
    fewer_among_few: bool = False
    whiten: bool = False
    normalize: str | None = None
    precision: str = "auto"

    @classmethod
    def of(
        cls,
        protocol: str,
        preset: str,
        backbones: Sequence[str],
        n_neighbors: int | None,
        normalize: str | None,
        precision: str,
    ) -> Settings:
        """Fill in what is not given: from the preset, or for the protocol `backbones` those that come with dn2."""
        chosen = get_preset(preset).for_groups() if protocol == "groups" else get_preset(preset)
        default = COMPARED if protocol == BACKBONES else (chosen.backbone,)
        k = chosen.n_neighbors if n_neighbors is None else n_neighbors
        whiten = chosen.whiten and protocol in WITH_WHITENING
        return cls(tuple(backbones) or default, k, n_neighbors is None, whiten, normalize, precision)


def check(protocol: str, settings: Settings, rivals: bool, output: Path) -> None:
    """Refuse before the work what could not be done.

    Raises InputError for several backbones or rivals where they have no place or a bad output, MissingExtra."""
    check_output(output)
    if protocol != BACKBONES and len(settings.backbones) > 1:
        raise InputError(f"{protocol} takes one backbone, got {len(settings.backbones)}; use the protocol {BACKBONES}")
    if rivals and protocol not in WITH_RIVALS:
        raise InputError(f"{protocol} has no rivals to run; --rivals goes with {', '.join(WITH_RIVALS)}, tabular, text")


def check_output(output: Path) -> None:
    """Refuse a folder that cannot be written, and any without what draws figures.  Raises InputError, MissingExtra."""
    import_figure()
    there = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"{output} cannot be written: {there} is no folder that takes files; give another with -o")


def run(
    protocol: str,
    data: ClassFolders,
    settings: Settings,
    *,
    seeds: int,
    rivals: bool = False,
    cache: Cache | None = None,
    watch: Watch,
) -> tuple[Result, list[Row]]:
    """Embed the pictures and run a protocol.

    Returns the result, and rows with the errors of the pictures that could not be read and are left out.
    Raises InputError, BackboneError, ReferenceTooSmall, MissingExtra."""
    if protocol != "multimodal":
        for name in data.normal:
            data.split((name,), 0)  # refused before the work rather than after it
    unreadable: dict[str, Row] = {}
    notes: list[str] = []

    def benches() -> Iterator[Bench]:
        for backbone in settings.backbones:
            embeddings = embed(data, backbone, settings.normalize, settings.precision, cache, watch)
            unreadable.update({row.item: row for row in embeddings.unreadable})
            notes.append(embeddings.describe() + ".")
            kept = data.only(embeddings.readable)
            vectors = normalize(embeddings.vectors, embeddings.normalization)
            found, missing = find_rivals(vectors, embeddings.vectors, kept, watch) if rivals else ([], [])
            notes.extend(missing)
            yield Bench(
                kept,
                backbone,
                vectors,
                settings.n_neighbors,
                seeds,
                watch,
                found,
                fewer_among_few=settings.fewer_among_few,
                whiten=settings.whiten,
                normalization=embeddings.normalization,
            )

    if protocol == BACKBONES:
        result = backbones(benches())
    else:
        bench = next(benches())
        result = PROTOCOLS[protocol](bench)
    if settings.whiten:
        notes.append(f"Reference sets of {WHITEN_FROM:,} pictures or more are whitened, as a random half teaches.")
    known = paper.reported(protocol, data.classes, data.normal)
    result.notes = [data.describe() + ".", *notes, *result.notes, *paper.notes(protocol, data.classes, known)]
    result.reported += known
    return result, list(unreadable.values())


def write(result: Result, folder: Path, name: str, figure: str) -> list[Path]:
    """Write `<name>.csv`, `.md` and the figure, `.png` or `.svg`, into a folder.

    Returns the files.  Raises InputError if they cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}") from error
    texts = {"csv": to_csv(result), "md": to_markdown(result)}
    for ending, text in texts.items():
        write_file(folder / f"{name}.{ending}", partial(_write_text, text))
    write_file(folder / f"{name}.{figure}", partial(draw, result, figure))
    return [folder / f"{name}.{ending}" for ending in (*texts, figure)]


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
