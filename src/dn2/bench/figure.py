"""Figures: lines over a number, or dots beside names; legible without colour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dn2.bench.result import Result
from dn2.bench.table import AVERAGE
from dn2.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which the colour-blind tell apart; markers and dashes do without any.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 2)), (0, (6, 3)))

WIDTH = 7.2  # inches; with 110 dots an inch about as wide as a README
DOTS_PER_INCH = 110
MOST_LABELS = 14


def import_figure() -> Any:
    """Import matplotlib's `Figure`, which draws without any global state.  Raises MissingExtra."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("drawing a figure needs matplotlib; run: pip install 'dn2[bench]'") from error
    return Figure


def draw(result: Result, kind: str, path: Path) -> None:
    """Draw the means, with standard errors over seeds as bars; kind : `png` or `svg`."""
    import matplotlib

    rows = len(result.settings) + 1
    height = 4.0 if result.positions else max(3.0, 1.3 + 0.32 * rows)
    figure = import_figure()(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    if result.positions:
        _lines(result, axes)
    else:
        _dots(result, axes)
    axes.set_title(result.title)
    axes.grid(alpha=0.3)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    # The same figure gives the same bytes: no date, no random identifiers.
    with matplotlib.rc_context({"svg.hashsalt": "dn2", "svg.fonttype": "none"}):
        plain = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(path, format=kind, dpi=DOTS_PER_INCH, metadata=plain)


def _lines(result: Result, axes: Axes) -> None:
    for number, (name, values) in enumerate(_series(result)):
        at = [setting for setting in result.settings if setting in values]
        axes.errorbar(
            [result.positions[setting] for setting in at],
            [values[setting][0] for setting in at],
            [values[setting][1] for setting in at],
            **_style(name, number, dashed=True),
        )
    axes.set_xscale(result.scale)
    shown = [setting for setting in result.settings if setting in result.positions][-MOST_LABELS:]
    axes.set_xticks([result.positions[setting] for setting in shown], shown)
    axes.minorticks_off()
    axes.set_xlabel(result.setting)
    axes.set_ylabel("ROC AUC (%)")


def _dots(result: Result, axes: Axes) -> None:
    settings = [*result.settings, *[AVERAGE] * result.has_average]
    series = list(_series(result))
    for number, (name, values) in enumerate(series):
        at = [place for place, setting in enumerate(settings) if setting in values]
        offset = min(0.14, 0.7 / len(series)) * (number - (len(series) - 1) / 2)
        axes.errorbar(
            [values[settings[place]][0] for place in at],
            [place + offset for place in at],
            xerr=[values[settings[place]][1] for place in at],
            **_style(name, number, dashed=False),
        )
    axes.set_yticks(range(len(settings)), settings)
    axes.invert_yaxis()
    axes.set_xlabel("ROC AUC (%)")
    axes.set_ylabel(result.setting)


def _series(result: Result) -> list[tuple[str, dict[str, tuple[float, float]]]]:
    """List what is drawn: names and, by setting, means and standard errors in per cent."""
    series: list[tuple[str, dict[str, tuple[float, float]]]] = []
    settings: list[tuple[str, str | None]] = [(setting, setting) for setting in result.settings]
    settings += [(AVERAGE, None)] if result.has_average else []
    for method in result.methods:
        means = {name: result.mean(method, setting) for name, setting in settings}
        values = {name: (100 * mean.value, 100 * (mean.error or 0)) for name, mean in means.items() if mean}
        series.append((method, values))
    for known in result.reported:
        values = {name: (100 * known.values[name], 0.0) for name, _ in settings if name in known.values}
        label = f"{known.method} ({known.source}{', unconfirmed' if known.unconfirmed else ''})"
        series += [(label, values)] if values else []
    return series


def _style(name: str, number: int, dashed: bool) -> dict[str, Any]:
    place = number % len(COLORS)
    return {
        "label": name,
        "color": COLORS[place],
        "marker": MARKERS[place],
        "linestyle": DASHES[place] if dashed else "none",
        "markersize": 5,
        "linewidth": 1.4,
        "capsize": 2,
        "markerfacecolor": COLORS[place] if place % 2 == 0 else "white",
    }
