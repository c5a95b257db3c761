"""Items that strangers send, scored by a model: nothing of what they send is taken for a path."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dn2.errors import InputError, UnreadableItem
from dn2.inputs.label_columns import Labels, labelling
from dn2.kinds.exchange import NOTHING, Belonging
from dn2.model.audits import check_audit, drawn
from dn2.model.belonging import Rules, belonging_of
from dn2.model.state import State
from dn2.results.decisions import decide
from dn2.results.rows import Row

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Asked:
    """What one request asks about.

    items : the bytes of pictures, tuples of these for groups, texts, rows as dicts, or vectors; or columns by name, of
    rows or of points of series.
    names : of each item; None for columns, whose rows are numbered.
    part, per : the labels of each item, None where the model's rules tell them."""

    items: Sequence[Any] | Columns
    names: Sequence[str] | None = None
    part: Labels | None = None
    per: Labels | None = None

    def is_like(self, other: Asked) -> bool:
        """Tell whether both can be scored together: labels are said of both or of none, and neither is a table, of
        which some cells may say how others are written."""
        if any(one.names is None or isinstance(one.items[0], Mapping) for one in (self, other)):  # type: ignore[index]
            return False
        return all((getattr(self, name) is None) == (getattr(other, name) is None) for name in ("part", "per"))


class Policy(NamedTuple):
    """How items are decided: see `Scorer.score`."""

    false_alarm_rate: float | None = None
    warn_rate: float | None = None
    audit: int | None = None

    def check(self, now: State) -> None:
        """Raise InputError, ReferenceTooSmall for rates or audits that a model cannot have."""
        now.rate(self.false_alarm_rate, self.warn_rate)
        check_audit(now, self.audit)


class _Named(NamedTuple):
    """Items of which rules know the names alone."""

    names: Sequence[str]
    paths: Sequence[str] = ()

    def named(self, names: list[str]) -> _Named:
        return self._replace(names=names)


def together(asked: Sequence[Asked]) -> Asked:
    """Put requests that are alike together, in order."""
    if len(asked) == 1:
        return asked[0]
    joined = [
        None if getattr(asked[0], name) is None else [value for one in asked for value in getattr(one, name)]
        for name in ("items", "names", "part", "per")
    ]
    return Asked(joined[0] or [], *joined[1:])


def answer(now: State, asked: Asked, policy: Policy) -> list[Row]:
    """Score and decide what is asked about: a row an item, or an interval of series.

    Raises InputError for what is no item of the model's kind."""
    now.rules.resolve(asked.part, asked.per)
    rows = [_answer_one(now, asked)] if _is_plain(now, asked) else _answer_all(now, asked)
    if policy.audit is not None:
        rows = drawn(rows, _digests(asked, rows), policy.audit, int(now.detector.steps.calibrate.seed))
    rate = now.rate(policy.false_alarm_rate, policy.warn_rate)
    return [decide(row, rate, policy.warn_rate) for row in rows]


def _is_plain(now: State, asked: Asked) -> bool:
    """Tell whether one item is asked about that is scored by itself in the shortest time."""
    if isinstance(asked.items, Mapping) or len(asked.items) != 1 or isinstance(asked.items[0], tuple):
        return False
    return now.rules == Rules() or not isinstance(asked.items[0], Mapping)  # labels may be cells of a row


def _answer_one(now: State, asked: Asked) -> Row:
    assert asked.names is not None
    assert not isinstance(asked.items, Mapping)
    rules = now.rules.resolve(asked.part, asked.per)
    belonging = NOTHING if rules == (None, None) else belonging_of(*rules, _Named(asked.names))
    try:
        return now.kind.score_one(now, asked.items[0], belonging, asked.names[0])
    except UnreadableItem as error:
        return Row(asked.names[0], error=str(error))
    except InputError:  # whose words are for who scores one item in Python
        return _answer_all(now, asked)[0]


def _answer_all(now: State, asked: Asked) -> list[Row]:
    rules = now.rules.resolve(asked.part, asked.per)
    with labelling(*rules):
        if isinstance(asked.items, Mapping):
            found_items = now.kind.find(asked.items)
        else:  # by number, as names may be sent twice
            found_items = now.kind.find({str(number): item for number, item in enumerate(asked.items)})
            found_items = found_items.named(list(asked.names or ()))
    belonging: Belonging = belonging_of(*rules, found_items)
    return now.kind.score(now, found_items, None, belonging).rows


def _digests(asked: Asked, rows: Sequence[Row]) -> list[str]:
    """Return what tells the contents of readable items apart."""
    items: Sequence[Any] = asked.items  # type: ignore[assignment]
    if isinstance(asked.items, Mapping):
        items = [dict(zip(asked.items, cells, strict=True)) for cells in zip(*asked.items.values(), strict=True)]
    return [digest_of(item) for item, row in zip(items, rows, strict=True) if row.error is None]


def digest_of(item: Any) -> str:
    """Return the SHA-256 of an item as it was sent."""
    if isinstance(item, tuple):
        return hashlib.sha256("".join(map(digest_of, item)).encode()).hexdigest()
    data = item if isinstance(item, bytes) else json.dumps(item, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()
