"""A protocol's table and figure as one page."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dn2.bench.figure import draw
from dn2.bench.result import Result
from dn2.bench.table import grid, notes
from dn2.report.page import fill, page_text, read_part, sentences, write_page


def write_bench_page(result: Result, path: Path) -> None:
    """Write the page of a protocol's result.  Raises InputError if the file cannot be written, MissingExtra."""
    parts = {
        "title": html.escape(result.title),
        "table": _table(grid(result)),
        "notes": sentences(notes(result)),
        "figure": _figure(result),
    }
    write_page(path, page_text(result.title, fill(read_part("bench.html"), parts)))


def _table(rows: Sequence[Sequence[str]]) -> str:
    header, *body = rows
    head = "".join(f'<th scope="col"{_number(place)}>{html.escape(cell)}</th>' for place, cell in enumerate(header))
    lines = []
    for name, *cells in body:
        figures = "".join(f'<td class="number">{html.escape(cell)}</td>' for cell in cells)
        lines.append(f'<tr><th scope="row">{html.escape(name)}</th>{figures}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _number(place: int) -> str:
    return ' class="number"' if place else ""


def _figure(result: Result) -> str:
    """Draw the figure as SVG within the page."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder, "figure.svg")
        draw(result, "svg", drawn)
        text = drawn.read_text(encoding="utf-8")
    return text[text.index("<svg") :]
