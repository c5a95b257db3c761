"""Scored items as results."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dn2.arrays import Progress, Scores
from dn2.errors import InputError
from dn2.kinds.exchange import Belonging, FoundItems, ScoredItems
from dn2.kinds.guess import check_files, hold
from dn2.kinds.kind import Kind
from dn2.model.audits import drawn
from dn2.model.part_rows import of_parts, p_values_of
from dn2.model.shared import shared
from dn2.model.state import State
from dn2.neighbors.choice import check_scoring, count_partitions
from dn2.neighbors.detector import Detector
from dn2.neighbors.memory import parse_memory
from dn2.neighbors.rates import false_discoveries
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.shift import Shift, find_shift
from dn2.results.context import Context
from dn2.results.files import read_rows
from dn2.results.results import PARTS, Results
from dn2.results.rows import Row
from dn2.system.bounds import check_fits
from dn2.system.interface import option
from dn2.system.naming import path_to_text, real_path
from dn2.system.stores import AnyPath
from dn2.system.workers import workers

BYTES_A_RESULT = 600  # of an item's row, its name and its neighbours
DEVIATIONS = 3.0  # a larger excess is not by chance


def to_results(
    model: Any,
    now: State,
    scored: ScoredItems,
    root: AnyPath | None = None,
    paths: Sequence[str | os.PathLike[str]] | None = None,
) -> Results:
    """Return scored items as results, not yet decided.

    now : the state of `model` that scored them; root, paths : see `Context`."""
    known = None if paths is None or len(paths) != len(scored.rows) else list(map(path_to_text, paths))
    context = Context(model, now.calibration, scored.files, scored.vectors, root, scored.guarantee, known)
    size = now.calibration.sample_size if scored.sample_size is None else scored.sample_size
    return Results(
        scored.rows,
        None,
        size,
        context,
        points=scored.points,
        n_reference=now.calibration.n_others,
        counted=scored.counted or (PARTS if now.calibration.n_parts else ""),
        confidence=now.calibration.confidence,
        nouns=(now.kind.one, now.kind.many),
        among_themselves=bool(scored.guarantee),
    )


def shift_of(results: Results) -> Shift | None:
    """Tell whether a batch is far out as a whole; None of intervals of series, of which neighbours are alike."""
    if results.points is not None or results.among_themselves:
        return None
    p_values = np.array([row.p_value for row in results if row.p_value is not None], np.float64)
    return find_shift(p_values, results.sample_size)


def find_items(kind: Kind[Any], inputs: Any, progress: Progress | None) -> FoundItems:
    """Find the items that inputs name.  Raises InputError as `Kind.find` does, and for files of other kinds."""
    held = hold(inputs, kind.name)
    check_files(kind, held)
    return kind.find(held, progress)  # type: ignore[no-any-return]


def score_found(
    model: Any,
    now: State,
    found_items: FoundItems,
    belonging: Belonging,
    memory: str | int | None,
    progress: Progress | None,
    audit: int | None = None,
) -> Results:
    """Score found items as results, not yet decided.

    now : the state of `model`; belonging : what the items belong to; audit : one item in so many is drawn for a person.
    Raises InputError beyond memory."""
    n = len(found_items.names)
    check_fits(BYTES_A_RESULT * n, f"what is found of {n:,} items")
    if (crew := workers()) is None:
        check_scoring(now.detector.steps, memory, len(now.items), now.kind.dimension, n)
        scored = now.kind.score(now, found_items, progress, belonging)
    else:
        with shared(now, crew.is_remote) as model:
            count = 1 if now.kind.learns_beside else partitions(now.detector, memory)
            if count == 1:
                scored = now.kind.score_apart(now, model, found_items, progress, belonging)
            else:
                with crew.partitioned(model, count) as index:
                    reference = replace(now.detector.reference, index=index)
                    searching = replace(now, detector=replace(now.detector, reference=reference))
                    scored = now.kind.score(searching, found_items, progress, belonging)
    if audit is not None:
        scored.rows = drawn(scored.rows, scored.digests, audit, int(now.detector.steps.calibrate.seed))
    results = to_results(model, now, scored, paths=found_items.paths)
    return replace(results, reference_items=count_known(now, scored))


def partitions(detector: Detector, memory: str | int | None) -> int:
    """Return into how many partitions a reference set is cut, so that no worker takes more memory than is allowed, if
    it is searched exactly and as it is stored; one for any other, of which each worker maps what it needs.

    Raises InputError where less is allowed than a worker takes by itself."""
    allowed, index = parse_memory(memory), detector.reference.index
    if allowed is None or not isinstance(index, ExactIndex) or detector.learnt is not None:
        return 1
    return count_partitions(sum(block.stored.nbytes for block in index.blocks), len(index.blocks), allowed)


def count_known(now: State, scored: ScoredItems) -> int:
    """Count the items that are reference items or copies of them, by the bytes of their files or by distance 0."""
    in_reference = Counter(item.sha256 for item in now.items if item.sha256)
    again = Counter(digest for digest in scored.digests if digest in in_reference)
    return max((in_reference & again).total(), _at_distance_zero(now, scored.rows))


def _at_distance_zero(now: State, rows: Sequence[Row]) -> int:
    """Count the rows at distance 0 from a reference item; 0 where chance explains the number, because about as many
    reference items are copies of each other."""
    n = sum(row.error is None for row in rows)
    at_zero = sum(bool(row.neighbors) and row.neighbors[0].distance == 0 for row in rows)
    nearest = now.detector.leave_one_out.distances[:, 0]
    share = float((nearest == 0).mean())
    deviation = math.sqrt(share * (1 - share) * n * (1 + n / len(nearest)))
    return at_zero if at_zero > share * n + DEVIATIONS * deviation else 0


def check_apart(normal: FoundItems, anomalous: FoundItems) -> None:
    """Raise InputError for a file that is given as both normal and anomalous."""
    real = [{real_path(path) for path in set(found_items.paths) if path} for found_items in (normal, anomalous)]
    if shared := real[0] & real[1]:
        raise InputError(
            f"an item is either normal or anomalous, and {min(shared)!r} is given as both ({len(shared):,} such in all)"
            "; leave it out of one of them"
        )


def how_to_decide(
    now: State, false_alarm_rate: float | None, warn_rate: float | None, fdr: float | None
) -> Callable[[Results], Results]:
    """Return what decides results as was asked.

    Raises InputError, ReferenceTooSmall, before any work, where that cannot be done."""
    if fdr is None:
        rate = now.rate(false_alarm_rate, warn_rate)
        return lambda results: results.at(rate, warn_rate=warn_rate)
    if not now.kind.has_false_discoveries:
        raise InputError(f"p-values of {now.kind.many} have no false-discovery rate; give a false-alarm rate")
    if false_alarm_rate is not None:
        raise InputError("a false-alarm rate and a false-discovery rate are two ways to decide; give one of them")
    if warn_rate is not None:
        raise InputError(
            f"{option('warn_rate')} goes with a false-alarm rate, which it is laxer than, and with no false-discovery "
            f"rate; leave out {option('fdr')}"
        )
    false_discoveries(np.empty(0), fdr)
    return lambda results: _discover(results, fdr)


def _discover(results: Results, level: float) -> Results:
    """Decide all rows together at a false-discovery rate, and all parts."""
    rows, parts = (_discover_among(some, level) for some in (results.rows, results.parts))
    return replace(results, rows=rows, parts=tuple(parts), false_discovery_rate=level)


def _discover_among(rows: Sequence[Row], level: float) -> list[Row]:
    p_values = np.array([row.p_value for row in rows if row.p_value is not None], np.float64)
    flagged = iter(false_discoveries(p_values, level))
    return [row if row.p_value is None else replace(row, is_anomaly=bool(next(flagged))) for row in rows]


def read_scored(
    model: Any,
    path: Path,
    root: AnyPath,
    false_alarm_rate: float | None = None,
    warn_rate: float | None = None,
    progress: Progress | None = None,
    mask: Any = None,
) -> Results:
    """Read a results file that the model wrote, and find again what a report of it shows.

    root : the folder that the items' names start from, where their files are found; mask : see `Model.score`.
    false_alarm_rate, warn_rate : decide at these rates; by default the file's decisions stand.
    Raises InputError unless the file holds results with the p-values of this model."""
    now: State = model.state
    rate = now.rate(false_alarm_rate, warn_rate)
    read = read_rows(path, now.kind.evidence)
    rows, parts = [row for row in read if row.items is None], tuple(row for row in read if row.items is not None)
    _check_rows(path, rows, p_values_of(now, now.calibration, rows))
    if parts:
        _check_rows(path, parts, p_values_of(now, of_parts(now.calibration), parts))
    files, vectors = now.kind.found_again(root, rows, now, progress, mask)
    found = None if files is None else list(files)
    paths = None if found is None else ["" if file is None else file.origin for file in found]
    results = to_results(model, now, ScoredItems(rows, vectors, files=found), root, paths)
    results = replace(results, parts=parts)
    decided = results.at(rate, warn_rate=warn_rate)
    if false_alarm_rate is not None or warn_rate is not None:
        return decided
    at_rate = all(row.is_anomaly == as_read.is_anomaly for row, as_read in zip(decided, rows, strict=True))
    return replace(results, false_alarm_rate=rate) if at_rate else results


def _check_rows(path: Path, rows: Sequence[Row], p_values: Scores) -> None:
    """Raise InputError unless p-values are the model's, those of the scored rows, and decisions follow them."""
    scored = [row for row in rows if row.error is None]
    for row, p_value in zip(scored, p_values.tolist(), strict=True):
        in_model, in_file = ("none" if one is None else f"{one:g}" for one in (_number(p_value), row.p_value))
        if row.p_value != _number(p_value):
            raise InputError(
                f"{path}: the score of {row.item!r} has a p-value of {in_model} in this model, not {in_file}; "
                "give the model that scored the items, as it was then"
            )
    scored = [row for row in scored if row.p_value is not None]
    for words, found in (
        ("is normal there", [row.is_anomaly for row in scored]),
        ("is accepted there", [row.decision in ("warn", "reject") for row in scored]),
    ):
        least = max((row.p_value or 0 for row, flag in zip(scored, found, strict=True) if flag), default=0)
        if any((row.p_value or 0) <= least for row, flag in zip(scored, found, strict=True) if not flag):
            raise InputError(
                f"{path}: decisions must follow the p-values, and an item {words} at a p-value of {least:g} or less, "
                "at which another is not"
            )


def _number(p_value: float) -> float | None:
    return None if math.isnan(p_value) else p_value
