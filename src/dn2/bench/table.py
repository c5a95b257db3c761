"""Results as CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from dn2.bench.result import Mean, ReportedFigures, Result

AVERAGE = "average"
UNCONFIRMED = "†"


def to_csv(result: Result) -> str:
    """Write every measurement, one a line, and the figures reported elsewhere; ROC AUC in [0, 1]."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = result.figures
    writer.writerow(["method", result.setting, "normal", "seed", "n_reference", "roc_auc", "source", *names])
    for measurement in result.measurements:
        seed = "" if measurement.seed is None else measurement.seed
        figures = [f"{measurement.figures[name]:.6g}" if name in measurement.figures else "" for name in names]
        line = [
            measurement.method,
            measurement.setting,
            measurement.normal,
            seed,
            measurement.n_reference,
            f"{measurement.roc_auc:.6f}",
            "measured",
        ]
        writer.writerow([*line, *figures])
    for reported in result.reported:
        for setting, value in reported.values.items():
            source = reported.source + (", unconfirmed" if setting in reported.unconfirmed else "")
            writer.writerow([reported.method, setting, "", "", "", f"{value:.4f}", source, *[""] * len(names)])
    return text.getvalue()


def to_markdown(result: Result) -> str:
    """Write the means as a table, ROC AUC in per cent, with notes that explain the figures."""
    header, *rows = grid(result)
    lines = [_line(header), _line(["---"] + ["---:"] * (len(header) - 1))]
    lines += [_line([f"**{name}**" if name == AVERAGE else name, *cells]) for name, *cells in rows]
    words = "\n".join(f"- {note}" for note in notes(result))
    return f"### {result.title}\n\n" + "\n".join(lines) + f"\n\n{words}\n"


def grid(result: Result) -> list[list[str]]:
    """Lay the means and the reported figures out as a table, ROC AUC in per cent: a header, then rows."""
    header, *rows = _measured_rows(result)
    width = len(header)
    reported = _select_reported(result)
    beside = [[figures.method for figures in reported]]
    beside += [[_reported_cell(figures, row[0]) for figures in reported] for row in rows]
    further = [*_further_rows(result), *_time_row(result)]
    return [
        *([*row, *cells] for row, cells in zip([header, *rows], beside, strict=True)),
        *([*row, *[""] * (width + len(reported) - len(row))] for row in further),
    ]


def notes(result: Result) -> list[str]:
    """Explain the figures of a table."""
    return [*_explain_figures(result, _select_reported(result)), *result.notes]


def _measured_rows(result: Result) -> Iterator[list[str]]:
    """Give the header, a row for each setting, and the average over them."""
    columns = result.columns
    yield [result.setting, *(column.name for column in columns)]
    for setting in result.settings:
        yield [setting, *(_cell(result.mean(column.method, setting, column.figure)) for column in columns)]
    if result.has_average:
        yield [AVERAGE, *(_cell(result.mean(column.method, None, column.figure)) for column in columns)]


def _further_rows(result: Result) -> Iterator[list[str]]:
    """Give the rows of further figures, below the methods that have them."""
    for row in result.further_rows:
        means = [
            None if column.figure else result.mean(column.method, row.setting, row.figure) for column in result.columns
        ]
        yield [row.name, *map(_cell, means)]


def _time_row(result: Result) -> Iterator[list[str]]:
    if result.seconds:
        seconds = [None if column.figure else result.seconds.get(column.method) for column in result.columns]
        yield ["fit and search, all rows", *("" if value is None else f"{value:.1f} s" for value in seconds)]


def _select_reported(result: Result) -> list[ReportedFigures]:
    return [figures for figures in result.reported if set(figures.values) & {*result.settings, AVERAGE}]


def _explain_figures(result: Result, shown: Sequence[ReportedFigures]) -> list[str]:
    words = ["ROC AUC in %"]
    seeds = {measurement.seed for measurement in result.measurements}
    drawn = seeds - {None}
    if len(drawn) > 1:
        words[0] += f"; ± is the standard error over {len(drawn)} seeds"
    if None in seeds:
        words[0] += "; a figure without ± comes from one run" + ", in which nothing is random" * (len(drawn) != 1)
    elif len(drawn) == 1:
        words[0] += "; one random draw, so without a standard error (--seeds gives more)"
    if any(figures.unconfirmed for figures in shown):
        words.append(f"{UNCONFIRMED} as reported, unconfirmed")
    return [f"{sentence}." for sentence in words]


def _cell(mean: Mean | None) -> str:
    if mean is None:
        return ""
    error = "" if mean.error is None else f" ± {100 * mean.error:.2f}"
    return f"{100 * mean.value:.2f}{error}"


def _reported_cell(figures: ReportedFigures, setting: str) -> str:
    if setting not in figures.values:
        return ""
    digits = f"{100 * figures.values[setting]:.2f}".removesuffix("0")  # 92.5 was reported, not 92.50
    return digits + UNCONFIRMED * (setting in figures.unconfirmed)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
