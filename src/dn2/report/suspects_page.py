"""The page of suspects of a contaminated reference set: a static one, most anomalous first."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from dn2.model.state import State
from dn2.model.words import advice_on_suspects, describe_model
from dn2.report.page import definitions, fill, page_text, read_part, sentences, write_page
from dn2.report.shortening import Shortener
from dn2.results.suspects import Suspect
from dn2.results.words import count_in_words, number_in_words

# Limits that keep the file small.
MOST_SUSPECTS = 300
MOST_NEIGHBORS = 3
LONGEST_NAME = 160


def write_suspects_page(path: Path, state: State, model: str) -> None:
    """Write the page of a model's suspects.

    model : the words for the model in commands.  Raises InputError if the file cannot be written."""
    suspects = state.suspects()
    aside = sum(suspect.is_aside for suspect in suspects)
    title = (
        f"{count_in_words(len(suspects), state.kind.one, state.kind.many)} to judge: {aside:,} set aside, "
        f"{len(suspects) - aside:,} not"
    )
    left = len(suspects) - MOST_SUSPECTS
    parts = {
        "title": html.escape(title),
        "advice": sentences(advice_on_suspects(model)),
        "cards": _cards(state, suspects[:MOST_SUSPECTS]),
        "left": html.escape(f"And {left:,} less anomalous; dn2 inspect --aside --json lists all." if left > 0 else ""),
    }
    about = f"<h2>The model</h2>{definitions(describe_model(state.describe()))}"
    write_page(path, page_text(title, fill(read_part("suspects.html"), parts), about=about))


def _cards(state: State, suspects: Sequence[Suspect]) -> str:
    names = {suspect.item for suspect in suspects}
    names |= {near.item for suspect in suspects for near in suspect.neighbors[:MOST_NEIGHBORS]}
    pictures = state.kind.pictures([], state, None)
    thumbnails = {} if pictures is None else pictures.of_reference(sorted(names))
    return "".join(_card(suspect, thumbnails) for suspect in suspects)


def _card(suspect: Suspect, thumbnails: Mapping[str, bytes]) -> str:
    near = "".join(
        f"<figure>{_picture(neighbor.item, thumbnails)}"
        f"<figcaption>{_name(neighbor.item)} ({number_in_words(neighbor.distance, 3)})</figcaption></figure>"
        for neighbor in suspect.neighbors[:MOST_NEIGHBORS]
    )
    verdict = "set aside" if suspect.is_aside else "not set aside"
    return (
        f'<li><div class="card{" anomalous" * suspect.is_aside}">{_picture(suspect.item, thumbnails)}'
        f'<div class="name">{_name(suspect.item)}</div>'
        f'<div class="verdict"><b>{verdict}</b>, anomaly score {number_in_words(suspect.anomaly_score)}</div>'
        f'<div class="suspects-near">{near}</div></div></li>'
    )


def _picture(name: str, thumbnails: Mapping[str, bytes]) -> str:
    if name not in thumbnails:
        return ""
    source = base64.b64encode(thumbnails[name]).decode()
    return f'<img src="data:image/jpeg;base64,{source}" alt="{_name(name)}">'


def _name(name: str) -> str:
    return html.escape(Shortener(LONGEST_NAME)(name).encode(errors="backslashreplace").decode())
