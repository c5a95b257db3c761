"""Tables that commands print for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dn2.cli.wrapping import share, wrap
from dn2.model.words import describe_model
from dn2.results.evaluation import Evaluation
from dn2.results.results import Results
from dn2.results.rows import Evidence, Row, in_line
from dn2.results.segmentation import AUPRO_LIMIT, DefectFigures, SegmentationFigures
from dn2.results.suspects import Suspect
from dn2.results.words import number_in_words, rate_in_words
from dn2.store.versions import Version
from dn2.system.printing import printable

ROWS_SHOWN = 20
AUDITS_SHOWN = 5
JUSTIFIED = ("right", "right", "left")  # the columns of figures
STYLES = {"yes": "bold red", "reject": "bold red", "warn": "bold yellow"}
NEIGHBORS_SHOWN = 3  # of a suspect
GAP, NARROWEST = 2, 20  # cells: between columns, and the least width of both columns of text together


def escape_text(text: str) -> str:
    """Escape a text for a table: control characters of a terminal, and markup."""
    return escape(printable(text))


def results_table(results: Results, console: Console) -> None:
    """Print the most anomalous parts, if there are any, and items with their evidence, then the unreadable ones."""
    if results.parts:
        console.print(_parts_table(sorted(results.parts, key=_by_score)[:ROWS_SHOWN]))
        if len(results.parts) > ROWS_SHOWN:
            console.print(f"... and {len(results.parts) - ROWS_SHOWN:,} less anomalous parts")
        console.print()
    ranked = sorted((row for row in results if row.error is None and not row.audit), key=_by_score)
    shown = ranked[:ROWS_SHOWN]
    if shown:
        console.print(_table(shown, console))
    if len(ranked) > len(shown):
        console.print(f"... and {len(ranked) - len(shown):,} less anomalous; -o results.csv writes all")
    if audited := [row.item for row in results if row.audit]:
        few = ", ".join(map(escape_text, audited[:AUDITS_SHOWN])) + (", ..." if len(audited) > AUDITS_SHOWN else "")
        console.print(f"to audit, drawn whatever their scores, which are hidden: {len(audited):,} ({few})")
    for row in results.unreadable[:ROWS_SHOWN]:
        console.print(f"[yellow]not read:[/] {escape_text(row.item)}: {escape_text(row.error or '')}")
    if len(results.unreadable) > ROWS_SHOWN:
        console.print(f"... and {len(results.unreadable) - ROWS_SHOWN:,} more that could not be read")


def _parts_table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading, justify in (("part", "left"), ("items", "right"), *zip(_headings(rows), JUSTIFIED, strict=True)):
        table.add_column(heading, justify=justify, no_wrap=heading != "part")  # type: ignore[arg-type]
    for row in rows:
        score, p_value, flag = _figures(row)
        table.add_row(escape_text(row.item), f"{row.items:,}", score, p_value, _marked(flag))
    return table


def _headings(rows: Sequence[Row]) -> tuple[str, str, str]:
    return "anomaly score", "p-value", "anomaly" if all(row.decision is None for row in rows) else "decision"


def _marked(flag: str) -> str:
    return f"[{STYLES[flag]}]{flag}[/]" if flag in STYLES else flag


def _by_score(row: Row) -> float:
    return -(row.anomaly_score or 0.0)


def _table(rows: Sequence[Row], console: Console) -> Table:
    evidence = next((row.evidence for row in rows if row.evidence is not None), Evidence())
    evidence_of_rows = [_evidence(row) for row in rows]
    names, words = (
        ["item", *(name for name, _ in evidence_of_rows)],
        [evidence.heading, *(words for _, words in evidence_of_rows)],
    )
    figures = [_headings(rows), *(_figures(row) for row in rows)]
    if console.is_terminal:  # a file has lines of any length
        left = console.width - sum(max(map(len, column)) + GAP for column in zip(*figures, strict=True)) - GAP
        widths = share(max(left, NARROWEST), *(max(map(cell_len, column)) for column in (names, words)))
        names, words = (
            [wrap(cell, width) for cell in column] for column, width in zip((names, words), widths, strict=True)
        )
    table = Table(box=None, pad_edge=False)
    table.add_column(escape(names[0]))
    for heading, justify in zip(figures[0], JUSTIFIED, strict=True):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column(escape(words[0]))
    for name, (score, p_value, flag), reason in zip(names[1:], figures[1:], words[1:], strict=True):
        table.add_row(escape(name), score, p_value, _marked(flag), escape(reason))
    return table


def _figures(row: Row) -> tuple[str, str, str]:
    score = number_in_words(row.anomaly_score or 0)
    if row.p_value is None:
        return score, "-", "not decided"
    return score, f"{row.p_value:.4f}", row.decision or ("yes" if row.is_anomaly else "no")


def _evidence(row: Row) -> tuple[str, str]:
    """Return the name of a row and its evidence, one line each."""
    evidence = row.evidence if row.evidence is not None else Evidence()
    name, words = evidence.say(row.neighbors, row.item)
    return printable(name), printable(words)


def versions_table(versions: Sequence[Version]) -> Table:
    """Return the versions of a model, one a line, the oldest first."""
    table = Table(box=None, pad_edge=False)
    for heading, justify in (("version", "right"), ("when (UTC)", "left"), ("items", "right"), ("what", "left")):
        table.add_column(heading, justify=justify, no_wrap=heading != "what")  # type: ignore[arg-type]
    for number, version in enumerate(versions, 1):
        when = version.at.removesuffix("+00:00").replace("T", " ")
        table.add_row(f"{number:,}", when, f"{version.items:,}", escape_text(version.change or "fitted, or copied"))
    return table


def evaluation_table(evaluation: Evaluation, console: Console) -> None:
    """Print figures of merit, one a line."""
    rate = rate_in_words(evaluation.false_alarm_rate)
    normal, anomalous = evaluation.normal_reference, evaluation.anomalous_reference
    rows = [
        ("normal items", _count_in_words(evaluation.n_normal, normal)),
        ("anomalous items", _count_in_words(evaluation.n_anomalous, anomalous)),
        ("ROC AUC", _figure_in_words(evaluation.roc_auc, normal + anomalous)),
        ("average precision", _figure_in_words(evaluation.average_precision, normal + anomalous)),
        ("false-positive rate at 95 % detected", _figure_in_words(evaluation.fpr_at_95_tpr, normal + anomalous)),
        (f"false alarms at {rate} asked", _figure_in_words(evaluation.false_alarms, normal)),
        (f"anomalies detected at {rate}", _figure_in_words(evaluation.detected, anomalous)),
    ]
    if evaluation.warn_rate is not None:
        warn_rate = rate_in_words(evaluation.warn_rate)
        marked, found = evaluation.false_alarms_or_warnings or 0.0, evaluation.detected_or_warned or 0.0
        rows += [
            (f"false alarms or warnings at {warn_rate} asked", _figure_in_words(marked, normal)),
            (f"anomalies detected or warned of at {warn_rate}", _figure_in_words(found, anomalous)),
        ]
    figures, with_regions = evaluation.segmentation, evaluation.with_regions
    if figures is not None and with_regions is not None:
        rows += [
            (f"normal items with a region at {rate}", _figure_in_words(with_regions, normal)),
            *_pixels_in_words(figures),
        ]
    pairs(rows, console)
    if figures is not None:
        for heading, groups in (("kind of defect", figures.by_kind), ("area of the defect", figures.by_area)):
            if groups:
                console.print()
                console.print(_defects_table(heading, groups))


def _pixels_in_words(figures: SegmentationFigures) -> list[tuple[str, str]]:
    without, pixels = figures.n_without_mask, figures.pixels
    masked = f"{figures.n_anomalous - without:,} of {figures.n_anomalous:,}"
    if pixels is None:
        return [("anomalous items with a mask", masked), ("pixels", "nothing to compare")]
    return [
        ("anomalous items with a mask", masked),
        ("ROC AUC of pixels", f"{pixels.roc_auc:.4f}"),
        (f"AUPRO up to {AUPRO_LIMIT}", f"{pixels.aupro:.4f}"),
        ("best F1 of pixels", f"{pixels.best_f1:.4f}"),
        ("F1 of pixels in regions", "" if pixels.seg_f1 is None else f"{pixels.seg_f1:.4f}"),
    ]


def _defects_table(heading: str, groups: Mapping[str, DefectFigures]) -> Table:
    """Lay out what is found of each kind of defect, or of each class of area."""
    table = Table(box=None, pad_edge=False)
    table.add_column(heading)
    for name in ("items", "detected", "ROC AUC of pixels", "AUPRO", "best F1", "F1 in regions"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, group in groups.items():
        pixels = group.pixels
        shown = [None] * 4 if pixels is None else [pixels.roc_auc, pixels.aupro, pixels.best_f1, pixels.seg_f1]
        found = "" if group.n_found is None else f"{group.n_found:,}"
        cells = ("" if figure is None else f"{figure:.4f}" for figure in shown)
        table.add_row(escape_text(name), f"{group.n_pictures:,}", found, *cells)
    return table


def _count_in_words(n: int, n_reference: int) -> str:
    return f"{n:,}, of which {n_reference:,} are reference items" if n_reference else f"{n:,}"


def _figure_in_words(figure: float, n_reference: int) -> str:
    return f"{figure:.4f}, not that of new items" if n_reference else f"{figure:.4f}"


def description(about: Mapping[str, Any], duplicates: Sequence[tuple[str, str]], console: Console) -> None:
    """Print what a model consists of, and what its decisions are worth."""
    pairs(describe_model(about), console)
    console.print("\nWhat the rate means:")
    for words in about["calibration"]["assumptions"]:
        console.print(f"- {escape_text(words)}", highlight=False)
    if duplicates:
        console.print("\nNear-duplicates (item, its nearest):")
        for item, nearest in duplicates[:ROWS_SHOWN]:
            console.print(f"- {escape_text(item)}, {escape_text(nearest)}", highlight=False)
        if len(duplicates) > ROWS_SHOWN:
            console.print(f"- and {len(duplicates) - ROWS_SHOWN:,} more; --json lists all")


def suspects_table(suspects: Sequence[Suspect], console: Console) -> None:
    """Print the suspects of a contaminated set, the most anomalous first, with their nearest others."""
    table = Table(box=None, pad_edge=False)
    table.add_column("item")
    table.add_column("anomaly score", justify="right", no_wrap=True)
    table.add_column("set aside", no_wrap=True)
    table.add_column("nearest that are no suspects (distance)")
    for suspect in suspects[:ROWS_SHOWN]:
        near = in_line(suspect.neighbors[:NEIGHBORS_SHOWN])
        score, aside = number_in_words(suspect.anomaly_score), "yes" if suspect.is_aside else "no"
        table.add_row(escape_text(suspect.item), score, aside, escape_text(near))
    console.print(table)
    if len(suspects) > ROWS_SHOWN:
        console.print(f"... and {len(suspects) - ROWS_SHOWN:,} less anomalous; --json lists all")


def pairs(rows: Sequence[tuple[str, str]], console: Console) -> None:
    """Print names and values in two columns."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows:
        table.add_row(escape_text(name), escape_text(value))
    console.print(table)
