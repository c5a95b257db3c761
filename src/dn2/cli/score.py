"""`dn2 score`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dn2.cli.common import (
    INPUTS,
    CacheOption,
    IdOption,
    KindName,
    MemoryOption,
    NamedBackboneOption,
    RateOption,
    TimeOption,
    ValueOption,
    WindowOption,
    check_outputs,
    console,
    finish,
    load,
    note,
)
from dn2.errors import InputError
from dn2.printing import printable_json

if TYPE_CHECKING:
    from dn2.store.results import Results

logger = logging.getLogger("dn2")


def score(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="A model's folder, made by fit; or INPUT, with --self.", show_default=False
        ),
    ],
    inputs: Annotated[list[str] | None, typer.Argument(metavar="INPUT", help=INPUTS, show_default=False)] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write all rows to this .csv, .jsonl or .parquet.", show_default=False),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--report", help="Write a page to look at, this .html.", show_default=False)
    ] = None,
    false_alarm_rate: RateOption = None,
    fdr: Annotated[
        float | None,
        typer.Option(
            help="Decide the batch so that this share of its alarms is false (Benjamini-Hochberg).", show_default=False
        ),
    ] = None,
    memory: MemoryOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines instead of a table.")] = False,
    fail_on_anomaly: Annotated[
        bool, typer.Option("--fail-on-anomaly", help="Exit with 1 if an item is anomalous.")
    ] = False,
    points: Annotated[
        Path | None,
        typer.Option(help="Of series, write the scores of all points to this .csv or .parquet.", show_default=False),
    ] = None,
    itself: Annotated[
        bool, typer.Option("--self", help="Score series against themselves: no model is needed.")
    ] = False,
    id_column: IdOption = None,
    time: TimeOption = None,
    value: ValueOption = None,
    window: WindowOption = None,
    backbone: NamedBackboneOption = None,
    cache: CacheOption = True,
) -> None:
    """Score items, with p-values and the nearest normal items."""
    from dn2.cli.progress import progress
    from dn2.cli.show import results_table, summary
    from dn2.report.page import check_page
    from dn2.store.points import points_writer_for
    from dn2.store.results import writer_for

    scored = [str(model), *(inputs or ())] if itself else inputs
    if not scored:
        raise InputError("nothing to score: give INPUT after MODEL; or --self, for series that have no model")
    for path, check in ((output, writer_for), (page, check_page), (points, points_writer_for)):
        if path is not None:
            check(path)
    of_series = {"id_column": id_column, "time": time, "values": value, "window": window}
    if itself:
        if backbone is not None:
            raise InputError("series scored against themselves have no backbone: leave out --backbone")
        check_outputs((output, page, points), scored, KindName.series)
        results = _score_self(scored, of_series | {"values": value or ()}, false_alarm_rate, fdr, memory)
    else:
        if any(one is not None for one in of_series.values()):
            raise InputError("a model knows its columns and window: --id, --time, --value and --window go with --self")
        loaded = load(model, cache=cache, backbone=backbone)
        check_outputs((output, page, points), scored, loaded.kind.name)
        if points is not None and loaded.kind.name != KindName.series:
            raise InputError(f"only series have points, and {model} is a model of the kind {loaded.kind.name}")
        with progress("scoring") as show:
            results = loaded.score(
                scored, false_alarm_rate=false_alarm_rate, fdr=fdr, memory_limit=memory, progress=show
            )
    if output is not None:
        results.save(output)
    if page is not None:
        with progress("reading pictures") as show:
            results.to_html(page, progress=show)
    if points is not None and results.points is not None:
        results.points.save(points)
    if as_json:
        for line in results.json_lines():
            print(printable_json(line))
    elif output is None:
        results_table(results, console())
    if results.reference_items:
        logger.info(
            "%d of %d items are reference items, or copies of them: such an item has itself as a neighbour, and is "
            "hardly ever flagged",
            results.reference_items,
            len(results) - len(results.errors),
        )
    written = " and ".join(str(path) for path in (output, page, points) if path is not None)
    note(summary(results) + (f"; written to {written}" if written else ""))
    if fdr is not None:
        logger.info(
            "decided at a false-discovery rate of %g, which is proven for independent p-values and only measured for "
            "leave-one-out ones",
            fdr,
        )
    finish(results.unreadable, found=fail_on_anomaly and bool(results.anomalies))


def _score_self(
    inputs: list[str], of_series: Mapping[str, Any], rate: float | None, fdr: float | None, memory: str | None
) -> Results:
    import dn2
    from dn2.cli.progress import progress

    if fdr is not None:
        raise InputError("series scored against themselves have no false-discovery rate; ask for --false-alarm-rate")
    with progress("scoring") as show:
        results = dn2.score_self(inputs, false_alarm_rate=rate, memory_limit=memory, progress=show, **of_series)
    logger.info("scored against themselves: a rate flags that share of the intervals, whatever they are")
    return results
