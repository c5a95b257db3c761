"""Making a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Unpack

import numpy as np

from dn2.arrays import Progress
from dn2.errors import InputError
from dn2.inputs.label_columns import labelling
from dn2.inputs.leaving_out import leaving_out
from dn2.inputs.memory import rename
from dn2.kinds.exchange import Belonging, FoundItems
from dn2.kinds.guess import check_found, check_not_texts, guess_kind, hold
from dn2.kinds.keyword_options import with_keywords
from dn2.kinds.keywords import FitOptions, SelfOptions
from dn2.kinds.kind import Kind
from dn2.kinds.registry import (
    KINDS,
    asks_for_nothing,
    choose_itself,
    choose_options,
    find_kind_by_options,
    kind_of,
    kinds_that_compare_themselves,
    owners_of,
    suffixes_of,
)
from dn2.model.belonging import Rules, belonging_of_reference, label, membership_of
from dn2.model.model import Model
from dn2.model.parts import warn_of_parts
from dn2.model.scoring import to_results
from dn2.neighbors.choice import fits_in_memory
from dn2.neighbors.detector import Detector
from dn2.neighbors.memory import parse_memory
from dn2.neighbors.plan import Plan
from dn2.neighbors.rates import attainable_rate, check_rate
from dn2.neighbors.steps import Steps
from dn2.results.results import Results
from dn2.store.cache import Cache
from dn2.system.large_arrays import arrays_in_files, in_files
from dn2.system.progress import Shown, shown
from dn2.system.workers import workers, working


@with_keywords(KINDS)
def fit(
    inputs: Any,
    *,
    kind: str | None = None,
    names: Iterable[str] | None = None,
    cache: Cache | bool | None = True,
    exclude: str | Sequence[str] = (),
    on: str | None = None,
    progress: Shown = None,
    **options: Unpack[FitOptions],
) -> Model:
    """Learn what normal looks like from normal items.

    Parameters
    ----------
    inputs : str, path, list of these, array or frame
        The items. A folder (searched recursively), a file, the URL of one (`s3://`, `gs://`), a glob,
        `@list.txt` (a list of paths), or a list of these; a table also as a frame of pandas or polars,
        messages also as a column of texts, vectors as an array of shape (n, d), a series as an array of
        shape (n,) or (n, columns).
    kind : str, optional
        What the items are: {kinds}. By default an option that
        only one kind has tells it, or else the inputs do.
    names : iterable of str, optional
        What items from memory are called; by default their position or their key.
    cache : Cache or bool, default: True
        Where the embeddings of pictures and messages are kept by content, so that nothing is embedded
        twice; True for the user's own cache, False or None for none.
    exclude : str or list of str, optional
        Globs of files and folders, in the folders given, that are no items: `*_mask.png`, `test`, or
        `line 2/**/old`. A glob without a slash is matched against names, one with a slash against the
        whole path within the folder given; `**` stands for folders to any depth.
    on : str, optional
        The cluster whose workers embed and compare: `ray`, for the one that `RAY_ADDRESS` names or else
        this machine, or `ray://HOST:PORT`. The model is the same as without.
    progress : callable, optional
        Called with (done, total) as items are done.
    {options}

    Returns
    -------
    Model
        What normal looks like: it scores items, takes in others, and is saved.

    Raises
    ------
    InputError
        Unless an item is found and can be read, for items of several kinds, and for an option or a
        value that the kind does not have.
    ReferenceTooSmall
        For a false-alarm rate that the items cannot support.
    BackboneError, MissingExtra
        For a backbone that is unknown or not installed.

    See Also
    --------
    score_self : Score series against themselves, without a model.

    Examples
    --------
    >>> import dn2, numpy
    >>> normal = numpy.random.default_rng(0).normal(size=(200, 8)).astype("float32")
    >>> model = dn2.fit(normal, kind="vector", false_alarm_rate=0.05)
    >>> bool(model.score(normal[:1] + 9).rows[0].is_anomaly)
    True
    """
    inputs = hold(inputs, kind)
    with working(on), shown(progress, "fitting") as tell:
        with leaving_out(exclude):
            name = choose_kind(inputs, kind, options)
            chosen = choose_options(name, options)
            with labelling(*_rules_in(chosen)):
                learnt, found_items = kind_of(name).learn(inputs, chosen, Cache.of(cache), tell)
        return _fit(learnt, found_items if names is None else rename(found_items, names), chosen, tell)


@with_keywords(kinds_that_compare_themselves())
def score_self(
    inputs: Any,
    *,
    kind: str | None = None,
    exclude: str | Sequence[str] = (),
    progress: Shown = None,
    **options: Unpack[SelfOptions],
) -> Results:
    """Score series whose anomalies are unknown against themselves: each window against all that do not overlap it.

    A p-value is the share of all intervals that score as high, and so a rate flags that share of them,
    whatever they are; by default one in 100, or the highest alone.

    Parameters
    ----------
    inputs : str, path, list of these, array or frame
        The series, as for `fit`.
    kind : str, optional
        What the items are; by default series.
    exclude : str or list of str, optional
        Globs of files and folders that hold no items, as for `fit`.
    progress : callable, optional
        Called with (done, total) as windows are done.
    {options}

    Returns
    -------
    Results
        A row for each interval, and the scores of all points.

    Raises
    ------
    InputError
        Unless a series can be read, and for a value that its option cannot have.
    ReferenceTooSmall
        For series that are too short, and for a rate that they cannot support.

    See Also
    --------
    fit : Learn from series that are normal, to score new ones.

    Examples
    --------
    >>> import dn2, numpy
    >>> wave = numpy.sin(numpy.arange(2000) / 8)
    >>> wave[1200:1210] += 2
    >>> dn2.score_self(wave, window=50).anomalies[0].start
    '1178'
    """
    name = choose_itself(kind)
    chosen = choose_options(name, options)
    rate, chosen = chosen.false_alarm_rate, replace(chosen, false_alarm_rate=None)
    if rate is not None:
        check_rate(rate)
    with shown(progress, "scoring") as tell:
        with leaving_out(exclude):
            learnt, found_items = kind_of(name).learn(hold(inputs, name), chosen, None, tell)
        learnt.check_rate(rate, found_items)
        model = _fit(learnt, found_items, chosen, tell, measure=False)
    results = to_results(model, model.state, learnt.score_itself(model.state, found_items))
    if rate is None and not results.sample_size:  # the only interval has none to compare with
        return replace(results, rows=[replace(row, is_anomaly=None if row.error else False) for row in results])
    return results.at(attainable_rate(None, results.sample_size) if rate is None else rate)


def choose_kind(inputs: Any, kind: str | None, options: Mapping[str, Any]) -> str:
    """Return the kind of items: as asked for, as an option tells, or as the inputs look.

    Raises InputError for inputs of several kinds."""
    if kind is not None:
        return kind
    given = [name for name, value in options.items() if not asks_for_nothing(value)]
    kind = find_kind_by_options(given)
    if kind is None:
        kind = guess_kind(inputs)
        if kind == KINDS[0]:
            check_not_texts(inputs)
        if kind == KINDS[0] and all(owners_of(name) == KINDS for name in given):
            check_found(inputs)
        return kind
    with suppress(InputError):
        looks_like = guess_kind(inputs)
        if suffixes_of(looks_like).isdisjoint(suffixes_of(kind)):
            return looks_like  # of which the option is refused by name
    return kind


def _fit(
    kind: Kind[Any], found_items: FoundItems, options: Any, progress: Progress | None, measure: bool = True
) -> Model:
    """Embed items and fit the detector."""
    n, said = len(found_items.names), _rules_in(options)
    if (masks := getattr(options, "masks", None)) is not None:
        found_items = kind.masked(found_items, masks)
    kind.check_rate(options.false_alarm_rate, found_items)
    belonging = belonging_of_reference(*said, found_items)
    with _room(kind, found_items, kind.steps(options, n)):
        _check_size(kind, found_items, kind.steps(options, n), belonging)
        reference = kind.reference(found_items, progress)
        steps = reference.kind.steps(options, len(reference.items))
        items, rules = label(reference.items, belonging, found_items), Rules.of(*said)
        detector = Detector.fit(
            steps,
            reference.vectors,
            membership=membership_of(items, rules),
            places=reference.places,
            measure=measure,
            progress=progress,
        )
    completed = reference.kind.completed(detector, items, reference, options, progress)
    model = Model(completed, detector, items, unreadable=reference.unreadable, rules=rules)
    warn_of_parts(model.state)
    return model


def _rules_in(options: Any) -> tuple[Any, Any]:
    """Return what the options say of what items belong to."""
    return getattr(options, "part", None), getattr(options, "per", None)


@contextmanager
def _room(kind: Kind[Any], found_items: FoundItems, steps: Steps) -> Iterator[None]:
    """Let the vectors of items lie in files inside, where the workers of a cluster see them, if there is one and the
    memory allowed does not suffice for them."""
    allowed = parse_memory(steps.search.memory)
    suffices = fits_in_memory(steps, len(found_items.names), kind.dimension, _beside(kind, found_items))
    if allowed is None or suffices or workers() is None:
        yield
        return
    cache = getattr(kind.embedder, "opened_cache", None)
    with arrays_in_files(None if cache is None else cache.path.parent, allowed):
        yield


def _beside(kind: Kind[Any], found_items: FoundItems) -> int:
    """Return the bytes of vectors before they are stored: all of them are in memory, except in a mapped file."""
    is_mapped = in_files() is not None or isinstance(getattr(found_items, "vectors", None), np.memmap)
    return 0 if is_mapped else 4 * len(found_items.names) * kind.dimension


def _check_size(kind: Kind[Any], found_items: FoundItems, steps: Steps, belonging: Belonging) -> None:
    """Raise, before the work, for a rate or a size that is not attainable."""
    steps.check()
    n = len(found_items.names)
    plan = Plan.of(steps, n, kind.dimension, beside=_beside(kind, found_items))
    # A step learns from one half of the items, and the other half calibrates; with a confidence all may but those that
    # are left as neighbours.  A rate that even so many cannot support is refused before the work.
    learns = plan.learns or kind.learns_beside
    confidence, sizes = steps.calibrate.confidence, belonging.sizes(n)
    left = 1 if belonging.part is not None else -(-(int(steps.n_neighbors) + 1) // len(sizes))
    for stratum, size in sizes.items():
        most = size if not learns else max(1, size // 2 if confidence is None else size - left)
        counted = "reference items" if belonging.part is None else "parts"
        where = f"{counted} of {stratum!r}" if stratum else counted
        attainable_rate(steps.false_alarm_rate, most, size if learns else None, where, confidence)
