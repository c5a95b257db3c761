"""A protocol from start to end: pictures in, a table and a figure out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from dn2.bench import classes, paper
from dn2.bench.context import Bench
from dn2.bench.data import ClassFolders
from dn2.bench.embeddings import Settings, Watch
from dn2.bench.figure import draw, import_figure
from dn2.bench.result import Result
from dn2.bench.table import to_csv, to_markdown
from dn2.errors import InputError
from dn2.store.cache import Cache
from dn2.store.results import Row, write_file

PROTOCOLS: dict[str, Callable[[Bench], Result]] = {
    "one-class": classes.one_class,
    "multimodal": classes.multimodal,
}
BACKBONES = "backbones"
WITH_RIVALS = ("one-class", "multimodal")


def check(protocol: str, settings: Settings, rivals: bool, output: Path) -> None:
    """Refuse before the work what could not be done.

    Raises InputError for several backbones or rivals where they have no place or a bad output, MissingExtra."""
    import_figure()
    if protocol != BACKBONES and len(settings.backbones) > 1:
        raise InputError(f"{protocol} takes one backbone, got {len(settings.backbones)}; use the protocol {BACKBONES}")
    if rivals and protocol not in WITH_RIVALS:
        raise InputError(f"{protocol} has no rivals to run; --rivals goes with {', '.join(WITH_RIVALS)}")
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; give a folder with -o")


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
    unreadable: dict[str, Row] = {}
    notes: list[str] = []

    def benches() -> Iterator[Bench]:
        for backbone in settings.backbones:
            embeddings = settings.embed(backbone, data, cache, watch)
            unreadable.update({row.item: row for row in embeddings.unreadable})
            notes.append(embeddings.describe() + ".")
            kept = data.only(embeddings.readable)
            embeddings = replace(embeddings, vectors=embeddings.vectors[embeddings.readable])
            yield Bench(kept, embeddings, settings.n_neighbors, seeds, watch)

    if protocol == BACKBONES:
        result = classes.backbones(benches())
    else:
        bench = next(benches())
        result = PROTOCOLS[protocol](bench)
    result.notes = [data.describe() + ".", *notes, *result.notes, *paper.rivals_in_words(data.classes)]
    result.reported = paper.reported(protocol, data.classes, data.normal)
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
