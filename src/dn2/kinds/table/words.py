"""A model of tables, in words that an inspector understands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dn2.kinds.exchange import ReadColumn
from dn2.system.interface import command, option

# The reasons of dn2.kinds.table.columns for leaving out a column.
CLOCK = re.compile("the clock")
IDENTIFIER = re.compile(r"an identifier(:| or free text: ([\d,]+) different ones in \2 rows)")
STAMP = re.compile("(date)?_?time(_?stamp)?|date|stamp|ts", re.IGNORECASE)

MOST_COLUMNS = 30  # said at fit
KINDS_OF_COLUMNS = {"number": "numbers", "category": "categories", "date": "dates"}


def say(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what the model is made of; about : what `Model.describe` returns."""
    counts, left_out = about["embedder"]["columns"], about["embedder"]["left_out"]
    compared = ", ".join(f"{count:,} of {KINDS_OF_COLUMNS[kind]}" for kind, count in counts.items())
    rows = [
        ("kind", "rows of a table" + (f", named by {about['id_column']}" if about["id_column"] is not None else "")),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("columns compared", compared),
    ]
    return rows + [("columns left out", list_left_out(left_out))] * bool(left_out)


def hints(embedder: Any, id_column: str | None) -> list[str]:
    """Suggest options for a table by the content of its columns; embedder : a `TableEmbedder`."""
    clocks = [column.name for column in embedder.columns if column.kind == "date" and column.clock]
    left_out = embedder.left_out.items()
    clocks += [name for name, why in left_out if CLOCK.match(why) or (IDENTIFIER.match(why) and STAMP.fullmatch(name))]
    names = [name for name, why in left_out if IDENTIFIER.match(why) and name not in clocks]
    lines = []
    if clocks:
        lines.append(
            f"{clocks[0]!r} holds stamps, and rows come in their order; if the rows are points of a series, "
            f"{option('time', clocks[0])} compares them as one"
        )
    if names and id_column is None:
        lines.append(f"{names[0]!r} is left out as an identifier; {option('id_column', names[0])} names rows by it")
    return lines


def may_be_vectors(n_rows: int, n_columns: int) -> str:
    """Say how a dict was read that has more columns than rows."""
    return (
        f"the dict is read as a table of {n_columns:,} columns and {n_rows:,} rows; if it holds {n_columns:,} vectors "
        f"by name, say {option('kind', 'vector')}"
    )


def list_columns(columns: Sequence[ReadColumn]) -> list[str]:
    """Say in a line each how columns are compared; the first thirty of very many."""
    compared = [column for column in columns if column.is_compared]
    lines = [f"{column.name}: {column.words}" for column in compared[:MOST_COLUMNS]]
    more = len(compared) - MOST_COLUMNS
    return lines + [f"and {more:,} more columns; {command('dn2.load(MODEL)', 'the model')}.columns lists all"] * (
        more > 0
    )


def list_left_out(left_out: Mapping[str, str]) -> str:
    """Name columns that are not compared, with the reasons; the first ten of very many."""
    columns = "; ".join(f"{name} ({reason})" for name, reason in list(left_out.items())[:10])
    return columns + (f"; and {len(left_out) - 10:,} more" if len(left_out) > 10 else "")
