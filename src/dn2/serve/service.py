"""What a service does with a request, beneath HTTP."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from dn2.errors import Dn2Error
from dn2.model.answering import Asked
from dn2.results.decisions import decision_of
from dn2.results.rows import Row
from dn2.serve.limits import Limits, Refused
from dn2.serve.metrics import Metrics
from dn2.serve.people import People
from dn2.serve.served import Models, ServedModel
from dn2.serve.store import Store, pack

ID_BYTES = 8
AUDIT, ASKED, ALARM, WARNING = "audit", "asked", "alarm", "warning"  # why an item is kept for people


@dataclass(frozen=True)
class Service:
    """The parts of a service.

    models : in service; store : what is kept for people; people : who may ask; limits : of what they ask."""

    models: Models
    store: Store
    people: People
    limits: Limits
    metrics: Metrics

    async def score(self, served: ServedModel, asked: Asked, is_to_keep: bool = False) -> dict[str, Any]:
        """Score what is asked about, and keep for people what is flagged, drawn for an audit, or asked to be kept.

        Returns the model's name and version, and each row with its decision and, where it is kept, its id and links.
        Raises Refused."""
        try:
            answer = await asyncio.wrap_future(served.ask(asked))
        except Dn2Error as error:
            raise Refused(422, str(error)) from error
        self.metrics.scored(served.name, answer.rows)
        results = [{**row.as_dict(), "decision": decision_of(row)} for row in answer.rows]
        if served.state.kind.takes_verdicts:
            kept = [(place, why) for place, row in enumerate(answer.rows) if (why := why_kept(row, is_to_keep))]
            if kept:
                ids = {place: secrets.token_hex(ID_BYTES) for place, _ in kept}
                items = items_of(asked, [place for place, _ in kept])
                packed = [
                    (ids[place], why, results[place], pack(item))
                    for (place, why), item in zip(kept, items, strict=True)
                ]
                await run_in_threadpool(self.store.keep, served.name, answer.version, packed)
                for place, id in ids.items():
                    links = links_of(id, results[place], served.state.kind.sent_as != "json")
                    results[place] = {**results[place], "id": id, "links": links}
        return {"model": served.name, "version": answer.version, "results": results}

    def close(self) -> None:
        """Answer who waits, keep what the watches have seen, and end."""
        for served in self.models.by_name.values():
            served.close()
        self.keep_watches()
        self.store.close()

    def keep_watches(self) -> None:
        """Keep what the watches for drift have seen, to go on from after a restart."""
        for served in self.models.by_name.values():
            if served.monitor is not None:
                self.store.keep_watch(served.name, served.monitor.as_dict())


def why_kept(row: Row, is_to_keep: bool) -> str:
    """Return why an item is kept for people; an empty text for one that is not."""
    if row.error is not None:
        return ""
    reasons = {AUDIT: row.audit, ASKED: is_to_keep, ALARM: row.is_anomaly, WARNING: row.decision == "warn"}
    return next((why for why, applies in reasons.items() if applies), "")


def items_of(asked: Asked, places: Sequence[int]) -> list[Any]:
    """Return the items at some places as they were sent, the rows of columns as objects."""
    if not isinstance(asked.items, Mapping):
        return [asked.items[place] for place in places]
    return [{name: cells[place] for name, cells in asked.items.items()} for place in places]


def links_of(id: str, record: Mapping[str, Any], has_picture: bool) -> dict[str, Any]:
    """Return where an item is, its picture, and of a model of patches its map and the crops of its regions."""
    own = f"/v1/items/{id}"
    links: dict[str, Any] = {"item": own} | ({"picture": f"{own}/picture"} if has_picture else {})
    if "regions" in record:
        links |= {"map": f"{own}/map.png", "crops": [f"{own}/crops/{n}" for n in range(len(record["regions"]))]}
    return links
