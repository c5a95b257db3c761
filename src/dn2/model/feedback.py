"""Verdicts back into a model: false alarms become neighbours that never calibrate, defects a test.

Items that join because of their score are no random sample of normal items: were they to calibrate, or were the others
their neighbours as well as what calibrates, alarms would sink to nothing.  So the model turns to calibrating items that
are no neighbours.  Audited items are a random sample, whatever their scores, and calibrate.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from typing import Any, NamedTuple

import numpy as np

from dn2.arrays import Progress, Vectors
from dn2.errors import InputError
from dn2.inputs.label_columns import labelling
from dn2.inputs.memory import rename
from dn2.inputs.verdicts import DEFECT, NORMAL, UNSURE, Verdict
from dn2.kinds.exchange import Belonging, ReferenceItem
from dn2.model.belonging import belonging_of, belonging_of_reference, label, membership_of
from dn2.model.scoring import find_items
from dn2.model.state import State
from dn2.model.told import Judged
from dn2.neighbors.membership import AUDITED, NEIGHBOR, ROLES
from dn2.results.decisions import decide
from dn2.results.rows import Row
from dn2.system.interface import command
from dn2.system.naming import identity, is_url, path_to_text, real_path


class Heard(NamedTuple):
    """What became of verdicts.

    state : the model with them; neighbors, audited, defects, unsure : the items that became neighbours alone, that
    calibrate, that are a test, and of which nothing is known; known : those of which the same was said before, or that
    are reference items; lost : those that were not found; unreadable : rows with the errors of others."""

    state: State
    neighbors: Sequence[str]
    audited: Sequence[str]
    defects: Sequence[str]
    unsure: Sequence[str]
    known: Sequence[str]
    lost: Sequence[str]
    unreadable: Sequence[Row]


def hear(
    now: State, verdicts: Sequence[Verdict], inputs: Any, names: Sequence[str] | None, progress: Progress | None
) -> Heard:
    """Take verdicts into a model.

    inputs : what the items were scored from, None where the verdicts name their files; names : of items from memory.

    Raises InputError for a kind without single items, for a verdict that contradicts an earlier one, and where no item
    is found; ReferenceTooSmall where the rate needs more items to calibrate than are left."""
    _check_takes(now)
    new, known = _unknown(now, verdicts)
    nothing: list[str] = []
    if not new:
        return Heard(now, nothing, nothing, nothing, nothing, known, nothing, ())
    rules = now.rules.resolve(None, None)
    with labelling(*rules):
        found_items, said, lost = _find(now, new, inputs, names, progress)
    belonging = _with_labels(now, belonging_of(*rules, found_items), said)
    scored = now.kind.score(now, found_items, progress, belonging)
    rows = [decide(row, now.false_alarm_rate) for row in scored.rows]
    readable = [place for place, row in enumerate(rows) if row.error is None]
    digests = dict(zip(readable, scored.digests, strict=False))
    judged = {
        place: Judged(
            said[place].item,
            said[place].verdict,
            said[place].kind,
            said[place].audit,
            path_to_text(found_items.paths[place]),
            digests.get(place, ""),
            rows[place].part or "",
            rows[place].per or "",
            rows[place].p_value,
            rows[place].is_anomaly,
        )
        for place in readable
    }
    references = {item.sha256 for item in now.items if item.sha256}
    again = [place for place in readable if judged[place].verdict == NORMAL and judged[place].sha256 in references]
    normal = [place for place in readable if judged[place].verdict == NORMAL and place not in again]
    defects = [place for place in readable if judged[place].verdict == DEFECT]
    vectors = _vectors(now, found_items, defects)
    joining = [judged[place] for place in normal]
    state = _joined(now, found_items, normal, joining, belonging, progress) if normal else now
    kept = [*(judged[place] for place in readable if place not in defects), *(judged[place] for place in defects)]
    state = replace(state, told=now.told.with_more(kept, vectors))
    audited = [one.item for one in joining if one.audit]
    neighbors = [one.item for one in joining if not one.audit]
    unsure = [one.item for one in kept if one.verdict == UNSURE]
    tests = [judged[place].item for place in defects]
    known = [*known, *(judged[place].item for place in again)]
    words = _in_words(len(neighbors), len(audited), len(tests))
    state = replace(state, changes=(*now.changes, words), known=None)
    return Heard(state, neighbors, audited, tests, unsure, known, lost, [row for row in rows if row.error is not None])


def p_values_of_defects(now: State, progress: Progress | None = None) -> list[float | None]:
    """Return the p-values that the defects of a model have by now, as far as they can be scored again."""
    defects, vectors = now.told.defects, now.told.vectors
    if vectors is None:
        return []
    if now.kind.learns_beside:
        return _scored_again(now, defects, progress)
    part, per = ([getattr(one, name) or None for one in defects] for name in ("part", "per"))
    belonging = Belonging(None if now.rules.part is None else part, None if now.rules.per is None else per)
    p_values = now.detector.p_value(vectors, belonging.membership)
    return [None if np.isnan(p_value) else float(p_value) for p_value in p_values]


def _scored_again(now: State, defects: Sequence[Judged], progress: Progress | None) -> list[float | None]:
    """Score defects from their files, where a vector does not tell; what was said at first of one that is gone."""
    there = [one for one in defects if _is_there(one.path)]
    if not there:
        return [one.p_value for one in defects]
    found_items, said, _ = _find(now, [Verdict(one.item, one.verdict, one.path) for one in there], None, None, progress)
    rows = now.kind.score(now, found_items, progress, belonging_of(*now.rules.resolve(None, None), found_items)).rows
    p_values = {verdict.item: row.p_value for verdict, row in zip(said, rows, strict=True) if row.error is None}
    return [p_values.get(one.item, one.p_value) for one in defects]


def _check_takes(now: State) -> None:
    if not now.kind.takes_verdicts:
        raise InputError(
            f"verdicts are of single items, and {now.kind.many} are not compared one by one: give what is normal to "
            f"{command('dn2 add', 'Model.add')}, as a file of its own"
        )


def _unknown(now: State, verdicts: Sequence[Verdict]) -> tuple[list[Verdict], list[str]]:
    """Return the verdicts that are new, and the items of which the same was said before.

    Raises InputError for one that contradicts what was said before."""
    said, new, known = now.told.known(), [], []
    for verdict in verdicts:
        before = said.get(identity(verdict.item))
        if before is None:
            new.append(verdict)
        elif before.verdict == verdict.verdict:
            known.append(verdict.item)
        else:
            raise InputError(
                f"{verdict.item!r} is said to be {verdict.verdict}, and was said to be {before.verdict} before: take "
                f"that back with {command('dn2 undo', 'Model.undo')}, or {command('dn2 remove', 'Model.remove')} it "
                "from the model first"
            )
    return new, known


def _find(
    now: State, verdicts: Sequence[Verdict], inputs: Any, names: Sequence[str] | None, progress: Progress | None
) -> tuple[Any, list[Verdict], list[str]]:
    """Find the items of verdicts: the items, the verdict of each, and the names of those that are not found.

    Raises InputError where none is found."""
    by_path = inputs is None
    paths = {verdict.path: None for verdict in verdicts if _is_there(verdict.path)}
    found: Any = None
    if not by_path or paths:
        found = find_items(now.kind, list(paths) if by_path else inputs, progress)
        found = found if names is None else rename(found, names)
    places, only = _places(found, by_path)
    chosen: dict[int, Verdict] = {}
    lost = []
    for verdict in verdicts:
        where = real_path(verdict.path) if by_path and verdict.path else ""
        place = places.get((where, identity(verdict.item)), only.get(where) if where else None)
        if place is None:
            lost.append(verdict.item)
        else:
            chosen[place] = verdict
    if not chosen:
        raise InputError(
            f"none of the {len(verdicts):,} items is found, such as {verdicts[0].item!r}: give what they were scored "
            f"from, {command('dn2 feedback MODEL VERDICTS INPUT', 'inputs=')}"
        )
    said = [chosen[place] for place in sorted(chosen)]
    return found.at(sorted(chosen)).named([verdict.item for verdict in said]), said, lost


def _is_there(path: str) -> bool:
    """Tell whether a path leads to a file, or may be one in a store; of a folder it is not said what in it is meant."""
    return is_url(path) or os.path.isfile(path)


def _places(found: Any, by_path: bool) -> tuple[dict[tuple[str, str], int], dict[str, int | None]]:
    """Return the place of each item by its file, where that counts, and its name; and by file, of one with one item."""
    places: dict[tuple[str, str], int] = {}
    only: dict[str, int | None] = {}
    real: dict[str, str] = {}
    for place, (name, path) in enumerate(zip(found.names, found.paths, strict=True) if found is not None else ()):
        where = real.setdefault(os.fspath(path), real_path(path) if by_path and path else "")
        places[where, identity(name)] = place
        only[where] = None if where in only else place
    return places, only


def _with_labels(now: State, belonging: Belonging, said: Sequence[Verdict]) -> Belonging:
    """Return what items belong to as their verdicts say, or else as the model's rules do."""
    labels = []
    for name, told in (("part", belonging.part), ("per", belonging.per)):
        given = [getattr(one, name) or None for one in said]
        if getattr(now.rules, name) is None or not any(given):
            labels.append(told)
        else:
            labels.append([one or other for one, other in zip(given, told or [None] * len(said), strict=True)])
    return Belonging(*labels)


def _vectors(now: State, found_items: Any, places: Sequence[int]) -> Vectors:
    if not places:
        return np.empty((0, now.kind.dimension), np.float32)
    return np.asarray(now.kind.embedded(found_items.at(places), None).vectors, np.float32)


def _joined(
    now: State,
    found_items: Any,
    places: Sequence[int],
    judged: Sequence[Judged],
    belonging: Belonging,
    progress: Progress | None,
) -> State:
    """Let normal items join the reference set: audited ones as others, those that scores chose as neighbours alone.

    belonging : of all found items."""
    holding = now.detector if all(one.audit for one in judged) else now.detector.holding_out()
    joining = found_items.at(places).named(_names(now, judged))
    own = belonging.at(np.array(places, np.int64))
    belonging = belonging_of_reference(*now.rules.required((own.part, own.per)), joining)
    new = now.kind.reference(joining, progress)
    roles = (ROLES[AUDITED if one.audit else NEIGHBOR] for one in judged)
    new_items = [
        item._replace(role=role) for item, role in zip(label(new.items, belonging, joining), roles, strict=True)
    ]
    detector = holding.add(now.kind.recalled(holding, new), membership=membership_of(new_items, now.rules))
    items: list[ReferenceItem] = now.items + new_items
    kind = new.kind.completed(detector, items, new, None, progress)
    return replace(now, kind=kind, detector=detector, items=items, unreadable=[])


def _names(now: State, judged: Sequence[Judged]) -> list[str]:
    """Name items that join: as in the results, by their files where the model has an item of that name, or numbered."""
    taken, names = {identity(item.name) for item in now.items}, []
    for one in judged:
        numbered = (f"{one.item} ({number})" for number in count(2))
        name = next(name for name in chain([one.item, one.path], numbered) if name and identity(name) not in taken)
        taken.add(identity(name))
        names.append(name)
    return names


def _in_words(neighbors: int, audited: int, defects: int) -> str:
    """Say what verdicts changed, for the list of versions."""
    counts = ((neighbors, "told to be normal"), (audited, "audited"), (defects, "told to be defects"))
    return "feedback: " + (", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing to learn")
