"""Arguments, options and closing messages that the commands share."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dn2.cli import stopping
from dn2.errors import InputError
from dn2.system.interface import option
from dn2.system.naming import without_keys
from dn2.system.printing import line_of

if TYPE_CHECKING:
    from rich.console import Console

    from dn2.model.model import Model
    from dn2.results.rows import Row
    from dn2.store.cache import Cache

logger = logging.getLogger("dn2")

REACHED = 0.8  # of the rate asked for, and more, needs no word
FEW_FOR_STEPS = 10  # items flagged among those that calibrate: of fewer, one more or less is much


INPUTS = (
    "A folder (searched recursively), a file, the URL of one (s3://, gs://), a glob, @list.txt (a list of paths) or - "
    "(such a list on stdin); several are allowed. Pictures; messages in .txt and .log, one a line, and .jsonl; the "
    "rows of .csv, .tsv, .json and .parquet, or series in them (.gz, too); or vectors in .npy, .npz and .safetensors. "
    "Through - come also messages themselves, one a line, and tables and series as CSV."
)
InputsArgument = Annotated[list[str], typer.Argument(metavar="INPUT", help=INPUTS, show_default=False)]
ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="The folder of a model, made by dn2 fit.", show_default=False)
]
NamedBackboneOption = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="The network of a model that does not hold it. It is opened, and downloaded if need be, because you name "
        "it here.",
        show_default=False,
    ),
]
CacheOption = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        help="Keep the embeddings of pictures and messages by content, and use those that are kept. Default: --cache.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
PlotOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw a figure, too: a .png or .svg.", show_default=False)
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="Files and folders, in the folders given, that are no items: '*_mask.png', test, 'line 2/**/old'. A glob "
        "without a slash is matched against names, one with a slash against the whole path within the folder. Repeat "
        "it for several.",
        show_default=False,
    ),
]
OnOption = Annotated[
    str | None,
    typer.Option(
        metavar="CLUSTER",
        help="Let a cluster of Ray work: ray, for the one of RAY_ADDRESS or else this machine, or ray://HOST:PORT.",
        show_default=False,
    ),
]
MemoryOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Most memory to use, such as 4GB; the system's page cache is not counted. Default: no limit.",
        show_default=False,
    ),
]
PartOption = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="[RULE]",
        help="Decide each part as well, in a row of its own: by a rule as for dn2 fit, or without one by the model's.",
        show_default=False,
    ),
]
JoiningOption = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="RULE",
        help="What tells the part of each item: a rule as for dn2 fit. Default: the model's.",
        show_default=False,
    ),
]
PerOption = Annotated[
    str | None,
    typer.Option(
        "--per",
        metavar="RULE",
        help="What tells the product, line or camera of each item: a rule as for dn2 fit. Default: the model's.",
        show_default=False,
    ),
]
MaskOption = Annotated[
    str | None,
    typer.Option(
        "--mask",
        metavar="FOLDER",
        help="Of a model that was fitted with a mask for each picture: the masks of these, each at its picture's path "
        "or as much of the end of it as there is.",
        show_default=False,
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--false-alarm-rate",
        metavar="RATE",
        help="Share of normal items that may be flagged. Default: the model's.",
        show_default=False,
    ),
]

WarnRateOption = Annotated[
    float | None,
    typer.Option(
        "--warn-rate",
        metavar="RATE",
        help="A laxer rate, to warn at: what it flags beyond the false-alarm rate is a warning.",
        show_default=False,
    ),
]


def open_cache(use: bool) -> Cache | None:
    """Open the user's cache if it is to be used."""
    from dn2.store.cache import Cache

    return Cache() if use else None


def check_outputs(
    outputs: Sequence[Path | None],
    inputs: Sequence[str | os.PathLike[str]],
    kind: str | None = None,
    exclude: Sequence[str] | None = None,
) -> None:
    """Raise InputError, before the work, unless all outputs differ from each other and from the inputs.

    kind : of the items that are read, None for any.  exclude : globs of what is not read."""
    from dn2.inputs.files import is_among
    from dn2.inputs.leaving_out import leaving_out
    from dn2.kinds.registry import suffixes_of

    places: set[str] = set()
    for output in outputs:
        if output is None:
            continue
        with leaving_out(exclude, is_told=False):
            is_read = is_among(output, inputs, suffixes_of(kind))
        if is_read:
            raise InputError(f"{output} is among the inputs and would be lost; give another name for what is written")
        if (place := os.path.realpath(output)) in places:
            raise InputError(f"two files would both be written to {output}; give one of them another name")
        places.add(place)


def check_plot(plot: Path | None) -> None:
    """Raise InputError or MissingExtra, before the work, unless the figure can be written."""
    if plot is not None:
        from dn2.results.drawing import check_figure

        check_figure(plot)


def load(path: Path, *, cache: bool, backbone: str | None) -> Model:
    """Load a model, with or without the user's cache.  Raises ModelError, BackboneError."""
    import dn2

    model = dn2.load(path, cache=open_cache(cache), backbone=backbone)
    note_cache(cache, model.kind.name)
    return model


def note_cache(cache: bool, kind: str) -> None:
    """Note, for an interrupt, whether embeddings are kept from now on."""
    from dn2.kinds.registry import kinds_that_embed

    stopping.keeps(cache and kind in kinds_that_embed())


def quote_words(*words: object) -> str:
    """Quote words for a shell, URLs without the keys in them."""
    return shlex.join(without_keys(str(word)) for word in words)


def check_model_first(command: str, model: Path, arguments: Iterable[object], rest: str | None = None) -> None:
    """Raise InputError, with the right order, where a model stands among the later arguments instead of first.

    rest : of the right command, after the model; by default the other arguments."""
    from dn2.store.manifest import MANIFEST

    if (model / MANIFEST).is_file():
        return
    names = list(map(str, arguments))
    model_given = next((name for name in names if (Path(name) / MANIFEST).is_file()), None)
    if model_given is None:
        return
    after = quote_words(model, *(name for name in names if name != model_given)) if rest is None else rest
    raise InputError(
        f"{model} is no model, and {model_given} is one: the model comes first; dn2 {command} "
        f"{quote_words(model_given)} {after}"
    )


def say_next(words: str) -> None:
    """Say the next step in one line."""
    note(f"next: {words}")


def console() -> Console:
    """Return the console that prints tables on stdout."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def note(words: str) -> None:
    """Print a line for a person on stderr."""
    print(line_of(words), file=sys.stderr)


def report_reference(model: Model, path: Path) -> None:
    """Say the size of the reference set, its false-alarm rate, and what weakens it."""
    from dn2.results.words import rate_in_words

    calibration = model.calibration
    smallest = ""
    if model.false_alarm_rate == calibration.smallest_rate:
        calibrating = "they" if not calibration.holds_out else f"{calibration.sample_size:,} of them"
        smallest = f", the smallest that {calibrating} support"
    kept = len(model.items) - len(model.set_aside)
    parts = f" of {calibration.n_parts:,} parts" if calibration.n_parts else ""
    sure = "" if calibration.confidence is None else f", with a confidence of {calibration.confidence:g}"
    rate = f"false-alarm rate {rate_in_words(model.false_alarm_rate)}{sure}{smallest}"
    note(f"{path}: {kept:,} reference items{parts}, {rate}")
    report_aside(model, path)
    _report_reach(model)
    for remark in model.kind.remarks(model.state):
        note(remark)
    if model.state.is_all_alike:
        logger.warning(
            "all %d reference items look the same to dn2: whatever looks so is no anomaly, and all else is one; see "
            "whether they are the %s that you mean",
            len(model.items),
            model.kind.many,
        )
    warn_unreadable(model.unreadable)


def _report_reach(model: Model) -> None:
    """Say what of the rate is reached, where that is clearly less, and what a confidence costs."""
    from dn2.results.words import rate_in_words

    calibration, rate = model.calibration, model.false_alarm_rate
    reached = calibration.reachable(rate)
    if reached >= REACHED * rate:
        return
    if calibration.confidence is not None:
        why = f"so that the rate of this model is below {rate_in_words(rate)} with that confidence"
    else:
        why = (
            "as few items calibrate"
            if calibration.sample_size < FEW_FOR_STEPS / rate
            else f"as many scores are equal; {option('smooth')} breaks such ties by chance"
        )
    share = f"about {rate_in_words(reached)}" if reached else "hardly any"
    logger.info("%s of normal items is flagged at that rate, %s", share, why)


def report_aside(model: Model, path: Path) -> None:
    """Say what was set aside of a contaminated reference set, and what else looks anomalous."""
    from dn2.model.words import aside_in_words

    detector = model.detector
    if (clean := detector.steps.clean) is not None:
        aside, suspects = len(detector.aside), len(detector.suspects)
        note(aside_in_words(aside, suspects, len(model.items), clean.drop, quote_words(path)))


def warn_unreadable(rows: Sequence[Row]) -> None:
    """Warn of items that could not be read, of the first ten with the reason."""
    for row in rows[:10]:
        logger.warning("not read: %s: %s", row.item, row.error)
    if len(rows) > 10:
        logger.warning("... and %d more that could not be read", len(rows) - 10)


def finish(unreadable: Sequence[object], anomaly_found: bool = False, warned: bool = False) -> None:
    """Exit with status 1 if a found anomaly fails the run, else with 3 if an item could not be read, else with 4 if the
    worst was a warning."""
    for status, applies in ((1, anomaly_found), (3, unreadable), (4, warned)):
        if applies:
            raise typer.Exit(status)
