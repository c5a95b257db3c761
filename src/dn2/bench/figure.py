"""Figures: lines over a number, or dots beside names; legible without colour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dn2.bench.result import Result
from dn2.bench.table import AVERAGE
from dn2.results.drawing import COLORS, DASHES, MARKERS, WIDTH, import_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LABELS = 14


def draw(result: Result, kind: str, path: Path) -> None:
    """Draw the means, with standard errors over seeds as bars; kind : `png` or `svg`."""
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
    save_figure(figure, kind, path)


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
    """List the drawn series: names and, by setting, means and standard errors in per cent."""
    series: list[tuple[str, dict[str, tuple[float, float]]]] = []
    settings: list[tuple[str, str | None]] = [(setting, setting) for setting in result.settings]
    settings += [(AVERAGE, None)] if result.has_average else []
    for method in result.methods:
        means = {name: result.mean(method, setting) for name, setting in settings}
        values = {name: (100 * mean.value, 100 * (mean.error or 0)) for name, mean in means.items() if mean}
        series.append((method, values))
    for reported in result.reported:
        values = {name: (100 * reported.values[name], 0.0) for name, _ in settings if name in reported.values}
        label = f"{reported.method} ({reported.source}{', unconfirmed' if reported.unconfirmed else ''})"
        series += [(label, values)] if values else []
    return series


def _style(name: str, number: int, dashed: bool) -> dict[str, Any]:
    place = number % len(COLORS)
    turn = number // len(COLORS)  # colours repeat with other markers
    return {
        "label": name,
        "color": COLORS[place],
        "marker": MARKERS[(number + turn) % len(MARKERS)],
        "linestyle": DASHES[place] if dashed else "none",
        "markersize": 5,
        "linewidth": 1.4,
        "capsize": 2,
        "markerfacecolor": COLORS[place] if place % 2 == 0 else "white",
    }
