"""The figure of `feedback.py`: the share of fresh normal items that is flagged, by what was done with verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dn2.results.drawing import COLORS, WIDTH, import_figure, save_figure

HEIGHT = 2.6  # inches


def draw(shares: Mapping[str, tuple[float, float]], asked: float, path: Path) -> None:
    """Draw a bar for each way as SVG, beside the rate asked for; shares : with their standard errors."""
    figure = import_figure()(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    names = list(shares)[::-1]
    means, errors = zip(*(shares[name] for name in names), strict=True)
    colors = [COLORS[0] if name.startswith("dn2") else "silver" for name in names]
    axes.barh(names, means, xerr=[2 * error for error in errors], color=colors, ecolor="dimgray", capsize=3)
    axes.axvline(asked, color="black", linestyle="--", linewidth=1)
    axes.annotate(
        f"asked for: {asked:g}",
        xy=(asked, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, 2),
        textcoords="offset points",
        fontsize="small",
    )
    axes.set(xlabel="share of fresh normal items that is flagged, with twice the standard error")
    axes.grid(axis="x", alpha=0.3)
    save_figure(figure, "svg", path)
