"""`dn2 score`."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dn2.cli import stopping
from dn2.cli.common import (
    INPUTS,
    CacheOption,
    ExcludeOption,
    MaskOption,
    MemoryOption,
    NamedBackboneOption,
    OnOption,
    PartOption,
    PerOption,
    RateOption,
    WarnRateOption,
    check_model_first,
    check_outputs,
    console,
    finish,
    load,
    note,
    quote_words,
    say_next,
)
from dn2.cli.options import Flag, flags_of
from dn2.cli.progress import progress
from dn2.cli.stdin import with_stdin
from dn2.errors import InputError
from dn2.kinds.registry import choose_itself, heading_of, kind_of, kinds_that_compare_themselves
from dn2.results.words import join_words
from dn2.system.interface import option
from dn2.system.printing import printable_json

if TYPE_CHECKING:
    from dn2.monitor.stream import Change
    from dn2.results.results import Results

logger = logging.getLogger("dn2")


SELF = "--self"


def score(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="The folder of a model, made by dn2 fit. With --self there is none: INPUT comes first.",
            show_default=False,
        ),
    ],
    inputs: Annotated[list[str] | None, typer.Argument(metavar="INPUT", help=INPUTS, show_default=False)] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write all rows to this .csv, .jsonl or .parquet, and print no table.",
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write a page to look at, this .html.", show_default=False),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of series, write the scores of all points, too, to this .csv or .parquet.",
            show_default=False,
        ),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Of pictures compared patch by patch, write where each is strange, too: a map of 16 bits, and the "
            "picture with the map laid over it.",
            show_default=False,
        ),
    ] = None,
    mask: MaskOption = None,
    part: PartOption = None,
    per: PerOption = None,
    false_alarm_rate: RateOption = None,
    warn_rate: WarnRateOption = None,
    fdr: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Decide all items together, so that about this share of the alarms, or less, is false "
            "(Benjamini-Hochberg), instead of at a false-alarm rate.",
            show_default=False,
        ),
    ] = None,
    memory: MemoryOption = None,
    audit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Draw one item in N at random, or one part, for a person to judge whatever its score: the column "
            "audit; the page hides what dn2 says of it until it is judged.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines instead of a table.")] = False,
    fail_on_anomaly: Annotated[
        bool,
        typer.Option(
            "--fail-on-anomaly",
            help="Exit with status 1 if an item is anomalous. Else: 0 done, 2 nothing done, 3 some not read, 4 the "
            "worst was a warning.",
        ),
    ] = False,
    itself: Annotated[
        bool,
        typer.Option(SELF, help="Score series against themselves, without a model, to find what is unlike the rest."),
    ] = False,
    exclude: ExcludeOption = None,
    backbone: NamedBackboneOption = None,
    on: OnOption = None,
    cache: CacheOption = True,
    **options: Any,
) -> None:
    """Score items: how anomalous each is, its p-value, and the normal items that are nearest to it."""
    from dn2.monitor.batch import BatchWatch
    from dn2.report.page import check_page
    from dn2.results.written import writer_for

    if part and not inputs and os.path.exists(part):
        part, inputs = "", [part]  # `--part incoming/`: the folder is no rule
    scored, place = [model, *(inputs or ())] if itself else list(inputs or ()), Path(model)
    if not itself:
        check_model_first("score", place, scored)
    if not scored:
        raise InputError(
            f"nothing to score: give INPUT after MODEL, dn2 score {quote_words(model)} INPUT; or {SELF}, for series "
            "that have no model"
        )
    for path, check in ((output, writer_for), (page, check_page)):
        if path is not None:
            check(path)
    outputs = (output, page, points)
    watch: BatchWatch | None = None
    if itself:
        _check_self(scored, backbone, {"fdr": fdr, "warn_rate": warn_rate})
        for name, value, why in (
            ("maps", maps, "is for series, which have no maps"),
            ("mask", mask, "is for series, which have no masks"),
            ("on", on, "takes one machine"),
            ("audit", audit, "is for series, whose rows are intervals that scores choose"),
        ):
            if value is not None:
                raise InputError(f"{SELF} {why}: leave out {option(name)}")
        kind = choose_itself(None)
        _check_points(kind_of(kind), points)
        limits = {"false_alarm_rate": false_alarm_rate, "memory": memory}
        with with_stdin(scored, kind) as sources:
            check_outputs(outputs, sources, kind, exclude)
            results = _score_self(sources, kind, options | limits, exclude or ())
            _write(results, output, page, points)
    else:
        if options:
            names = join_words([option(name) for name in options])
            raise InputError(f"{names} can be given with {SELF} alone: a model knows what it was fitted with")
        loaded = load(place, cache=cache, backbone=backbone)
        _check_points(loaded.kind, points)
        with with_stdin(scored, loaded.kind.name) as sources:
            check_outputs(outputs, sources, loaded.kind.name, exclude)
            with progress("scoring") as show, BatchWatch(loaded).watching() as watch:
                results = loaded.score(
                    sources,
                    part=True if part == "" else part,
                    per=per,
                    false_alarm_rate=false_alarm_rate,
                    warn_rate=warn_rate,
                    fdr=fdr,
                    memory=memory,
                    audit=audit,
                    exclude=exclude or (),
                    maps=maps,
                    mask=mask,
                    on=on,
                    progress=show,
                )
            _write(results, output, page, points)
    _print(results, as_json, output)
    _say(results, None if itself else place, (*outputs, maps), None if watch is None else watch.alarm)
    anomaly_found = bool(results.anomalies) or any(row.is_anomaly for row in results.parts)
    warned = not anomaly_found and any(row.decision == "warn" for row in (*results, *results.parts))
    finish([*results.unreadable, *results.undecided], anomaly_found=fail_on_anomaly and anomaly_found, warned=warned)


def self_flags() -> list[Flag]:
    """Return the flags of scoring without a model, besides those that `score` always has."""
    kinds = kinds_that_compare_themselves()
    flags = flags_of(kinds, lambda option: option.name not in ("false_alarm_rate", "memory"))
    return [flag._replace(heading=f"{heading_of(flag.kinds)}, with {SELF}") for flag in flags]


def _check_self(scored: Sequence[str], backbone: str | None, rates: Mapping[str, float | None]) -> None:
    from dn2.store.bundle import is_model

    for path in scored:
        if os.path.isdir(path) and is_model(Path(path)):
            raise InputError(
                f"with {SELF} series are scored without a model, and {path} is one: leave it out, or leave {SELF} out"
            )
    if backbone is not None:
        raise InputError(
            f"items scored against themselves have no model with a backbone: leave out {option('backbone')}"
        )
    if given := [option(name) for name, rate in rates.items() if rate is not None]:
        raise InputError(
            f"items scored against themselves are ranked by one rate; leave out {join_words(given)}, and ask for "
            f"{option('false_alarm_rate')}"
        )


def _check_points(kind: Any, points: Path | None) -> None:
    if points is not None:
        kind.check_points(points)


def _score_self(inputs: Sequence[Any], kind: str, options: dict[str, Any], exclude: Sequence[str]) -> Results:
    import dn2

    with progress("scoring") as show:
        results = dn2.score_self(inputs, kind=kind, exclude=exclude, progress=show, **options)
    logger.info("scored against themselves: a rate flags that share of the intervals, whatever they are")
    return results


def _write(results: Results, output: Path | None, page: Path | None, points: Path | None) -> None:
    if output is not None:
        results.save(output)
        stopping.wrote(output)
    if page is not None:
        with progress("reading pictures") as show:
            results.to_html(page, progress=show)
        stopping.wrote(page)
    if points is not None and results.points is not None:
        results.points.save(points)
        stopping.wrote(points)


def _print(results: Results, as_json: bool, output: Path | None) -> None:
    from dn2.cli.show import results_table

    if as_json:
        for line in results.json_lines():
            print(printable_json(line))
    elif output is None:
        results_table(results, console())


def _say(results: Results, model: Path | None, outputs: Sequence[Path | None], alarm: Change | None) -> None:
    from dn2.kinds.guarantee import worth_of

    if results.reference_items:
        logger.info(
            "%d of %d items are reference items, or copies of them: such an item has itself as a neighbour, and is "
            "hardly ever flagged",
            results.reference_items,
            len(results) - len(results.errors),
        )
    written = join_words([str(path) for path in outputs if path is not None])
    note(results.summary() + (f"; written to {written}" if written else ""))
    if words := worth_of(results):
        note(words)
    if alarm is not None and not results.reference_items:
        way = f"dn2 recalibrate {quote_words(str(model))} NORMALS, with normal items of now"
        note(f"drift: {alarm}; look at these: if they are normal, {way}")
    say_next(_next_step(model, outputs[1]))


def _next_step(model: Path | None, page: Path | None) -> str:
    """Say what to do with the results."""
    look = f"open {page}" if page is not None else "--report report.html shows the evidence"
    if model is None:
        return f"{look}; dn2 fit INPUT -o MODEL, of series that are normal, scores new ones"
    shown = quote_words(model)
    return f"{look}; dn2 inspect {shown} says what a decision is worth; dn2 add {shown} INPUT takes in normal items"
