"""The commands.  Each imports what it needs when it runs, so that `dn2 --help` answers at once."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dn2.cli.backbones import embed, export
from dn2.cli.bench import bench
from dn2.cli.common import (
    CacheOption,
    JsonOption,
    ModelArgument,
    NamedBackboneOption,
    PlotOption,
    check_outputs,
    check_plot,
    console,
    finish,
    load,
    note,
    warn_unreadable,
)
from dn2.cli.reference import add, fit, readmit, remove
from dn2.cli.report import report
from dn2.cli.score import score
from dn2.errors import InputError
from dn2.printing import line_of

logger = logging.getLogger("dn2")

app = typer.Typer(
    help="Show it what normal looks like; it finds the rest.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    if version:
        from dn2 import __version__

        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise InputError("no command given; each has its own --help")


def evaluate(
    model: ModelArgument,
    normal: Annotated[list[str], typer.Option(metavar="INPUT", help="Items known to be normal; repeat for several.")],
    anomalous: Annotated[
        list[str], typer.Option(metavar="INPUT", help="Items known to be anomalous; repeat for several.")
    ],
    plot: PlotOption = None,
    as_json: JsonOption = False,
    backbone: NamedBackboneOption = None,
    cache: CacheOption = True,
) -> None:
    """Measure a model on items whose truth is known."""
    from dn2.cli.progress import progress
    from dn2.cli.show import evaluation_table

    check_plot(plot)
    loaded = load(model, cache=cache, backbone=backbone)
    check_outputs((plot,), (*normal, *anomalous), loaded.kind.name)
    with progress("scoring") as show:
        known = loaded.score_known(normal, anomalous, progress=show)
    rate = loaded.false_alarm_rate
    evaluation = known.evaluate(rate)
    if plot is not None:
        from dn2.report.plots import plot_evaluation

        plot_evaluation(known.scores, known.is_anomalous, loaded.calibration.threshold(rate), rate, plot)
        note(f"written: {plot}")
    if as_json:
        print(json.dumps(asdict(evaluation)))
    else:
        evaluation_table(evaluation, console())
    warn_unreadable(known.unreadable)
    finish(known.unreadable)


def inspect(
    model: ModelArgument,
    items: Annotated[bool, typer.Option("--items", help="List the names of the reference items instead.")] = False,
    aside: Annotated[
        bool, typer.Option("--aside", help="List the names of the items set aside as probable anomalies instead.")
    ] = False,
    plot: PlotOption = None,
    as_json: JsonOption = False,
    backbone: NamedBackboneOption = None,
) -> None:
    """Say what a model is and what its decisions are worth."""
    from dn2.cli.show import description
    from dn2.printing import printable

    if items and aside:
        raise InputError("--items and --aside are two lists; ask for one of them")
    check_plot(plot)
    loaded = load(model, cache=False, backbone=backbone)
    if plot is not None:
        from dn2.report.plots import plot_model

        plot_model(loaded.calibration, loaded.false_alarm_rate, plot)
        note(f"written: {plot}")
    if items or aside:
        names = loaded.set_aside if aside else [item.name for item in loaded.items]
        for line in [json.dumps(names)] if as_json else map(printable, names):
            print(line)
    elif as_json:
        print(json.dumps({**loaded.describe(), "near_duplicates": loaded.near_duplicates()}))
    else:
        description(loaded.describe(), loaded.near_duplicates(), console())


def verify(model: ModelArgument, backbone: NamedBackboneOption = None) -> None:
    """Check a model whole: every byte against its digests, every number, and that it embeds here as it did."""
    from dn2.loading import verify

    print(line_of(f"{model}: whole, {verify(model, backbone)} files checked"))


def demo(
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")] = Path(
        "dn2-demo"
    ),
) -> None:
    """Show the whole story on scikit-learn's handwritten digits."""
    from dn2.cli.demo import run

    run(folder, console())


for _command in (fit, score, evaluate, add, remove, readmit, inspect, verify, embed, export, bench, report, demo):
    app.command()(_command)
