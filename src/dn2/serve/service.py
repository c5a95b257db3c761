"""What a service does with a request, beneath HTTP."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from dn2.errors import Dn2Error
from dn2.model.answering import Asked
from dn2.results.decisions import decision_of
from dn2.results.rows import Row
from dn2.serve.limits import Limits, Refused
from dn2.serve.line import Answer
from dn2.serve.metrics import Metrics
from dn2.serve.packing import pack
from dn2.serve.people import People
from dn2.serve.served import Models, ServedModel
from dn2.serve.store import Store

logger = logging.getLogger("dn2")

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

    async def score(
        self, request: Request, served: ServedModel, asked: Asked, is_to_keep: bool = False
    ) -> dict[str, Any]:
        """Score what is asked about, and keep for people what is flagged, drawn for an audit, or asked to be kept.

        Returns the model's name and version, and each row with its decision and, where it is kept, its id and links.
        Raises Refused."""
        try:
            answer = await while_there(request, served.ask(asked))
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
                if not await run_in_threadpool(self._keep, served.name, answer.version, packed):
                    ids = {}
                for place, id in ids.items():
                    links = links_of(id, results[place], served.state.kind.sent_as != "json")
                    results[place] = {**results[place], "id": id, "links": links}
        return {"model": served.name, "version": answer.version, "results": results}

    def _keep(self, model: str, version: str, packed: Sequence[tuple[str, str, dict[str, Any], bytes]]) -> bool:
        """Keep items, and tell whether that was possible: who scores is answered even where the disk is full."""
        try:
            self.store.keep(model, version, packed)
        except sqlite3.Error as error:
            self.metrics.lost(model, len(packed))
            logger.error("%d items of %s cannot be kept for people: %s", len(packed), model, error)
            return False
        return True

    def close(self) -> None:
        """Answer who waits, keep what the watches have seen, and end."""
        for served in self.models.by_name.values():
            served.close()
        self.keep_watches()
        self.store.close()

    def keep_watches(self) -> None:
        """Keep what the watches for drift have seen, to go on from after a restart."""
        for served in self.models.by_name.values():
            if served.monitor is None:
                continue
            try:
                self.store.keep_watch(served.name, served.monitor.as_dict())
            except sqlite3.Error as error:  # such as a full disk: it is tried again
                logger.error("what the watch of %s for drift has seen cannot be kept: %s", served.name, error)


async def while_there(request: Request, answer: Future[Answer]) -> Answer:
    """Wait for an answer while who asks is there; one that waits for nobody leaves the line.

    Raises ClientDisconnect, and what the answer does."""
    waiting, left = asyncio.wrap_future(answer), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((waiting, left), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done() and left.result()["type"] == "http.disconnect":
            raise ClientDisconnect
        return await waiting
    finally:
        answer.cancel()
        left.cancel()


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
