"""Figures of a model and of an evaluation, as PNG or SVG."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dn2.arrays import Scores
from dn2.neighbors.calibration import Calibration
from dn2.results.drawing import COLORS, WIDTH, check_figure, import_figure, save_figure
from dn2.results.words import rate_in_words
from dn2.results.writing import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NORMAL, ANOMALOUS = COLORS[0], COLORS[1]
BINS = 40


def plot_model(calibration: Calibration, rate: float, path: Path) -> None:
    """Draw the scores of the reference items, and the threshold for each false-alarm rate.

    rate : the model's false-alarm rate.  Raises InputError if the file cannot be written, MissingExtra."""
    figure = import_figure()(figsize=(WIDTH, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    limit = calibration.threshold(rate)
    left.hist(calibration.scores, BINS, color=NORMAL, edgecolor="white", linewidth=0.5)
    left.axvline(limit, color=ANOMALOUS, linestyle="--", label=f"flagged above, at {rate_in_words(rate)}")
    left.legend(frameon=False, fontsize="small", loc="upper right")
    _name(left, "Reference items, each against the others", "anomaly score", "items")
    rates = np.unique(np.geomspace(calibration.smallest_rate, 0.5, 200))
    right.step(rates, [calibration.threshold(rate_drawn) for rate_drawn in rates], color=NORMAL, where="post")
    right.plot([rate], [limit], "o", color=ANOMALOUS)
    right.set_xscale("log")
    right.xaxis.set_minor_formatter("")  # labels of a short axis would lie over one another
    right.set_xticks([float(f"{rate:.1g}") for rate in np.geomspace(rates[0], rates[-1], 4)])
    right.xaxis.set_major_formatter("{x:g}")
    _name(right, "What a false-alarm rate flags", "false-alarm rate", "flagged above this score")
    _save(figure, path)


def plot_evaluation(
    scores: Scores, is_anomalous: np.ndarray[Any, Any], threshold: float, rate: float, path: Path
) -> None:
    """Draw ROC curve, precision-recall curve and scores of items whose truth is known.

    scores : (n,); is_anomalous : (n,) bool.  threshold : the score above which items
    are flagged; rate : the false-alarm rate that it stands for.
    Raises InputError if the file cannot be written, MissingExtra."""
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    truth = np.asarray(is_anomalous, bool)
    flagged = scores > threshold
    detected, false_alarms = flagged[truth].mean(), flagged[~truth].mean()
    figure = import_figure()(figsize=(1.4 * WIDTH, 3.4), layout="constrained")
    roc, precision, histogram = figure.subplots(1, 3)
    false_positive, true_positive, _ = roc_curve(truth, scores)
    roc.plot(false_positive, true_positive, color=NORMAL)
    roc.plot([0, 1], [0, 1], color="#999999", linestyle=":")
    roc.plot([false_alarms], [detected], "s", color=ANOMALOUS, label=f"at {rate_in_words(rate)}")
    roc.legend(frameon=False, fontsize="small", loc="lower right")
    _name(roc, f"ROC, area {roc_auc_score(truth, scores):.4f}", "false alarms", "anomalies detected")
    precisions, recalls, _ = precision_recall_curve(truth, scores)
    precision.step(recalls, precisions, color=NORMAL, where="post")
    if flagged.any():
        precision.plot([detected], [truth[flagged].mean()], "s", color=ANOMALOUS)
    precision.axhline(truth.mean(), color="#999999", linestyle=":")
    precision.set_ylim(0, 1.05)
    area = average_precision_score(truth, scores)
    _name(precision, f"Precision and recall, average {area:.4f}", "anomalies detected", "true among the flagged")
    edges = np.histogram_bin_edges(scores, BINS)
    for kind, color, style in ((~truth, NORMAL, "stepfilled"), (truth, ANOMALOUS, "step")):
        weights = np.full(kind.sum(), 1 / max(1, kind.sum()))
        histogram.hist(
            scores[kind],
            edges,
            weights=weights,
            color=color,
            histtype=style,
            linewidth=1.6,
            alpha=0.6 if style == "stepfilled" else 1,
            label="anomalous" if kind is truth else "normal",
        )
    histogram.axvline(threshold, color="#000000", linestyle="--", linewidth=1, label="threshold")
    histogram.legend(frameon=False, fontsize="small", loc="upper right")
    _name(histogram, "Scores", "anomaly score", "share of each kind")
    _save(figure, path)


def _name(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)


def _save(figure: Any, path: Path) -> None:
    write_file(path, partial(save_figure, figure, check_figure(path)))
