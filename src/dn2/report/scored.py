"""The page of scored items, from their results and the model that scored them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from dn2 import __version__
from dn2.arrays import Progress
from dn2.errors import InputError
from dn2.kinds.guarantee import expectation_of
from dn2.kinds.registry import room_of
from dn2.model.scoring import shift_of
from dn2.model.state import State
from dn2.model.words import describe_with_columns, shift_in_words
from dn2.neighbors.calibration import Calibration
from dn2.report.around import Map, PageContext
from dn2.report.marking import command_of, paths_of
from dn2.report.results_page import write_results_page
from dn2.report.section import Section
from dn2.results.context import MOST_ON_MAP, Context, places_on_map
from dn2.results.results import Results

ABOUT_ITS_RATE = ("calibration", "false-alarm rate", "flagged above")


def write_page_of(results: Results, path: Path, progress: Progress | None = None) -> None:
    """Write the page of results: see `Results.to_html`."""
    write_results_page(path, results, context_of(results, progress))


def context_of(results: Results, progress: Progress | None = None) -> PageContext:
    """Return what a page shows beside the rows of results."""
    context = results.context
    assert context is not None
    state: State = context.model.state
    if state.calibration is not context.calibration:
        raise InputError("the model has changed since it scored these items; score them again")
    described, columns = describe_with_columns(state.describe(), state.kind.columns)
    if context.guarantee:  # the rate and the calibration are those of a model that scored nothing
        described = [pair for pair in described if pair[0] not in ABOUT_ITS_RATE]
    room = room_of(state.kind.name, "page")
    section = Section if room is None else room.Section
    return PageContext(
        reference_scores=state.calibration.scores,
        calibration=_calibration(state, results),
        model=[("dn2", __version__), *described],
        worth=expectation_of(results),
        guarantee=context.guarantee or state.assumptions(),
        section=partial(section, pictures=state.kind.pictures(context.files, state, progress)),
        map=_map(state, context, results),
        neighbors=_neighbors(state, context),
        notes=[*_gone(context, results), *_far_out(state, results)],
        columns=columns,
        paths=paths_of(context),
        command=command_of(state),
    )


def _calibration(state: State, results: Results) -> Calibration:
    """Return what makes rates of scores; each of items that are ranked among themselves counts for the others."""
    calibration = state.calibration
    return replace(calibration, scores=calibration.scores[:-1]) if results.among_themselves else calibration


def _neighbors(state: State, context: Context) -> str:
    """Return the heading of the neighbours."""
    if state.detector.steps.search.method.name == "kmeans":
        return "Nearest centroids, each shown by the item nearest to it (distance of the centroid)"
    return f"Nearest{'' if context.guarantee else ' normal'} {state.kind.nearest or state.kind.many} (distance)"


def _gone(context: Context, results: Results) -> list[str]:
    """Say how many items' files were not found again."""
    if context.files is None:
        return []
    gone = sum(file is None for row, file in zip(results, context.files, strict=True) if row.error is None)
    words = f"Not found below {context.root}, or another file by now: {gone:,} of {len(results):,} items."
    return [words] if gone else []


def _far_out(state: State, results: Results) -> list[str]:
    """Say whether the batch is far out as a whole."""
    shift = shift_of(results)
    return [] if shift is None else [f"{shift_in_words(shift, state.kind.many)}."]


def _map(state: State, context: Context, results: Results) -> Map | None:
    """Draw the scored items and the reference set in two dimensions."""
    from sklearn.decomposition import PCA

    places = [place for place in sorted(context.vectors) if results.rows[place].error is None]
    detector = state.detector
    if not places:
        return None
    compared_places = np.setdiff1d(np.arange(len(state.items)), detector.aside)
    reference = detector.reference.compared_at(compared_places[places_on_map(len(compared_places))])
    scored = detector.as_compared(np.stack([context.vectors[place] for place in places]))
    rows = np.concatenate([reference, scored])
    points = np.zeros((len(rows), 2))
    if np.ptp(rows, axis=0).any():
        projected = PCA(min(2, *rows.shape), svd_solver="randomized", random_state=0).fit_transform(rows)
        points[:, : projected.shape[1]] = projected
    numbers = ((len(reference), len(compared_places), "reference items"), (len(places), len(results), "scored items"))
    shown = [f"{count:,} of {total:,} {what}" for count, total, what in numbers if total > MOST_ON_MAP]
    note = f"Shown are {' and '.join(shown)}, drawn at random." if shown else ""
    return Map(points[: len(reference)], points[len(reference) :], places, note)
