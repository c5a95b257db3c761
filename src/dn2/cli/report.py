"""`dn2 report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dn2.cli.common import CacheOption, NamedBackboneOption, RateOption, check_outputs, load, note


def report(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="A .csv, .jsonl or .parquet that score wrote.", show_default=False)
    ],
    model: Annotated[Path, typer.Option(metavar="MODEL", help="The model that scored them.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The page, .html.", show_default=False)
    ],
    root: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder that the items' names start from.")] = Path(
        "."
    ),
    false_alarm_rate: RateOption = None,
    backbone: NamedBackboneOption = None,
    cache: CacheOption = True,
) -> None:
    """Show results as one page that needs no network: what was found, and why."""
    from dn2.cli.progress import progress
    from dn2.evidence import read_scored
    from dn2.report.page import check_page

    check_page(output)
    check_outputs((output,), [str(results)])
    loaded = load(model, cache=cache, backbone=backbone)
    with progress("embedding") as show:
        found = read_scored(loaded, results, root, false_alarm_rate, show)
    with progress("reading pictures") as show:
        found.to_html(output, progress=show)
    note(f"written: {output}")
