"""Windows of series: the exclusion zone, points, intervals, calibration by blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import naive
from dn2 import InputError, ReferenceTooSmall
from dn2.kinds.series.words import assumptions
from dn2.neighbors import leave_one_out
from dn2.neighbors.detector import Detector
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.symmetric import search_all
from dn2.neighbors.steps import Clean, Search, Steps, Whiten, Windows
from dn2.neighbors.suspicion import Suspicion
from dn2.neighbors.windows import WindowPlaces, cut, overlapping, point_scores

WINDOW = 20
STEPS = Steps(1, windows=Windows(WINDOW))


def windows(n, seed=0, window=WINDOW):
    """Return the windows of a beat with noise, (n, window)."""
    rng = np.random.default_rng(seed)
    points = np.sin(2 * np.pi * np.arange(n + window - 1) / 33) + rng.normal(0, 0.3, n + window - 1)
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(points, window), np.float32)


def apart(rows, places, window):
    """Return the squared distances of windows, (n, n), infinite between those that overlap."""
    distances = cdist(rows.astype(float), rows.astype(float), "sqeuclidean")
    distances[np.abs(np.subtract.outer(places, places)) < window] = np.inf
    return distances


places_of_windows = st.lists(st.integers(1, 9), min_size=1, max_size=25).map(lambda steps: np.cumsum(steps) - steps[0])


@given(places_of_windows, st.integers(2, 6))
def test_windows_overlap_that_start_less_than_a_window_apart(places, window):
    for place, (first, stop) in enumerate(overlapping(places, window)):
        near = [other for other in range(len(places)) if abs(places[other] - places[place]) < window]
        assert near == list(range(first, stop))


@given(places_of_windows, st.integers(2, 6), st.randoms(use_true_random=False))
def test_a_point_scores_the_mean_of_the_windows_that_cover_it(places, window, random):
    scores = np.array([random.random() for _ in places])
    expected = naive.point_scores(scores.tolist(), places.tolist(), window)
    np.testing.assert_allclose(point_scores(scores, places, window), expected, rtol=1e-12)


@given(places_of_windows, st.integers(2, 6), st.randoms(use_true_random=False))
def test_intervals_are_apart_and_each_has_its_highest_point_as_its_peak(places, window, random):
    scores = np.array([random.choice([0.0, 1.0, random.random()]) for _ in places])
    points = point_scores(scores, places, window)
    starts, stops, peaks = cut(points, places)
    assert (starts <= peaks).all()
    assert (peaks < stops).all()
    assert (stops[:-1] <= starts[1:]).all()
    for start, stop, peak in zip(starts, stops, peaks, strict=True):
        assert points[peak] == points[start:stop].max()
        assert (points[start:stop] >= points[peak] / 2).all()
    assert np.nanmax(points) == points[peaks].max()
    runs = np.searchsorted(
        places[np.flatnonzero(np.diff(places, prepend=-window) > 1)] - places[0], peaks, side="right"
    )
    assert (np.diff(peaks)[np.diff(runs) == 0] >= window).all()


@pytest.mark.parametrize("turned", [False, True])
def test_a_shoulder_belongs_to_the_peak_that_it_is_too_near_to(turned):
    points = np.interp(np.arange(25.0), [0, 4, 5, 7, 8, 14, 20, 24], [9, 9, 2, 5, 1, 3, 0, 0])
    points = points[::-1].copy() if turned else points
    starts, stops, peaks = cut(points, np.arange(16))
    assert points[peaks].tolist() == ([3.0, 9.0] if turned else [9.0, 3.0])
    assert all(points[start:stop].max() == points[peak] for start, stop, peak in zip(starts, stops, peaks, strict=True))


def test_a_longer_anomaly_is_a_longer_interval():
    scores = np.r_[np.full(100, 1.0), np.full(60, 9.0), np.full(100, 1.0)]
    starts, stops, _ = cut(point_scores(scores, np.arange(260), 10), np.arange(260))
    long = (starts < 130) & (stops > 130)
    assert starts[long][0] in range(98, 106)
    assert stops.max() >= 165


@pytest.mark.parametrize("n", [300, 2 * leave_one_out.WORTH_SYMMETRY // 2 + 50])
def test_leave_one_out_leaves_out_all_that_overlap(n):
    rows = windows(n)
    loo = Detector.fit(replace(STEPS, n_neighbors=2), rows).leave_one_out
    expected = np.sort(apart(rows, np.arange(n), WINDOW), axis=1)[:, :2]
    np.testing.assert_allclose(loo.distances, expected, rtol=1e-4, atol=1e-5)
    assert (np.abs(loo.neighbors - np.arange(n)[:, None]) >= WINDOW).all()


def test_windows_of_several_series_do_not_overlap():
    one, other = windows(80), windows(70, seed=1)
    places = np.r_[np.arange(80), 99 + np.arange(70)]
    detector = Detector.fit(STEPS, np.concatenate([one, other]), places=places)
    expected = apart(np.concatenate([one, other]), places, WINDOW).min(axis=1)
    np.testing.assert_allclose(detector.leave_one_out.distances[:, 0], expected, rtol=1e-4, atol=1e-5)
    assert not (overlapping(places, WINDOW)[:80, 1] > 80).any()


def test_each_pair_compared_once_gives_what_a_search_gives():
    rows = windows(2_300)
    excluded = Excluded(overlapping(np.arange(2_300), WINDOW))
    index, told = ExactIndex([rows]), []
    twice = search_all(index, rows, 3, excluded, lambda done, total: told.append((done, total)))
    once = index.search(rows, 3, excluded)
    assert all((a == b).all() for a, b in zip(once, twice, strict=True))
    assert told[-1] == (2_300, 2_300)


@pytest.mark.parametrize("reduced", [False, True])
def test_an_approximate_search_finds_its_share_of_those_that_do_not_overlap(reduced, monkeypatch):
    if reduced:
        monkeypatch.setattr("dn2.neighbors.search.finding_cells.REDUCED_FROM", 4)
        monkeypatch.setattr("dn2.neighbors.search.finding_cells.REDUCED_TO", 12)
    rows = windows(3_000)
    detector = Detector.fit(replace(STEPS, search=Search("approximate", 0.95)), rows)
    search = detector.describe_search()
    assert "cells" in search
    exact = Detector.fit(replace(STEPS, search=Search("exact")), rows)
    found, best = detector.leave_one_out, exact.leave_one_out
    assert abs((found.distances == best.distances).mean() - search["recall"]) < 0.04
    assert (found.distances >= best.distances).all()
    assert (np.abs(found.neighbors[:, 0] - np.arange(3_000)) >= WINDOW).all()


def test_blocks_calibrate_and_normal_series_seldom_alarm():
    """40 series of 10 windows each against 6,000 points: at 0.1 asked, no more than 0.2 are flagged."""
    detector = Detector.fit(STEPS, windows(6_000))
    calibration = detector.calibration
    assert calibration.method == "blocks"
    assert calibration.sample_size == len(calibration.scores) < 6_000 / WINDOW
    peaks = []
    for seed in range(1, 21):
        rows = windows(400, seed=seed)
        points, intervals = WindowPlaces(WINDOW, np.arange(400)).scored(detector.search(rows)[0])
        peaks += points[intervals.peaks].tolist()
    assert (calibration.p_value(np.array(peaks)) <= 0.1).mean() < 0.2


def test_what_the_first_half_makes_of_the_second_is_measured():
    rows = windows(3_000)
    detector = Detector.fit(STEPS, rows)
    measured = detector.calibration.measured
    first = Detector.fit(STEPS, rows[:1_500])
    places = np.arange(1_500 + WINDOW, 3_000)
    points, intervals = WindowPlaces(WINDOW, places).scored(first.search(rows[places])[0])
    rate = max(0.01, first.calibration.smallest_rate)
    flagged = int((first.calibration.p_value(points[intervals.peaks]) <= rate).sum())
    assert tuple(measured) == (len(intervals.peaks), flagged, rate, 3_000)
    said = assumptions(detector.calibration)[-1]
    assert f"{flagged} of {len(intervals.peaks)} intervals of the second half" in said


def test_a_series_too_short_to_be_halved_is_not_measured():
    calibration = Detector.fit(STEPS, windows(60)).calibration
    assert calibration.measured is None
    assert "too short to measure" in assumptions(calibration)[-1]


def test_after_adding_and_removing_windows_all_is_as_after_a_fresh_fit():
    one, other = windows(200), windows(120, seed=1)
    grown = Detector.fit(STEPS, one).add(other)
    places = np.r_[np.arange(200), 199 + WINDOW + np.arange(120)]
    fresh = Detector.fit(STEPS, np.concatenate([one, other]), places=places)
    assert (grown.calibration.scores == fresh.calibration.scores).all()
    shrunk = grown.remove(np.arange(200, 320))
    assert (shrunk.calibration.scores == Detector.fit(STEPS, one).calibration.scores).all()
    gap = Detector.fit(STEPS, one).remove(np.arange(50, 90))
    kept = np.delete(np.arange(200), np.arange(50, 90))
    expected = apart(one[kept], kept, WINDOW).min(axis=1)
    np.testing.assert_allclose(gap.leave_one_out.distances[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_near_copies_of_windows_are_nothing_to_warn_of():
    detector = Detector.fit(STEPS, np.tile(windows(100), (3, 1)))
    assert detector.near_duplicates(1.0) == []
    assert detector.suspicion() == Suspicion()


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (Steps(windows=Windows(1)), "window must be an integer of at least 2, got 1"),
        (Steps(windows=Windows(2.5)), "window must be an integer of at least 2, got 2.5"),
        (Steps(windows=Windows(True)), "window must be an integer of at least 2, got True"),
        (replace(STEPS, whiten=Whiten()), "windows of series are compared as they are: leave out whiten"),
        (replace(STEPS, clean=Clean()), "leave out contaminated"),
        (replace(STEPS, search=Search("kdtree")), "take the index exact, approximate or auto, got kdtree"),
    ],
)
def test_steps_that_do_not_go_with_windows_are_refused(steps, why):
    with pytest.raises(InputError, match=why):
        Detector.fit(steps, windows(100))


@pytest.mark.parametrize(
    "places",
    [[0, 1], [0, 1, 1], [2, 1, 3], [-1, 0, 1], [0.5, 1, 2], np.array([5, 3, 1], np.uint64), [0, 1, 2**63]],
)
def test_places_that_are_none_are_refused(places):
    with pytest.raises(InputError, match="the places of 3 windows must be 3 ascending whole numbers"):
        Detector.fit(Steps(1, windows=Windows(2)), windows(3), places=places)


def test_a_longer_gap_than_a_window_is_as_one():
    """Else places as far apart as moments would take memory for all points between."""
    rows = windows(200)
    near, far = ([*range(100), *range(first, first + 100)] for first in (99 + WINDOW, 10**15))
    one, other = (Detector.fit(STEPS, rows, places=places) for places in (near, far))
    assert (one.calibration.scores == other.calibration.scores).all()


def test_as_many_points_as_are_asked_for_suffice():
    Detector.fit(STEPS, windows(59 - WINDOW + 1))
    with pytest.raises(ReferenceTooSmall):
        Detector.fit(STEPS, windows(58 - WINDOW + 1))


def test_places_without_windows_are_refused():
    with pytest.raises(InputError, match="give the step windows, too"):
        Detector.fit(Steps(1), windows(30), places=np.arange(30))


def test_windows_that_nearly_all_overlap_are_too_few():
    with pytest.raises(ReferenceTooSmall, match=r"that takes a series of at least 59 points, got 50; give more, or a"):
        Detector.fit(STEPS, windows(31))


def test_a_rate_that_blocks_do_not_support_is_refused():
    with pytest.raises(ReferenceTooSmall, match="needs at least 999 intervals of reference series, got"):
        Detector.fit(replace(STEPS, false_alarm_rate=0.001), windows(2_000))
