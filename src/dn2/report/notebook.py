"""Results and models in a notebook: self-contained HTML without a script or another file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Mapping, Sequence

from PIL import Image

from dn2.kinds.exchange import Pictures
from dn2.kinds.guarantee import worth_of
from dn2.model.state import State
from dn2.model.words import brief_of, describe_with_columns
from dn2.report.shortening import Shortener
from dn2.results.results import Results
from dn2.results.rows import Evidence, Row
from dn2.results.words import number_in_words, rate_in_words

# Limits that keep a notebook's file small, which holds all that it shows.
MOST_ROWS = 10
MOST_ERRORS = 3
MOST_NEIGHBORS = 3  # with a picture
PICTURE_SIZE = 96  # pixels a side
MOST_BYTES = 120_000  # of pictures, before they are written as text
LONGEST_NAME = 80
LONGEST_WORDS = 400

# Styles within the elements: a cell's output in a mail or a repository loses its style sheet.
QUIET = "opacity:.7"
LEFT = "text-align:left;vertical-align:top"
NUMBER = "text-align:right;vertical-align:top;white-space:nowrap;font-variant-numeric:tabular-nums"
PICTURES = "display:flex;flex-wrap:wrap;gap:6px;align-items:flex-end;text-align:center;font-size:smaller"
NAME = f"{LEFT};overflow-wrap:anywhere;unicode-bidi:isolate;min-width:7em;max-width:16em"
ALARM, WARNING = "color:#d9480f;font-weight:bold", "color:#a87400;font-weight:bold"
PICTURE = "border:1px solid #8884;border-radius:3px;max-width:none;margin:0;display:inline"


def results_html(results: Results) -> str:
    """Show results in a sentence, and the most anomalous items beside their nearest normal items."""
    readable = [row for row in results if row.error is None]
    shown = sorted(readable, key=lambda row: -(row.anomaly_score or 0))[:MOST_ROWS]
    pictures = _Thumbnails(_pictures_of(results), shown)
    parts = [f"<p><b>{_text(results.summary())}</b></p>"]
    if worth := worth_of(results):
        parts.append(f'<p style="{QUIET}">{_text(worth)}</p>')
    if shown:
        parts.append(_table(shown, pictures))
    if len(readable) > len(shown):
        parts.append(f'<p style="{QUIET}">and {len(readable) - len(shown):,} less anomalous</p>')
    unreadable = results.unreadable
    parts += [f"<p>not read: {_name(row.item)}: {_words(row.error or '')}</p>" for row in unreadable[:MOST_ERRORS]]
    if len(unreadable) > MOST_ERRORS:
        parts.append(f'<p style="{QUIET}">and {len(unreadable) - MOST_ERRORS:,} more that could not be read</p>')
    return f"<div>{''.join(parts)}</div>"


def model_html(state: State) -> str:
    """Show a model's description, and the meaning of its rate."""
    head = brief_of(state.kind, len(state.items) - len(state.set_aside), state.false_alarm_rate)
    described, columns = describe_with_columns(state.describe(), state.kind.columns)
    columns_html = f"<p>How its columns were read:</p>{_pairs(columns)}" if columns else ""
    means = "".join(f"<li>{_text(words)}</li>" for words in state.assumptions())
    rate = _text(rate_in_words(state.false_alarm_rate))
    return (
        f"<div><p><b>{_text(head)}</b></p>{_pairs(described)}{columns_html}"
        f"<p>What the rate of {rate} means:</p><ul>{means}</ul></div>"
    )


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th scope="row" style="{NAME}">{_name(name)}</th><td style="{LEFT}">{_words(value)}</td></tr>'
        for name, value in pairs
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _table(rows: Sequence[Row], pictures: _Thumbnails) -> str:
    evidence = next((row.evidence for row in rows if row.evidence is not None), Evidence())
    heads = [("item", LEFT), ("anomaly score", NUMBER), ("p-value", NUMBER), ("decision", LEFT)]
    heads += [("scored", LEFT)] * bool(pictures) + [(evidence.heading, LEFT)]
    head = "".join(f'<th scope="col" style="{style}">{_text(name)}</th>' for name, style in heads)
    lines = "".join(f"<tr>{''.join(_cells(row, pictures))}</tr>" for row in rows)
    return f'<div style="overflow-x:auto"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _cells(row: Row, pictures: _Thumbnails) -> Iterator[str]:
    evidence = row.evidence if row.evidence is not None else Evidence()
    name, words = evidence.say(row.neighbors, row.item)
    yield f'<th scope="row" style="{NAME}">{_name(name)}</th>'
    yield f'<td style="{NUMBER}">{number_in_words(row.anomaly_score or 0)}</td>'
    yield f'<td style="{NUMBER}">{row.p_value or 0:.3g}</td>'
    yield f'<td style="{LEFT}">{_decision(row)}</td>'
    if not pictures:
        yield f'<td style="{LEFT};overflow-wrap:anywhere">{_words(words)}</td>'
        return
    yield f'<td style="{LEFT}">{pictures.of_item(row)}</td>'
    neighbors = "".join(pictures.of_neighbors(row))
    explanation = f'<div style="{QUIET}">{_words(words)}</div>' if row.evidence is not None else ""
    yield f'<td style="{LEFT}"><div style="{PICTURES}">{neighbors}</div>{explanation}</td>'


def _decision(row: Row) -> str:
    style = ALARM if row.is_anomaly else WARNING if row.decision == "warn" else None
    return row.decided if style is None else f'<span style="{style}">{row.decided}</span>'


def _pictures_of(results: Results) -> Pictures | None:
    """Return the pictures of items and of reference items; None for results without pictures."""
    context = results.context
    if context is None or context.files is None:
        return None
    state: State = context.model.state
    return state.kind.pictures(context.files, state, None)


class _Thumbnails:
    """Pictures of rows and of their nearest neighbours, small enough for a notebook; false without any picture."""

    def __init__(self, pictures: Pictures | None, rows: Sequence[Row]) -> None:
        self._items: Mapping[str, bytes] = {}
        self._reference: Mapping[str, bytes] = {}
        self._left = MOST_BYTES
        if pictures is not None:
            names = dict.fromkeys(neighbor.item for row in rows for neighbor in row.neighbors[:MOST_NEIGHBORS])
            self._items = pictures.of_items([row.item for row in rows])
            self._reference = pictures.of_reference(list(names))

    def __bool__(self) -> bool:
        return bool(self._items or self._reference)

    def of_item(self, row: Row) -> str:
        """Show the picture of an item."""
        return self._shown(self._items.get(row.item), row.item)

    def of_neighbors(self, row: Row) -> Iterator[str]:
        """Show the pictures of the nearest neighbours, with their distances."""
        for neighbor in row.neighbors[:MOST_NEIGHBORS]:
            picture = self._shown(self._reference.get(neighbor.item), neighbor.item)
            yield f'<div title="{_name(neighbor.item)}">{picture}<br>{number_in_words(neighbor.distance, 3)}</div>'

    def _shown(self, encoded: bytes | None, name: str) -> str:
        small = None if encoded is None else _smaller(encoded)
        if small is None or len(small) > self._left:
            return f'<span style="{QUIET}">no picture</span>'
        self._left -= len(small)
        source = base64.b64encode(small).decode()
        return f'<img src="data:image/jpeg;base64,{source}" alt="{_name(name)}" style="{PICTURE}">'


def _smaller(encoded: bytes) -> bytes | None:
    """Scale a JPEG down to the size in a notebook; None for a damaged JPEG."""
    try:
        with Image.open(io.BytesIO(encoded), formats=["JPEG"]) as image:
            image.thumbnail((PICTURE_SIZE, PICTURE_SIZE))
            small = io.BytesIO()
            image.save(small, "JPEG", quality=75)
            return small.getvalue()
    except OSError:
        return None


def _name(text: str) -> str:
    return _text(Shortener(LONGEST_NAME)(text))


def _words(text: str) -> str:
    return _text(Shortener(LONGEST_WORDS)(text))


def _text(text: str) -> str:
    return html.escape(text.encode(errors="backslashreplace").decode())
