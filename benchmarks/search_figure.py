"""The figure of `search.py`: queries a second by the size of the reference set, each line named beside its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from dn2.results.drawing import COLORS, MARKERS, WIDTH, import_figure, save_figure

HEIGHT = 5.0  # inches
LABEL_SPACING = 0.052  # of the height of the axes
LABELS_AT = 1.06  # of their width

# By method: (n, queries a second), ascending.
Lines = Mapping[str, Sequence[tuple[int, float]]]


def draw(lines: Lines, own: str, title: str, path: Path) -> None:
    """Draw the lines as SVG; those whose name starts with `own` are solid, the rivals' dashed with open markers."""
    figure = import_figure()(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    styles = {
        name: style(number, mine)
        for mine in (True, False)
        for number, name in enumerate(name for name in lines if name.startswith(own) == mine)
    }
    for name, points in lines.items():
        axes.plot(*zip(*points, strict=True), **styles[name])
    axes.set(xscale="log", yscale="log", xlabel="rows of the reference set", ylabel="queries a second", title=title)
    axes.grid(alpha=0.3)
    low, high = np.log(axes.get_ylim())
    ends = {name: float((np.log(points[-1][1]) - low) / (high - low)) for name, points in lines.items()}
    for name, height in spread(ends).items():
        leader = {"arrowstyle": "-", "color": styles[name]["color"], "linewidth": 0.7, "linestyle": ":", "shrinkB": 4}
        axes.annotate(
            "",
            xy=lines[name][-1],
            xytext=(LABELS_AT, height),
            textcoords="axes fraction",
            arrowprops=leader,
        )
        axes.plot([LABELS_AT], [height], transform=axes.transAxes, clip_on=False, **styles[name])
        weight = "bold" if name.startswith(own) else "normal"
        beside = (LABELS_AT + 0.02, height)
        axes.text(*beside, name, transform=axes.transAxes, va="center", fontsize="small", fontweight=weight)
    save_figure(figure, "svg", path)


def style(number: int, mine: bool) -> dict[str, Any]:
    """Choose how a line looks, by its number among dn2's or the rivals'."""
    color = COLORS[number % len(COLORS)]
    return {
        "color": color,
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 5,
        "markerfacecolor": color if mine else "white",
        "linestyle": "-" if mine else "--",
        "linewidth": 1.8 if mine else 1.1,
    }


def spread(heights: Mapping[str, float]) -> dict[str, float]:
    """Move labels apart, keeping their order and as little as can be."""
    names = sorted(heights, key=lambda name: heights[name])
    steps = LABEL_SPACING * np.arange(len(names))
    within = IsotonicRegression().fit_transform(steps, [heights[name] for name in names] - steps)
    return dict(zip(names, (within.clip(0, max(0, 1 - steps[-1])) + steps).tolist(), strict=True))
