"""The page on which people judge what a service keeps for them: that of results, whose marks go to the service."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from dn2.kinds.exchange import ScoredItems
from dn2.model.scoring import to_results
from dn2.report.around import Shown
from dn2.report.page import SERVED, fill, page_text, read_part
from dn2.report.results_page import results_page
from dn2.report.scored import context_of
from dn2.results.words import count_in_words
from dn2.serve.model_page import part
from dn2.serve.served import ServedModel
from dn2.serve.service import Service
from dn2.serve.shown import files_of, rows_shown

MOST_ON_PAGE = 60  # items to judge


def queue_page(service: Service, served: ServedModel, person: str, opened: str | None = None) -> str:
    """Return the page on which items are judged: audits, then the newest of those that were flagged.

    opened : the id of an item that is shown whether or not it was judged."""
    kept = service.store.to_judge(served.name, MOST_ON_PAGE)
    waiting, judged = service.store.counts(served.name)
    if opened is not None and opened not in [one.id for one in kept]:
        found = service.store.item(opened)
        kept = ([found] if found is not None and found.model == served.name else []) + kept
    address = quote(served.name, safe="")
    parts = {
        "model": html.escape(served.name),
        "address": address,
        "person": html.escape(f"signed in as {person}" if service.people.are_known else ""),
        "words": (
            f"{count_in_words(waiting, 'item waits', 'items wait')} for a verdict; {judged:,} judged and not yet taken "
            "into the model."
        ),
    }
    if not kept:
        body = fill(part("queue.html"), parts) + "<main id='content'><h1>Nothing to judge</h1></main>"
        data: dict[str, Any] = {"served": _about(served, [], []), "items": {"name": []}}
        return page_text(
            f"{served.name}: nothing to judge", body, style=part("served.css"),
            scripts=[read_part("elements.js"), _EMPTY, part("queue.js")], data=data, calls=SERVED,
        )  # fmt: skip
    now = served.state
    rows = rows_shown(kept, now)
    items = files_of(service, kept, rows) if now.kind.sent_as != "json" else None
    results = to_results(served.model, now, ScoredItems(rows, files=items), paths=[""] * len(rows))
    marks = [[place, one.verdict, one.kind] for place, one in enumerate(kept) if one.verdict is not None]
    title = f"{served.name}: {count_in_words(len(kept), 'item', 'items')} to judge"  # not how many of them are flagged
    shown = Shown(
        _about(served, [one.id for one in kept], marks) | {"title": title},
        part("queue.js"),
        part("served.css"),
        fill(part("queue.html"), parts),
        title,
    )
    at_rate = (
        results.at(served.rate)
        if served.policy.warn_rate is None
        else results.at(served.rate, warn_rate=served.policy.warn_rate)
    )
    return results_page(at_rate, context_of(at_rate), shown)


# What the queue's script takes from the page of results where there are none.
_EMPTY = """const data = JSON.parse(at("data").textContent), { items } = data, marks = new Map();
let keeper = null;
function openItem() {}
function focusCard() {}
"""


def _about(served: ServedModel, ids: Sequence[str], marks: Sequence[Any]) -> dict[str, Any]:
    return {"model": served.name, "ids": ids, "marks": marks, "takes_files": served.state.kind.sent_as != "json"}
