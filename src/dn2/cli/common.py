"""What the commands share: arguments and options, and what all of them print at the end."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dn2.errors import InputError
from dn2.printing import line_of

if TYPE_CHECKING:
    from rich.console import Console

    from dn2.model import Model
    from dn2.store.cache import Cache
    from dn2.store.rows import Row

logger = logging.getLogger("dn2")


class Precision(StrEnum):
    """Arithmetic of the network."""

    auto = "auto"
    f32 = "f32"
    bf16 = "bf16"


class KindName(StrEnum):
    """Kinds of items."""

    image = "image"
    series = "series"
    table = "table"
    text = "text"
    vector = "vector"


class PresetName(StrEnum):
    """Named choices of backbone and number of neighbours."""

    fast = "fast"
    default = "default"
    accurate = "accurate"


class Normalize(StrEnum):
    """Feature normalisation."""

    none = "none"
    unit = "unit"
    root_unit = "root-unit"


class Storage(StrEnum):
    """How embeddings are kept."""

    auto = "auto"
    float32 = "float32"
    float16 = "float16"
    uint8 = "uint8"


INPUTS = (
    "A folder (searched recursively), files, a glob, or @list.txt; several are allowed. Pictures; messages in "
    ".txt, one a line, and .jsonl; the rows of .csv, .tsv and .parquet, or series in them; or vectors in .npy, .npz "
    "and .safetensors."
)
InputsArgument = Annotated[list[str], typer.Argument(metavar="INPUT", help=INPUTS, show_default=False)]
ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model's folder, made by fit.", show_default=False)
]
BACKBONES = "lite0, lite1, lite2, timm/NAME, the path of an .onnx file, or several joined by +."
AnyBackboneOption = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        help=f"{BACKBONES} Default: the preset's. For messages minilm, characters, the name or folder of a language "
        "model, or one joined with characters: minilm+characters, the default.",
        show_default=False,
    ),
]
NamedBackboneOption = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="The model's network, where the model does not hold it: named here, it may be opened and downloaded.",
        show_default=False,
    ),
]
KindOption = Annotated[
    KindName | None, typer.Option(help="What the items are. Default: guessed from the inputs.", show_default=False)
]
ColumnOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN", help="The column that holds messages. Default: the only one of text.", show_default=False
    ),
]
IdOption = Annotated[
    str | None,
    typer.Option(
        "--id", metavar="COLUMN", help="The column that names rows, messages or their series.", show_default=False
    ),
]
TimeOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Of series, the column of stamps: numbers or moments. Default: one step from row to row.",
        show_default=False,
    ),
]
ValueOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="Of series, a column of values; repeat for several. Default: all of numbers.",
        show_default=False,
    ),
]
WindowOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=2,
        help="Of series, points of a window. Default: 200, or a quarter of the longest series.",
        show_default=False,
    ),
]
PrecisionOption = Annotated[Precision, typer.Option(help="Arithmetic; f32 makes a model that moves between machines.")]
CacheOption = Annotated[bool, typer.Option("--cache/--no-cache", help="Keep embeddings by content, and use kept ones.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
PlotOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw it, too: a .png or .svg.", show_default=False)
]
MemoryOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", help="Memory to hold at most, such as 4GB, page cache not counted.", show_default=False
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--false-alarm-rate",
        help="Share of normal items that may be flagged. Default: 0.01, or the smallest that the items support.",
        show_default=False,
    ),
]


def open_cache(use: bool) -> Cache | None:
    """Open the user's cache if it is to be used."""
    from dn2.store.cache import Cache

    return Cache() if use else None


def check_outputs(outputs: Sequence[Path | None], inputs: Sequence[str], kind: str | None = None) -> None:
    """Refuse before the work to write over what is read, or two files at one place.

    kind : of the items that are read, None for any.  Raises InputError."""
    from dn2.inputs.files import is_among
    from dn2.kinds.guess import suffixes_of

    places: set[str] = set()
    for output in outputs:
        if output is None:
            continue
        if is_among(output, inputs, suffixes_of(kind)):
            raise InputError(f"{output} is among the inputs and would be lost; give another name for what is written")
        if (place := os.path.realpath(output)) in places:
            raise InputError(f"two files would both be written to {output}; give one of them another name")
        places.add(place)


def check_plot(plot: Path | None) -> None:
    """Refuse early a figure that could not be written.  Raises InputError, MissingExtra."""
    if plot is not None:
        from dn2.drawing import check_figure

        check_figure(plot)


def load(path: Path, *, cache: bool, backbone: str | None) -> Model:
    """Load a model, with or without the user's cache.  Raises ModelError, BackboneError."""
    import dn2

    return dn2.load(path, cache=open_cache(cache), backbone=backbone)


def console() -> Console:
    """Return what prints tables for a person on stdout."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def note(words: str) -> None:
    """Tell a person on stderr what was done."""
    print(line_of(words), file=sys.stderr)


def report_reference(model: Model, path: Path) -> None:
    """Say what the reference set now is, what rate it holds, and what speaks against trusting it."""
    from dn2.report.words import list_left_out, one_in

    calibration = model.calibration
    smallest = ", the smallest that they support" if model.false_alarm_rate == calibration.smallest_rate else ""
    kept = len(model.items) - len(model.set_aside)
    note(f"{path}: {kept:,} reference items, false-alarm rate {one_in(model.false_alarm_rate)}{smallest}")
    if calibration.window:
        note(calibration.assumptions()[-1])
    report_aside(model)
    if left_out := (model.describe()["embedder"] or {}).get("left_out"):
        note(f"columns left out: {list_left_out(left_out)}")
    if calibration.n_near_duplicates:
        logger.warning(
            "%d of %d reference items have a near copy in the set; copies cause more false alarms than asked for: "
            "keep one of each (dn2 inspect lists them)",
            calibration.n_near_duplicates,
            calibration.sample_size,
        )
    warn_unreadable(model.unreadable)


def report_aside(model: Model) -> None:
    """Say which share of a contaminated reference set is estimated to be anomalous, and what was set aside."""
    share = model.detector.contamination_
    if share is None:
        return
    note(
        f"an estimated {share.estimate:.1%} of the items are anomalies themselves ({share.low:.1%} to "
        f"{share.high:.1%}); {len(model.set_aside):,} are set aside: dn2 inspect MODEL --aside lists them, "
        "dn2 readmit MODEL ITEM takes one back"
    )


def warn_unreadable(rows: Sequence[Row]) -> None:
    """Name items that could not be read, the first ten of them with the reason."""
    for row in rows[:10]:
        logger.warning("not read: %s: %s", row.item, row.error)
    if len(rows) > 10:
        logger.warning("... and %d more that could not be read", len(rows) - 10)


def finish(unreadable: Sequence[Row], found: bool = False) -> None:
    """End with status 1 if an anomaly was found that should fail the run, else 3 if an item could not be read."""
    if found:
        raise typer.Exit(1)
    if unreadable:
        raise typer.Exit(3)
