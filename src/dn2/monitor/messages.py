"""What a watch says of an item and of drift: the same JSON in a log, to a webhook and to a broker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from dn2.monitor.stream import Change
from dn2.results.decisions import decision_of
from dn2.results.rows import Row


class Judge(NamedTuple):
    """What decided: the name of the folder of a model, and which version of it, the beginning of its digest."""

    model: str
    version: str


def message_of(row: Row, file: str, judge: Judge, has_changed: bool | None, at: str) -> str:
    """Write the message of a row, without the id and the number that its delivery gives it.

    file : the path of its file in the folder.
    has_changed : whether items are no longer what they were, see `DriftMonitor`; None where that is not watched.
    at : when it was scored, see `now`."""
    record = row.as_dict()
    record.pop("decision", None)
    about = {"time": at, "decision": decision_of(row), "file": file, **record, "drift": has_changed}
    return json.dumps({**about, "model": judge.model, "model_version": judge.version}, ensure_ascii=False)


def drift_message(judge: Judge, alarm: Change | None, *, is_watched: bool) -> str:
    """Write the message of the state of drift: unchanged, changed or unwatched."""
    about: dict[str, Any] = {"state": "changed" if alarm else "unchanged" if is_watched else "unwatched"}
    if alarm is not None:
        about |= {"since": alarm.since._asdict(), "noticed_at": alarm.at._asdict()}
    return json.dumps({**about, "model": judge.model, "model_version": judge.version}, ensure_ascii=False)


def now() -> str:
    """Return the time in UTC, ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number_of(line: bytes, journal: str) -> int | None:
    """Return the number of a message in a log; None where it is another's.

    journal : the name of the journal that gave it."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if not isinstance(message, Mapping):
        return None
    sequence = message.get("sequence")
    is_own = type(sequence) is int and message.get("id") == f"{journal}-{sequence}"
    return sequence if is_own else None
