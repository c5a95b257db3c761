"""Patches of pictures: joined maps, banks of normal patches, and maps of what is unusual."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from dn2.arrays import Positions
from dn2.neighbors.patches import joining, reducing
from dn2.neighbors.patches.bank import GRID, Bank, Sample, Usual
from dn2.neighbors.patches.detector import SHARES, Levels, PatchDetector, PictureMaps, Source, grouped, top_mean
from dn2.neighbors.patches.joining import Level, join, resize
from dn2.neighbors.patches.looking import looked_at
from dn2.neighbors.patches.reducing import Reduction
from dn2.neighbors.patches.selecting import select

DIMENSIONS = (3, 4, 5)
Reference = list[Levels]


@pytest.fixture(scope="module", autouse=True)
def few_directions() -> Iterator[None]:
    """Let the made maps, which have few dimensions, have something beside their main directions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reducing, "DIRECTIONS", 5)
        yield


def levels_of(rng: np.random.Generator, height: int = 8, width: int = 12) -> Levels:
    """Make the maps of one network at three strides."""
    return [
        [rng.normal(size=(height >> level, width >> level, d)).astype(np.float16) for level, d in enumerate(DIMENSIONS)]
    ]


def reference_of(n: int, seed: int = 0) -> Reference:
    rng = np.random.default_rng(seed)
    return [levels_of(rng) for _ in range(n)]


def source_of(reference: Reference, own: Positions | None = None) -> Source:
    def read(positions: Positions, rotations: int) -> Iterator[PictureMaps]:
        yield from (PictureMaps(reference[position]) for position in positions.repeat(rotations).tolist())

    return Source(read, np.arange(len(reference)) if own is None else own)


def embedded(group: list[Level], bank: Bank) -> np.ndarray:
    """Join maps by loops, and reduce them: (height, width, r + 1) float64."""
    return naive.reduced(joined(group), bank.reduction.mean, bank.reduction.axes)


def joined(group: list[Level]) -> np.ndarray:
    """Join maps by loops: (height, width, d) float64."""
    height, width = group[0].shape[:2]
    return np.concatenate([naive.interpolated(level, height, width) for level in group], axis=2)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_a_map_is_interpolated_between_the_middles_of_its_cells(h: int, w: int, height: int, width: int) -> None:
    values = np.random.default_rng(h * w).normal(size=(h, w)).astype(np.float32)
    assert np.allclose(resize(values, height, width), naive.interpolated(values, height, width), atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 30, 4096])
def test_maps_are_joined_at_the_places_of_the_finest_strip_by_strip(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(joining, "PATCHES_AT_ONCE", at_once)
    group = [np.random.default_rng(0).normal(size=(*size, 2)).astype(np.float16) for size in ((7, 5), (4, 3), (2, 1))]
    strips = list(joining.strips(group))
    rows = np.concatenate([join(group, start, stop) for start, stop in strips])
    assert [start for start, _ in strips] == [0, *(stop for _, stop in strips[:-1])]
    assert np.allclose(rows.reshape(7, 5, 6), joined(group), atol=1e-5)
    assert np.array_equal(rows, join(group))


def test_maps_of_each_network_are_compared_two_by_two() -> None:
    assert grouped([[1, 2, 3], [4], [5, 6]]) == [(1, 2), (2, 3), [4], (5, 6)]


@given(st.integers(1, 40), st.integers(1, 45), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_patches_are_chosen_as_by_greedy_selection(n: int, count: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    chosen = select(rows, count, seed).tolist()
    if count >= n:
        assert chosen == list(range(n))
    else:
        assert chosen == naive.farthest_first(rows, count, chosen[0])


@given(st.integers(1, 30), st.sampled_from(SHARES))
def test_a_score_is_the_mean_of_the_highest_share_of_a_map(size: int, share: float) -> None:
    values = np.random.default_rng(size).normal(size=(size, 7)).astype(np.float32)
    assert top_mean(values, share) == pytest.approx(naive.top_mean(values, share), abs=1e-6)


@given(st.integers(1, 12), st.integers(2, 60), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_patches_are_reduced_to_main_directions_and_the_length_of_what_is_left(d: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(n, d)) * rng.uniform(0.1, 9, d) + rng.normal(size=d)).astype(np.float32)
    reduction = Reduction.learn(rows)
    reduction.check(d)
    reduced = reduction.reduce(rows)
    assert np.allclose(reduced, naive.reduced(rows, reduction.mean, reduction.axes), atol=1e-3)
    spread = np.square(reduced).mean(axis=0)[:-1]
    assert np.allclose(
        spread, np.sort(np.linalg.eigvalsh(np.cov(rows.T, bias=True).reshape(d, d)))[::-1][:5], rtol=1e-2, atol=1e-3
    )
    apart, before = (np.linalg.norm(some[:, None] - some[None], axis=2) for some in (reduced, rows))
    assert (apart <= before + 1e-3).all()  # what is left may point anywhere
    if d <= 5:
        assert np.allclose(apart, before, atol=1e-3)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_a_place_is_looked_at_where_at_least_half_of_it_is(h: int, w: int, height: int, width: int, few: int) -> None:
    region = (np.random.default_rng(h * w + few).uniform(size=(h, w)) < (0.5, 0.1, 0.02, 1)[few]).astype(np.float32)
    region[0, 0] = 1
    fine = region.repeat(height, 0).repeat(width, 1)  # each place of either is of whole cells
    share = fine.reshape(height, h, width, w).mean(axis=(1, 3))
    expected = share >= min(0.5, share.max()) - 1e-9
    assert np.array_equal(looked_at(region, height, width), expected)
    assert expected.any()


def test_what_is_usual_at_a_place_is_told_by_pictures_that_look_there(bank: Bank) -> None:
    rng, usual = np.random.default_rng(0), Usual()
    distances = rng.uniform(1, 2, (3, GRID, GRID)).astype(np.float32)
    inside = rng.uniform(size=(3, GRID, GRID)) < 0.5
    for one, flags in zip(distances, inside, strict=True):
        usual.add(np.where(flags, one, 1e6).astype(np.float32), flags)
    learnt = usual.learn(bank)
    for row, column in np.ndindex(GRID, GRID):
        there = inside[:, row, column]
        expected = distances[there, row, column].mean() if there.any() else distances[inside].mean()
        assert learnt.usual[row, column] == pytest.approx(expected, rel=1e-5)
    halves = [np.percentile(one[flags], 50) for one, flags in zip(distances, inside, strict=True)]
    assert learnt.errors[0] == pytest.approx(np.mean(halves), rel=1e-5)
    assert not inside.any(axis=0).all()


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(12)


@pytest.fixture(scope="module")
def bank(reference: Reference) -> Bank:
    sample = Sample(len(reference), 0)
    for position, levels in enumerate(reference):
        sample.add(position, levels[0][:2])
    return sample.choose(40)


@pytest.mark.parametrize("without", [None, [0], [2, 5, 11], list(range(12))])
def test_each_patch_is_compared_with_the_bank_but_for_pictures_left_out(
    bank: Bank, reference: Reference, without: list[int] | None
) -> None:
    group = list(reference[3][0][:2])
    near = bank.nearest(group, None if without is None else np.array(without))
    every_out = without is not None and set(bank.owners.tolist()) <= set(without)
    excluded = [place for place, owner in enumerate(bank.owners.tolist()) if owner in (without or ()) and not every_out]
    for place, patch in enumerate(embedded(group, bank).reshape(-1, 6)):
        square, number = naive.nearest(patch, bank.vectors, 1, excluded)[0]
        assert near.distances.ravel()[place] == pytest.approx(np.sqrt(square), abs=1e-5)
        assert near.patches.ravel()[place] == number


def test_a_patch_of_the_bank_is_where_it_lay(bank: Bank, reference: Reference) -> None:
    for vector, owner, (down, across) in zip(bank.vectors, bank.owners, bank.places, strict=True):
        maps = embedded(list(reference[owner][0][:2]), bank)
        row, column = int(down * maps.shape[0]), int(across * maps.shape[1])
        assert np.allclose(maps[row, column], vector, atol=1e-5)


def test_what_is_usual_is_the_mean_distance_from_the_patches_of_others(bank: Bank, reference: Reference) -> None:
    usual, total = Usual(), np.zeros((GRID, GRID))
    for position, levels in enumerate(reference):
        distances = bank.nearest(levels[0][:2], np.array([position])).distances
        usual.add(distances)
        total += naive.interpolated(distances, GRID, GRID)
    learnt = usual.learn(bank)
    assert np.allclose(learnt.usual, total / len(reference), rtol=1e-4)
    assert (np.diff(learnt.errors) >= 0).all()


@pytest.fixture(scope="module")
def detector(reference: Reference) -> PatchDetector:
    return PatchDetector.learn(source_of(reference), np.arange(6), 30, 0)


def test_a_map_is_1_on_average_where_pictures_are_as_usual(detector: PatchDetector, reference: Reference) -> None:
    maps = [detector.anomaly_map(detector.compare(levels, np.array([n]))) for n, levels in enumerate(reference[:6])]
    assert np.mean(maps) == pytest.approx(1, abs=0.02)
    assert maps[0].shape == (8, 12)
    anywhere = replace(detector, by_place=False)
    near = anywhere.compare(reference[8])
    usual = [bank.usual.mean() for bank in detector.banks]
    expected = sum(naive.interpolated(one.distances / mean, 8, 12) for one, mean in zip(near, usual, strict=True)) / 2
    assert np.allclose(anywhere.anomaly_map(near), expected, atol=1e-4)


def test_a_strange_patch_moves_map_and_score_and_is_compared_with_the_nearest_items(
    detector: PatchDetector, reference: Reference
) -> None:
    plain = reference[7]
    strange = [[level.copy() for level in plain[0]]]
    strange[0][0][5, 9] += 9
    near = detector.compare(strange)
    maps = [detector.anomaly_map(detector.compare(plain)), detector.anomaly_map(near)]
    assert divmod(int(maps[1].argmax()), 12) == (5, 9)
    assert detector.score(maps[1]) > 1.5 * detector.score(maps[0])
    distances, positions = detector.nearest_items(strange, near, maps[1], 3)
    assert (np.diff(distances) >= 0).all()
    assert len(set(positions.tolist())) == 3
    bank = detector.banks[0]
    patch = embedded(list(strange[0][:2]), bank)[5, 9]
    squares = [naive.squared_distance(patch, row) for row in bank.vectors]
    assert positions[0] == bank.owners[int(np.argmin(squares))]
    assert distances[0] == pytest.approx(min(squares), rel=1e-4)
    owner, box = detector.nearest_place((5, 9), near, maps[1].shape)
    assert owner == positions[0]
    assert box[0] < box[2] <= 1
    assert 0 <= box[1] < box[3]
    alone, of_whom = detector.nearest_items(strange, near, maps[1], 20, np.array([positions[0]]))
    assert positions[0] not in of_whom
    assert of_whom[-1] == -1  # a bank is of fewer pictures
    assert alone[-1] == np.inf


def test_patches_are_compared_with_those_of_other_parts_when_they_are_learnt_from(reference: Reference) -> None:
    twins = [levels for levels in reference[:4] for _ in range(2)]
    alone = PatchDetector.learn(source_of(twins), np.arange(8), 2000, 0)
    by_part = PatchDetector.learn(source_of(twins, np.arange(8) // 2), np.arange(8), 2000, 0)
    assert alone.banks[0].usual.max() < 0.05  # its twin
    assert by_part.banks[0].usual.min() > 0.5


def test_a_picture_that_calibrates_gives_the_same_patches_whatever_others_there_are(
    detector: PatchDetector, reference: Reference
) -> None:
    source, calibrating = source_of(reference), np.arange(6, 12)
    together = detector.with_strangest(source, calibrating, 3, calibrating)
    one_by_one = detector
    for position in (9, 7, 11, 6, 10, 8):
        one_by_one = one_by_one.with_strangest(source, np.array([position]), 3, calibrating)
    for a, b in zip(together.banks, one_by_one.banks, strict=True):
        for position in calibrating:
            assert np.array_equal(a.vectors[a.owners == position], b.vectors[b.owners == position])
            assert (a.owners == position).sum() == 3


def test_new_pictures_to_learn_from_bring_what_is_far_from_the_banks_and_nothing_else(
    detector: PatchDetector, reference: Reference
) -> None:
    strange = [[level + np.float16(5) for level in reference[0][0]]]
    further = [*reference, reference[0], strange]
    grown = detector.with_unknown(source_of(further), np.array([12, 13]))
    for old, new in zip(detector.banks, grown.banks, strict=True):
        joined_owners = new.owners[len(old.owners) :].tolist()
        assert joined_owners.count(13) == 16
        assert joined_owners.count(12) <= 1  # a copy of a picture that is there, up to its strangest patch
    assert grown.score(grown.anomaly_map(grown.compare(strange))) < detector.score(
        detector.anomaly_map(detector.compare(strange))
    )


def test_without_pictures_a_bank_is_as_if_they_had_given_nothing(detector: PatchDetector, reference: Reference) -> None:
    removed = np.array([1, 4])
    left = detector.without(removed)
    for old, new in zip(detector.banks, left.banks, strict=True):
        kept = ~np.isin(old.owners, removed)
        assert np.array_equal(new.vectors, old.vectors[kept])
        assert new.owners.tolist() == [owner - sum(owner > gone for gone in removed) for owner in old.owners[kept]]
    compared = detector.compare(reference[8], removed)
    assert all(
        np.array_equal(a.distances, b.distances) for a, b in zip(left.compare(reference[8]), compared, strict=True)
    )


def test_new_normal_pictures_are_flagged_no_more_often_than_asked() -> None:
    """As the halves are learnt from, drawn and scored anew; normal pictures that lie in two clouds of unlike size."""
    rng, flagged, draws = np.random.default_rng(0), np.zeros(2), 60
    for draw in range(draws):
        n = 24
        pictures = [
            [[(level + (draw + k) % 3).astype(np.float16) for level in levels_of(rng, 4, 4)[0]]]
            for k in rng.integers(0, 2, n + 1).tolist()
        ]
        source, members = source_of(pictures), np.arange(12, n)
        detector = PatchDetector.learn(source, np.arange(12), 20, draw)
        detector = detector.with_strangest(source, members, 2, members)
        scores = [detector.score(detector.anomaly_map(detector.compare(pictures[i], np.array([i])))) for i in members]
        query = detector.score(detector.anomaly_map(detector.compare(pictures[n])))
        p_value = (1 + sum(score >= query for score in scores)) / (len(scores) + 1)
        flagged += [p_value <= rate for rate in (0.1, 0.25)]
    asked = np.array([0.1, 0.25])
    assert (flagged / draws <= asked + 3 * np.sqrt(asked * (1 - asked) / draws)).all()


def test_a_detector_is_kept_as_arrays_and_damage_is_told(detector: PatchDetector) -> None:
    chosen = replace(detector, share=0.002, by_place=False)
    restored = PatchDetector.from_arrays(dict(chosen.as_arrays()))
    restored.check(12, [7, 9])
    assert (restored.share, restored.by_place) == (0.002, False)
    for old, new in zip(detector.banks, restored.banks, strict=True):
        assert all(np.array_equal(array, new.as_arrays()[name]) for name, array in old.as_arrays().items())
    with pytest.raises(ValueError, match="must be of pictures 0"):
        restored.check(3, [7, 9])
    with pytest.raises(ValueError, match="main directions must be of"):
        restored.check(12, [8, 9])
    shorter = {**chosen.as_arrays(), "vectors-0": chosen.banks[0].vectors[:, 1:]}
    with pytest.raises(ValueError, match="vectors of a bank must be finite float32"):
        PatchDetector.from_arrays(shorter).check(12, [7, 9])
    longer = {**chosen.as_arrays(), "axes-0": 2 * chosen.banks[0].reduction.axes}
    with pytest.raises(ValueError, match="main directions must be orthonormal"):
        PatchDetector.from_arrays(longer).check(12, [7, 9])
    with pytest.raises(ValueError, match="3 banks"):
        restored.check(12, [7, 9, 5])
    for name, value in (("usual", 0.0), ("places", 1.5)):
        damaged = {**chosen.as_arrays()}
        damaged[f"{name}-0"] = np.full_like(damaged[f"{name}-0"], value)
        with pytest.raises(ValueError, match="usual distances must be positive"):
            PatchDetector.from_arrays(damaged).check(12, [7, 9])
