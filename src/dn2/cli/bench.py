"""`dn2 bench`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dn2.cli.common import (
    BACKBONES,
    CacheOption,
    Normalize,
    Precision,
    PrecisionOption,
    PresetName,
    check_outputs,
    finish,
    note,
    open_cache,
    warn_unreadable,
)
from dn2.printing import printable

if TYPE_CHECKING:
    from dn2.bench.result import Result
    from dn2.store.rows import Row

# What tables, messages and series have no use for.
OF_PICTURES = ("classes", "normal", "preset", "backbone", "normalize", "precision")


class Protocol(StrEnum):
    """The paper's settings and experiments."""

    one_class = "one-class"
    multimodal = "multimodal"
    few_shot = "few-shot"
    impurity = "impurity"
    groups = "groups"
    centroids = "centroids"
    neighbors = "neighbors"
    backbones = "backbones"
    tabular = "tabular"
    text = "text"
    series = "series"


class Figure(StrEnum):
    """Formats of a figure."""

    png = "png"
    svg = "svg"


def bench(
    context: typer.Context,
    protocol: Annotated[Protocol, typer.Argument(metavar="PROTOCOL", help="What to run.", show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder of train/CLASS/ and test/CLASS/, or of CLASS/, or of good/ and defects. For tabular, a "
            "folder of .npz files or one: X, and y that is 1 for an anomaly. For text, a folder of .csv and .jsonl "
            "files or one: text, and label that is 1, spam or oos for an anomaly. For series, a folder of .npz or .csv "
            "files or one: GROUP/NAME/values with GROUP/NAME/anomaly, or columns of numbers with anomaly or label.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")] = Path(
        "dn2-bench"
    ),
    classes: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Use only this class; repeat for several.", show_default=False),
    ] = None,
    normal: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Take only this class as normal; repeat for several.", show_default=False),
    ] = None,
    preset: Annotated[
        PresetName, typer.Option(help="Backbone and number of neighbours, where they are not given.")
    ] = PresetName.default,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"{BACKBONES} Default: the preset's. The protocol backbones takes several; its default: lite0, lite2.",
            show_default=False,
        ),
    ] = None,
    neighbors: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of nearest items that a score averages over. Default: the preset's, fewer for few items; "
            "2 for tables and messages, 1 for series.",
            show_default=False,
        ),
    ] = None,
    normalize: Annotated[
        Normalize | None, typer.Option(help="Feature normalisation. Default: the backbone's best.", show_default=False)
    ] = None,
    precision: PrecisionOption = Precision.auto,
    seeds: Annotated[int, typer.Option(min=1, help="Number of random draws, where anything is random.")] = 5,
    known: Annotated[
        int,
        typer.Option(
            "--reference",
            min=0,
            metavar="N",
            help="Of series, the first N points are normal and the reference. Default: none, each series is its own.",
            show_default=False,
        ),
    ] = 0,
    rivals: Annotated[bool, typer.Option("--rivals", help="Run other methods on the same splits, too.")] = False,
    figure: Annotated[Figure, typer.Option(help="Format of the figure.")] = Figure.png,
    report: Annotated[
        Path | None, typer.Option(help="Write the table and the figure as a page, too, this .html.", show_default=False)
    ] = None,
    cache: CacheOption = True,
) -> None:
    """Run a protocol of the paper's on pictures, tables, messages or series: CSV, a Markdown table, a figure."""
    from dn2.bench.data import find_classes
    from dn2.bench.run import Settings, check, check_output, run, write
    from dn2.bench.table import to_markdown
    from dn2.cli.bench_page import write_bench_page
    from dn2.cli.progress import progress
    from dn2.report.page import check_page

    unreadable: list[Row] = []
    check_outputs([*(output / f"{protocol}.{one}" for one in ("csv", "md", figure)), report], [str(data)])
    if report is not None:
        check_page(report)
    if protocol != Protocol.series:
        works_on = {Protocol.tabular: "tables", Protocol.text: "messages"}.get(protocol, "pictures")
        _refuse(context, protocol, works_on, ("known",), only="series")
    if protocol == Protocol.tabular:
        _refuse(context, protocol, "tables", (*OF_PICTURES, "cache"))
        check_output(output)
        result = _run_tabular(data, neighbors, seeds, rivals)
    elif protocol == Protocol.text:
        _refuse(context, protocol, "messages", OF_PICTURES)
        check_output(output)
        result = _run_text(data, neighbors, seeds, rivals, cache)
    elif protocol == Protocol.series:
        _refuse(context, protocol, "series", (*OF_PICTURES, "cache", "seeds"))
        check_output(output)
        result = _run_series(data, neighbors, rivals, known)
    else:
        settings = Settings.of(protocol, preset, backbone or (), neighbors, normalize, precision)
        check(protocol, settings, rivals, output)
        found = find_classes(data, classes or (), normal or ())
        result, unreadable = run(
            protocol, found, settings, seeds=seeds, rivals=rivals, cache=open_cache(cache), watch=progress
        )
    files = write(result, output, protocol, figure)
    if report is not None:
        write_bench_page(result, report)
        files.append(report)
    print("\n".join(map(printable, to_markdown(result).split("\n"))))
    note(f"written: {', '.join(map(str, files))}")
    warn_unreadable(unreadable)
    finish(unreadable)


def _run_tabular(data: Path, neighbors: int | None, seeds: int, rivals: bool) -> Result:
    from dn2.bench.tabular import find_methods, tabular
    from dn2.bench.tabular_data import read_sets
    from dn2.bench.tabular_methods import N_NEIGHBORS
    from dn2.cli.progress import progress

    k = N_NEIGHBORS if neighbors is None else neighbors
    methods, notes = find_methods(k, rivals)
    return tabular(read_sets(data, k), methods, notes, seeds=seeds, watch=progress)


def _run_text(data: Path, neighbors: int | None, seeds: int, rivals: bool, cache: bool) -> Result:
    from dn2.bench.text import N_NEIGHBORS, text
    from dn2.bench.text_data import read_text_sets
    from dn2.cli.progress import progress

    k = N_NEIGHBORS if neighbors is None else neighbors
    sets = read_text_sets(data, k)
    return text(sets, k, rivals, seeds=seeds, cache=open_cache(cache), watch=progress)


def _run_series(data: Path, neighbors: int | None, rivals: bool, known: int) -> Result:
    from dn2.bench.series import N_NEIGHBORS, series
    from dn2.bench.series_data import read_labelled
    from dn2.cli.progress import progress

    k = N_NEIGHBORS if neighbors is None else neighbors
    return series(read_labelled(data), k, rivals, known, watch=progress)


def _refuse(
    context: typer.Context, protocol: Protocol, works_on: str, names: Sequence[str], only: str = "pictures"
) -> None:
    """Raise InputError for options, by the names of their parameters, that the user gave and that only other protocols
    have."""
    from dn2.errors import InputError

    sources = {name: context.get_parameter_source(name) for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        options = [parameter.opts[0] for parameter in context.command.params if parameter.name in given]
        raise InputError(f"{protocol} works on {works_on}: {', '.join(options)} can only be given for {only}")
