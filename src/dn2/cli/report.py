"""`dn2 report`."""

from __future__ import annotations

import logging
import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dn2.cli import stopping
from dn2.cli.common import (
    CacheOption,
    MaskOption,
    NamedBackboneOption,
    RateOption,
    WarnRateOption,
    check_outputs,
    load,
    note,
    quote_words,
)
from dn2.errors import InputError
from dn2.system.stores import AnyPath, StoredPath, name_stored

if TYPE_CHECKING:
    from dn2.results.results import Results

logger = logging.getLogger("dn2")

FOLDERS_TRIED = 1_000
HERE = Path(".")


def report(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS", help="A .csv, .jsonl or .parquet that dn2 score -o wrote.", show_default=False
        ),
    ],
    model: Annotated[Path, typer.Option(metavar="MODEL", help="The model that scored them.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .html to write.", show_default=False)
    ],
    root: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the pictures are: the folder, or its URL, that dn2 score was given as INPUT. Default: the "
            "working folder.",
            show_default=False,
        ),
    ] = None,
    mask: MaskOption = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Of groups, what dn2 score was told to leave out.", show_default=False),
    ] = None,
    false_alarm_rate: RateOption = None,
    warn_rate: WarnRateOption = None,
    backbone: NamedBackboneOption = None,
    cache: CacheOption = True,
) -> None:
    """Show results as one page that needs no network: what was found, and why."""
    from dn2.cli.progress import progress
    from dn2.inputs.leaving_out import leaving_out
    from dn2.model.scoring import read_scored
    from dn2.report.page import check_page

    _check_order(results, model)
    place = _place_of(root)
    check_page(output)
    check_outputs((output,), [str(results)])
    loaded = load(model, cache=cache, backbone=backbone)
    with leaving_out(exclude, is_told=False), progress("embedding") as show:
        scored = read_scored(loaded, results, place, false_alarm_rate, warn_rate, show, mask)
    files = None if scored.context is None else scored.context.files
    if files is None and (root is not None or exclude):
        flag = "--root" if root is not None else "--exclude"
        raise InputError(f"{loaded.kind.many} have no pictures that lie in a folder: leave out {flag}")
    _warn_of_missing(scored, place)
    with progress("reading pictures") as show:
        scored.to_html(output, progress=show)
    stopping.wrote(output)
    note(f"written: {output}")


def _place_of(root: str | None) -> AnyPath:
    named = name_stored(root)
    return named if isinstance(named, StoredPath) else Path(named or HERE)


def _check_order(results: Path, model: Path) -> None:
    from dn2.store.manifest import MANIFEST

    if (results / MANIFEST).is_file():
        shown = quote_words(model, "--model", results)
        raise InputError(f"{results} is a model, and the results come first: dn2 report {shown} -o report.html")


def _warn_of_missing(scored: Results, root: AnyPath) -> None:
    """Warn of items whose files were not found again, and say where they may be."""
    files = scored.context.files if scored.context is not None else None
    if files is None:
        return
    readable = [(row.item, file) for row, file in zip(scored, files, strict=True) if row.error is None]
    missing = [item for item, file in readable if file is None]
    if not missing:
        return
    logger.warning(
        "%s of %s items, such as %s, %s not found in %s as they were scored, and the page shows no picture of them: %s",
        f"{len(missing):,}",
        f"{len(readable):,}",
        missing[0],
        "is" if len(missing) == 1 else "are",
        "the working folder" if root == HERE else root,
        _way_out(root, missing[0]),
    )


def _way_out(where: AnyPath, item: str) -> str:
    if isinstance(where, StoredPath):
        return "give --root the URL that dn2 score was given"
    if os.path.isdir(where / item):
        return "if dn2 score was given --exclude, give the same; else its files are others by now"
    place = _folder_with(where, item)
    return f"give --root {quote_words(place)}" if place is not None else "give --root FOLDER, the INPUT of dn2 score"


def _folder_with(where: Path, item: str) -> Path | None:
    """Find a folder that an item's name leads to a file from: among the subfolders, or the parent."""
    try:
        with os.scandir(where) as entries:
            inside = sorted(entry.name for entry in islice(entries, FOLDERS_TRIED) if entry.is_dir())
        candidates = [*(where / name for name in inside), where.resolve().parent]
        return next((folder for folder in candidates if (folder / item).exists()), None)
    except (OSError, ValueError):
        return None
