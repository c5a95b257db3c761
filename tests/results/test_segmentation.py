"""Measures of anomaly maps equal those of all pixels at once, as far as they say, and mean what they should."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.errors import InputError
from dn2.results.segmentation import SegmentationEvaluator


def measured(pictures, threshold=None):
    evaluator = SegmentationEvaluator(threshold)
    for one, mask in pictures:
        evaluator.add(one, mask, bool(mask.any()))
    return evaluator.figures().pixels


def shapes():
    return st.sampled_from([(1, 1), (2, 1), (2, 2), (1, 3), (3, 4), (4, 3), (6, 4)])


@st.composite
def labelled_maps(draw, scores):
    shape = draw(shapes())
    return draw(arrays(np.float32, shape, elements=scores)), draw(arrays(bool, shape))


def several(scores):
    pictures = st.lists(labelled_maps(scores), min_size=1, max_size=4)
    return pictures.filter(lambda some: any(m.any() for _, m in some) and any((~m).any() for _, m in some))


# Few scores, of which many are equal; and scores so near to each other that levels join them.
COARSE = st.integers(-3, 3).map(float)
FINE = st.integers(0, 60).map(lambda n: 1 + n * 2.0**-16)


def of_one_size(values):
    """Repeat rows so that every picture has as many pixels."""
    return np.repeat(values, 24 // values.size, axis=0)


def by_definition(pictures, threshold):
    maps, masks = zip(*((of_one_size(one), of_one_size(mask)) for one, mask in pictures), strict=True)
    scores = [float(score) for one in maps for score in one.ravel()]
    truth = [bool(flag) for mask in masks for flag in mask.ravel()]
    return {
        "roc_auc": naive.roc_auc(scores, truth),
        "average_precision": naive.average_precision(scores, truth),
        "aupro": naive.per_region_overlap(maps, masks, 0.3),
        "best_f1": max(naive.f1(scores, truth, one) for one in scores),
    }, naive.f1(scores, truth, threshold)


@given(several(COARSE), st.integers(-3, 3))
def test_figures_are_those_of_the_definition_where_levels_join_no_scores(pictures, threshold):
    found = measured(pictures, threshold)
    expected, seg_f1 = by_definition(pictures, threshold)
    assert found.rounding_error == 0
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected)
    assert found.seg_f1 == pytest.approx(seg_f1)
    at_best = measured(pictures, found.best_f1_threshold)
    assert at_best.seg_f1 == pytest.approx(found.best_f1)


@given(several(FINE), FINE)
def test_figures_of_joined_scores_are_no_farther_off_than_they_say(pictures, threshold):
    found = measured(pictures, threshold)
    expected, seg_f1 = by_definition(pictures, threshold)
    for name, value in expected.items():
        assert abs(getattr(found, name) - value) <= found.rounding_error + 1e-9, name
    assert found.seg_f1 == pytest.approx(seg_f1)  # counts scores that are not rounded


@given(several(COARSE), st.randoms())
def test_neither_the_order_nor_a_rising_transform_changes_the_figures(pictures, random):
    found = measured(pictures)
    others = [(np.exp(one) - 20, mask) for one, mask in pictures]
    random.shuffle(others)
    other = measured(others)
    for name in ("n_regions", "roc_auc", "average_precision", "aupro", "best_f1"):
        assert getattr(other, name) == pytest.approx(getattr(found, name)), name
    assert other.best_f1_threshold == pytest.approx(np.exp(found.best_f1_threshold) - 20, rel=1e-5)


@given(several(COARSE))
def test_a_perfect_map_has_all_figures_1_its_reverse_none_and_a_constant_one_those_of_chance(pictures):
    masks = [mask for _, mask in pictures]
    perfect = measured([(mask * 2.0 - 1, mask) for mask in masks], 0.5)
    assert [perfect.roc_auc, perfect.average_precision, perfect.aupro, perfect.best_f1, perfect.seg_f1] == [1] * 5
    reverse = measured([(~mask * 1.0, mask) for mask in masks], 0.5)
    assert [reverse.roc_auc, reverse.aupro, reverse.seg_f1] == [0] * 3
    constant = measured([(np.full(mask.shape, 0.1), mask) for mask in masks])
    share = np.mean([mask.mean() for mask in masks])
    assert constant.defective_share == pytest.approx(share)
    assert (constant.roc_auc, constant.average_precision) == pytest.approx((0.5, share))
    assert constant.aupro == pytest.approx(0.15)
    assert constant.rounding_error == 0


def test_each_region_counts_alike_for_the_overlap_and_touching_corners_make_one():
    mask = np.zeros((10, 10), bool)
    mask[0, 0] = mask[1, 1] = True  # one region
    mask[5:9, 5:9] = True
    found = np.where(mask, 0.0, 0.5)
    found[:2, :2] = 1  # the small region is found, with two others pixels; the large one is not at all
    figures = measured([(found, mask)])
    assert figures.n_regions == 2
    # Up to 2 of 82 others the overlap rises to a half, and stays there.
    assert figures.aupro == pytest.approx((2 / 82 * 0.25 + (0.3 - 2 / 82) * 0.5) / 0.3)


def test_figures_by_kind_and_by_area_are_those_of_their_pictures_and_regions():
    evaluator = SegmentationEvaluator(threshold=0.5)
    rng = np.random.default_rng(0)
    pictures = []
    for kind, size in ((None, 0), (None, 0), ("crack", 1), ("dent", 20), ("crack", 3), ("crack", 0)):
        mask = np.zeros((100, 80), bool)
        mask[10 : 10 + size, 10 : 10 + size] = True
        mask[50, 50] |= size == 3
        one = rng.random(mask.shape).astype(np.float32)
        pictures.append((kind, one, mask))
        evaluator.add(one, mask if kind else None, kind is not None, kind, kind == "crack" and size > 1)
    evaluator.add(pictures[0][1], None, True, "lost", False)
    figures = evaluator.figures()
    assert (figures.n_normal, figures.n_anomalous, figures.n_without_mask) == (2, 5, 1)
    assert list(figures.by_kind) == ["crack", "dent", "lost"]
    assert [(one.n_pictures, one.n_found) for one in figures.by_kind.values()] == [(3, 1), (1, 0), (1, 0)]
    crack = [(one, mask) for kind, one, mask in pictures if kind != "dent"]
    assert figures.by_kind["crack"].pixels == measured(crack, 0.5)
    assert figures.by_kind["lost"].pixels is None
    # One pixel is 0.0125 % of the picture, nine are 0.1125 %, 400 are 5 %.
    assert {area: (one.n_pictures, one.pixels.n_regions) for area, one in figures.by_area.items()} == {
        "0.01 % to 0.1 %": (1, 2),
        "0.1 % to 1 %": (1, 1),
        "1 % to 10 %": (1, 1),
    }
    outside = np.concatenate([one[~mask] for _, one, mask in pictures])
    inside = np.array([pictures[2][1][10, 10], pictures[4][1][50, 50]])
    small = figures.by_area["0.01 % to 0.1 %"].pixels
    expected = np.mean([(inside_score > outside).mean() for inside_score in inside])
    assert abs(small.roc_auc - expected) <= small.rounding_error
    assert json.loads(json.dumps(figures.as_dict()))["by_kind"]["dent"]["n_found"] == 0


def test_without_masks_with_defects_or_decisions_there_are_none_of_their_figures():
    evaluator = SegmentationEvaluator()
    assert evaluator.figures().pixels is None
    evaluator.add(np.ones((2, 2)), None, False)
    evaluator.add(np.ones((3, 1)), np.zeros((3, 1), bool), True)
    figures = evaluator.figures()
    assert (figures.pixels, figures.by_area) == (None, {})
    assert figures.by_kind["defect"].n_found is None


@pytest.mark.parametrize(
    ("one", "mask", "is_anomalous", "words"),
    [
        (np.ones((2, 3)), np.ones((3, 2), bool), True, r"the size of its anomaly map, \(2, 3\), got \(3, 2\)"),
        (np.ones((2, 3)), np.ones((2, 3), bool), False, "a normal picture has no defects, got a mask of 6 defective"),
        (np.ones(3), np.ones(3, bool), True, r"shape \(height, width\), got float64 of \(3,\)"),
        (np.full((2, 2), np.nan), None, False, "finite numbers"),
        (np.full((2, 2), 1e39), None, False, "finite numbers"),
        (np.full((2, 2), "a"), None, False, "an array of numbers"),
    ],
)
def test_a_picture_that_cannot_be_used_is_refused_and_counts_for_nothing(one, mask, is_anomalous, words):
    evaluator = SegmentationEvaluator()
    with pytest.raises(InputError, match=words):
        evaluator.add(one, mask, is_anomalous)
    assert (evaluator.figures().n_normal, evaluator.figures().n_anomalous) == (0, 0)


def test_memory_does_not_grow_with_the_pictures():
    rng = np.random.default_rng(0)
    evaluator = SegmentationEvaluator()
    mask = np.zeros((100, 100), bool)
    mask[:9, :9] = True
    taken = []
    tracemalloc.start()
    for turn in range(40):
        evaluator.add(np.abs(rng.normal(size=mask.shape)), mask, True)
        if turn in (19, 39):
            taken.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert taken[1] < 1.3 * taken[0]  # of 200,000 and 400,000 pixels
