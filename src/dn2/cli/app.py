"""The commands.  Each imports what it needs when it runs, so that `dn2 --help` answers at once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dn2.cli import stopping
from dn2.cli.backbones import embed, export
from dn2.cli.bench import bench
from dn2.cli.common import (
    JsonOption,
    ModelArgument,
    NamedBackboneOption,
    PlotOption,
    check_plot,
    console,
    load,
    note,
    quote_words,
)
from dn2.cli.evaluate import evaluate
from dn2.cli.feedback import feedback, history, undo
from dn2.cli.help import Command, Group
from dn2.cli.options import flags_of, with_options
from dn2.cli.reference import add, fit, readmit, recalibrate, remove
from dn2.cli.report import report
from dn2.cli.score import score, self_flags
from dn2.cli.serve import serve
from dn2.cli.watch import watch
from dn2.errors import InputError
from dn2.kinds import registry
from dn2.system.printing import line_of

if TYPE_CHECKING:
    from dn2.model.model import Model

logger = logging.getLogger("dn2")

WIDEST_HELP = 120  # characters

app = typer.Typer(
    cls=Group,
    help="Show it what normal looks like; it finds the rest.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST_HELP},
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
        raise InputError("no command given; each has its own --help, such as: dn2 fit --help")


def inspect(
    model: ModelArgument,
    items: Annotated[bool, typer.Option("--items", help="List the names of the reference items instead.")] = False,
    aside: Annotated[
        bool,
        typer.Option(
            "--aside", help="Show the items that fit --contaminated set aside, and others that look anomalous, instead."
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --aside, show them on a page, too: an .html.", show_default=False),
    ] = None,
    parts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write to this .csv what reference items may belong together, for you to check.",
            show_default=False,
        ),
    ] = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
    backbone: NamedBackboneOption = None,
) -> None:
    """Say what a model is made of and what its decisions are worth."""
    from dn2.cli.show import description
    from dn2.model.heard import caught_in_words, caught_of
    from dn2.model.parts import check_parts_file, propose, write_parts
    from dn2.system.printing import printable

    if items and aside:
        raise InputError("--items and --aside are two lists; ask for one of them")
    if report is not None and not aside:
        raise InputError("--report shows what --aside does: give both")
    check_plot(plot)
    if report is not None:
        from dn2.report.page import check_page

        check_page(report)
    if parts is not None:
        check_parts_file(parts)
    loaded = load(model, cache=False, backbone=backbone)
    if plot is not None:
        from dn2.report.plots import plot_model

        plot_model(loaded.calibration, loaded.false_alarm_rate, plot)
        stopping.wrote(plot)
        note(f"written: {plot}")
    if parts is not None:
        proposed = propose(loaded.state)
        write_parts(loaded.state, proposed, parts)
        stopping.wrote(parts)
        note(f"written: {parts}; {proposed.in_words()}")
    if aside:
        show_aside(loaded, model, report, as_json)
    elif items:
        names = [item.name for item in loaded.items]
        for line in [json.dumps(names)] if as_json else map(printable, names):
            print(line)
    elif as_json:
        caught = {"defects": caught_of(loaded.state)._asdict()} if loaded.state.told.defects else {}
        print(json.dumps({**loaded.describe(), "near_duplicates": loaded.near_duplicates(), **caught}))
    else:
        description(loaded.describe(), loaded.near_duplicates(), console())
        if loaded.state.told.defects:
            note(caught_in_words(caught_of(loaded.state), loaded.false_alarm_rate))


def show_aside(loaded: Model, model: Path, report: Path | None, as_json: bool) -> None:
    """Print the suspects of a contaminated model, most anomalous first, and write their page."""
    from dn2.cli.show import suspects_table
    from dn2.model.words import advice_on_suspects
    from dn2.report.suspects_page import write_suspects_page

    suspects = loaded.suspects()
    if report is not None:
        write_suspects_page(report, loaded.state, quote_words(model))
        stopping.wrote(report)
        note(f"written: {report}")
    if as_json:
        print(json.dumps([suspect.as_dict() for suspect in suspects]))
    elif suspects:
        suspects_table(suspects, console())
        for words in advice_on_suspects(quote_words(model)):
            note(words)
    else:
        note("nothing is set aside, and nothing looks anomalous")


def verify(model: ModelArgument, backbone: NamedBackboneOption = None) -> None:
    """Check that a model is whole: each file against its digest, each number, and that it embeds here as it did."""
    from dn2.model.loading import verify

    print(line_of(f"{model}: whole, {verify(model, backbone)} files checked"))


def demo(
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The folder to write to.")] = Path(
        "dn2-demo"
    ),
) -> None:
    """Show the whole story on scikit-learn's handwritten digits."""
    from dn2.cli.demo import run

    run(folder, console())


def _add_kind_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags of the kinds that it works on."""
    if command is fit:
        return with_options(fit, flags_of(registry.KINDS), registry.KINDS)
    if command is embed:
        kinds = registry.kinds_that_embed()
        return with_options(embed, flags_of(kinds, lambda option: option.embeds), kinds)
    return with_options(score, self_flags()) if command is score else command


COMMANDS = (
    *(fit, score, watch, evaluate, feedback, add, remove, readmit, recalibrate, history, undo),
    *(inspect, verify, report, serve, embed, export, bench, demo),
)
for _command in COMMANDS:
    app.command(cls=Command)(_add_kind_flags(_command))
