"""What commands print for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dn2.neighbors.metrics import Evaluation
from dn2.printing import printable
from dn2.report.words import describe_model, explain, one_in, say
from dn2.store.results import Results
from dn2.store.rows import Row

ROWS_SHOWN = 20
COLUMNS_SHOWN = 3
SHARE_SHOWN = 0.05
NEAREST = "nearest normal items (distance)"


def plain(text: str) -> str:
    """Write any text for a table: nothing in it steers the terminal, or is taken for markup."""
    return escape(printable(text))


def summary(results: Results) -> str:
    """Say in one sentence what was scored and what came out."""
    scored = len(results) - len(results.errors)
    how = "" if results.false_alarm_rate is None else f" at a false-alarm rate of {one_in(results.false_alarm_rate)}"
    words = f"{scored:,} items scored, {len(results.anomalies):,} anomalous{how}"
    return words + (f"; {len(results.unreadable):,} could not be read" if results.unreadable else "")


def results_table(results: Results, console: Console) -> None:
    """Print the most anomalous items with their evidence, then what could not be read."""
    ranked = sorted((row for row in results if row.error is None), key=_by_score)
    shown = ranked[:ROWS_SHOWN]
    table = Table(box=None, pad_edge=False)
    table.add_column("item", overflow="fold")
    table.add_column("anomaly score", justify="right")
    table.add_column("p-value", justify="right")
    table.add_column("anomaly")
    table.add_column(_heading(shown), overflow="fold")
    for row in shown:
        mark = "[bold red]yes[/]" if row.is_anomaly else "no"
        until = "" if row.end is None else f" to {row.end}"
        table.add_row(plain(row.item + until), f"{row.anomaly_score:.4g}", f"{row.p_value:.4f}", mark, _evidence(row))
    if shown:
        console.print(table)
    if len(ranked) > len(shown):
        console.print(f"... and {len(ranked) - len(shown):,} less anomalous; -o results.csv writes all")
    for row in results.unreadable[:ROWS_SHOWN]:
        console.print(f"[yellow]not read:[/] {plain(row.item)}: {plain(row.error or '')}")
    if len(results.unreadable) > ROWS_SHOWN:
        console.print(f"... and {len(results.unreadable) - ROWS_SHOWN:,} more that could not be read")


def _heading(rows: Sequence[Row]) -> str:
    if any(row.columns for row in rows):
        return "what makes it strange (share); nearest normal rows (distance)"
    if any(row.curves for row in rows):
        return "nearest windows (distance)"
    return "message; nearest normal message (distance)" if any(row.text for row in rows) else NEAREST


def _by_score(row: Row) -> float:
    return -(row.anomaly_score or 0.0)


def _evidence(row: Row) -> str:
    if row.members:
        pulled = ", ".join(f"{plain(one.item)} ({one.share:.0%})" for one in row.members[:3] if one.share is not None)
        return f"{_neighbors(row)}; pulled away by {pulled}"
    if row.columns:
        strange = [one for one in row.columns[:COLUMNS_SHOWN] if one.share >= SHARE_SHOWN]
        return f"{'; '.join(plain(explain(one)) for one in strange)}; {_neighbors(row)}"
    if row.curves:
        named = [f"{one.column} ({one.share:.0%})" for one in row.curves if one.share >= SHARE_SHOWN]
        columns = f"{', '.join(named)}; " if len(row.curves) > 1 else ""
        return f"{plain(columns)}{_neighbors(row)}"
    if row.text:
        near = zip(row.text.neighbors[:1], row.neighbors, strict=False)
        beside = "".join(f"; {say(text)} ({one.distance:.3g})" for text, one in near)
        return plain(f"{say(row.text.value)}{beside}")
    return _neighbors(row)


def _neighbors(row: Row) -> str:
    return ", ".join(f"{plain(one.item)} ({one.distance:.3g})" for one in row.neighbors)


def evaluation_table(evaluation: Evaluation, console: Console) -> None:
    """Print figures of merit, one a line."""
    rate = one_in(evaluation.false_alarm_rate)
    normal, anomalous = evaluation.normal_reference, evaluation.anomalous_reference
    rows = [
        ("normal items", _with_known(evaluation.n_normal, normal)),
        ("anomalous items", _with_known(evaluation.n_anomalous, anomalous)),
        ("ROC AUC", _unless_known(evaluation.roc_auc, normal + anomalous)),
        ("average precision", _unless_known(evaluation.average_precision, normal + anomalous)),
        ("false-positive rate at 95 % detected", _unless_known(evaluation.fpr_at_95_tpr, normal + anomalous)),
        (f"false alarms at {rate} asked", _unless_known(evaluation.false_alarms, normal)),
        (f"anomalies detected at {rate}", _unless_known(evaluation.detected, anomalous)),
    ]
    pairs(rows, console)


def _with_known(n: int, known: int) -> str:
    return f"{n:,}, of which {known:,} are reference items" if known else f"{n:,}"


def _unless_known(figure: float, known: int) -> str:
    return f"{figure:.4f}, not that of new items" if known else f"{figure:.4f}"


def description(about: Mapping[str, Any], duplicates: Sequence[tuple[str, str]], console: Console) -> None:
    """Print what a model is and what its decisions are worth."""
    calibration = about["calibration"]
    rows = [
        ("flagged above", f"anomaly score {calibration['threshold']:.4g}"),
        ("near-duplicates", f"{calibration['near_duplicates']:,}"),
    ]
    pairs([*describe_model(about), *rows], console)
    console.print("\nWhat the rate means:")
    for words in calibration["assumptions"]:
        console.print(f"- {plain(words)}", highlight=False)
    if duplicates:
        console.print("\nNear-duplicates (item, its nearest):")
        for one, other in duplicates[:ROWS_SHOWN]:
            console.print(f"- {plain(one)}, {plain(other)}", highlight=False)
        if len(duplicates) > ROWS_SHOWN:
            console.print(f"- and {len(duplicates) - ROWS_SHOWN:,} more; --json lists all")


def pairs(rows: Sequence[tuple[str, str]], console: Console) -> None:
    """Print names and values in two columns."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows:
        table.add_row(plain(name), plain(value))
    console.print(table)
