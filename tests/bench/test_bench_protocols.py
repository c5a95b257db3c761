"""The protocols, against loops over everything."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

import naive
from dn2.bench.result import Result
from dn2.bench.scoring import merge_nearest
from dn2.bench.split import Split
from dn2.errors import InputError, ReferenceTooSmall
from dn2.kinds.image.bench import impurity as polluted
from dn2.kinds.image.bench.analyses import centroids, neighbors
from dn2.kinds.image.bench.classes import NearestNeighbors, backbones, multimodal, one_class
from dn2.kinds.image.bench.few_shot import GrowingSearch, few_shot
from dn2.kinds.image.bench.groups import ceiling, concatenate_sets, draw_sets, groups, pool_sets
from dn2.kinds.image.bench.impurity import Draw, impurity
from dn2.kinds.image.bench.pictures import Bench
from dn2.kinds.image.pooling import Pooling
from small_bench import make_bench


def auc(bench: Bench, split: Split, k: int) -> float:
    reference = bench.vectors[split.reference]
    scores = [naive.mean_squared_distance(bench.vectors[place], reference, k) for place in split.queries]
    return naive.roc_auc(scores, split.truth.tolist())


def measured(result: Result, method: str | None = None, setting: str | None = None) -> list[float]:
    return [
        one.roc_auc for one in result.measurements if method in (None, one.method) and setting in (None, one.setting)
    ]


class Constant:
    """A rival that scores by position in the data, or at random."""

    def __init__(self, random: bool) -> None:
        self.name, self.random = "rival", random
        self.seen: list[int] = []

    def scores(self, split: Split, seed: int) -> np.ndarray:
        self.seen.append(seed)
        return np.arange(len(split.queries), dtype=np.float64)


# One class, several classes


@pytest.mark.parametrize("random", [False, True])
def test_one_class_scores_every_query_against_the_reference_items_of_the_class(random: bool) -> None:
    bench = make_bench(random=random, seeds=2)
    result = one_class(bench)
    seeds: Sequence[int | None] = [0, 1] if random else [None]
    assert [(one.seed, one.normal) for one in result.measurements] == [(s, name) for s in seeds for name in "abcd"]
    for one in result.measurements:
        split = bench.data.split((one.normal,), one.seed)
        assert one.roc_auc == pytest.approx(auc(bench, split, 2))
        assert one.n_reference == len(split.reference)


@pytest.mark.parametrize("random", [False, True])
def test_multimodal_leaves_each_class_out_in_turn(random: bool) -> None:
    bench = make_bench(random=random, seeds=2)
    result = multimodal(bench)
    assert result.settings == ["all but a", "all but b", "all but c", "all but d"]
    for one in result.measurements:
        split = bench.data.split(one.normal.split("+"), one.seed)
        assert one.normal == "".join(name for name in "abcd" if name not in one.setting[-1]).replace("", "+")[1:-1]
        assert one.roc_auc == pytest.approx(auc(bench, split, 2))


def test_classes_chosen_to_be_normal_are_so_together() -> None:
    bench = make_bench()
    bench = replace(bench, data=replace(bench.data, normal=("a", "c")))
    (one,) = multimodal(bench).measurements
    assert one.setting == "a + c"
    assert one.roc_auc == pytest.approx(auc(bench, bench.data.split(("a", "c"), None), 2))


def test_one_normal_class_is_not_several() -> None:
    bench = make_bench(classes="ab")
    with pytest.raises(InputError, match="use one-class"):
        multimodal(bench)


def test_nearest_neighbors_searches_anew_when_the_queries_change() -> None:
    bench = make_bench()
    method = NearestNeighbors(bench)
    split = bench.data.split(("a",), None)
    some = replace(split, queries=split.queries[::2], truth=split.truth[::2])
    for one in (split, some, split):
        expected = [naive.mean_squared_distance(bench.vectors[q], bench.vectors[one.reference], 2) for q in one.queries]
        assert method.scores(one, 0) == pytest.approx(expected, rel=1e-5)


def test_more_neighbors_than_reference_items_are_refused() -> None:
    with pytest.raises(ReferenceTooSmall, match="40 neighbours need at least 41 reference items"):
        one_class(make_bench(neighbors=40))


@pytest.mark.parametrize(("rival_random", "seeds"), [(False, [0]), (True, [0, 1, 2])])
def test_a_rival_is_run_again_only_if_something_is_random(rival_random: bool, seeds: list[int]) -> None:
    rival = Constant(rival_random)
    result = one_class(replace(make_bench(), rivals=[rival]))
    assert sorted(set(rival.seen)) == seeds
    assert len(measured(result, "rival")) == 4 * len(seeds)
    drawn = {one.seed for one in result.measurements if one.method == "rival"}
    assert drawn == (set(seeds) if rival_random else {None})
    assert list(result.seconds) == ["dn2 tiny, k = 2", "rival"]


def test_backbones_stand_side_by_side() -> None:
    first, second = make_bench(), make_bench()
    second = replace(second.with_fit_options(backbone="other"), embeddings=-(second.embeddings**3))
    result = backbones([first, second])
    assert result.methods == ["dn2 tiny, k = 2", "dn2 other, k = 2"]
    assert measured(result, "dn2 other, k = 2") == measured(one_class(second))


# Few shot


@pytest.mark.parametrize("random", [False, True])
def test_few_shot_scores_against_nested_draws(random: bool) -> None:
    bench = make_bench(random=random, seeds=2)
    result = few_shot(bench)
    assert result.settings == ["5", "10", "25", "all"]
    whole = [(one.normal, one.seed) for one in result.measurements if one.setting == "all"]
    assert whole == [(name, seed if random else None) for name in "abcd" for seed in (range(2) if random else [0])]
    for one in result.measurements:
        if one.setting == "all":
            assert one.roc_auc == pytest.approx(auc(bench, bench.data.split((one.normal,), one.seed or 0), 2))
        else:
            assert one.n_reference == int(one.setting)
    assert result.positions["all"] == 40
    assert len(set(measured(result, setting="5"))) > 4  # the draws differ


def test_while_it_grows_the_nearest_are_those_of_the_first_rows(embeddings: np.ndarray) -> None:
    reference, queries = embeddings[:100], embeddings[100:]
    growing = GrowingSearch(reference, queries, 3)
    for size in (1, 5, 30, 30, 100):
        expected, _ = naive.search(queries, reference[:size], min(3, size))
        assert growing.nearest(size, 3) == pytest.approx(expected, rel=1e-5)
        assert (growing.nearest(size, 1) == growing.nearest(size, 3)[:, :1]).all()


def test_merged_parts_are_the_whole(embeddings: np.ndarray) -> None:
    queries = embeddings[100:]
    parts = [naive.search(queries, embeddings[at], 3)[0] for at in (slice(0, 40), slice(40, 60), slice(60, 100))]
    assert (merge_nearest(parts, 3) == naive.search(queries, embeddings[:100], 3)[0]).all()


@pytest.mark.parametrize("protocol", [few_shot, one_class, multimodal])
def test_a_preset_takes_fewer_neighbors_among_few_items(protocol: Callable[[Bench], Result]) -> None:
    bench = make_bench(neighbors=None, preset="accurate", seeds=1)
    assert [bench.neighbors_among(n) for n in (5, 25, 40, 120)] == [2, 2, 4, 10]
    result = protocol(bench)
    assert result.methods == ["dn2 tiny, k ≤ 10"]
    for one in result.measurements:
        split = bench.data.split(one.normal.split("+"), 0)
        if protocol is few_shot:
            rng = np.random.default_rng([0, "abcd".index(one.normal)])
            split = replace(split, reference=rng.permutation(split.reference)[: one.n_reference])
        assert one.roc_auc == pytest.approx(auc(bench, split, bench.neighbors_among(one.n_reference)))
    assert protocol is not few_shot or result.settings == ["5", "10", "25", "all"]


def test_few_shot_runs_rivals_on_the_same_draws() -> None:
    rival = Constant(random=False)
    result = few_shot(replace(make_bench(seeds=2), rivals=[rival]))
    assert len(measured(result, "rival")) == len(measured(result, "dn2 tiny, k = 2"))
    assert {one.seed for one in result.measurements if one.setting == "all"} == {None}


# Numbers of neighbours, centroids


def test_neighbors_averages_over_ever_more_of_them() -> None:
    bench = make_bench()
    result = neighbors(bench)
    assert result.settings == ["1", "2", "3", "5", "10", "20"]  # of 40 reference items
    for one in result.measurements:
        split = bench.data.split((one.normal,), None)
        assert one.roc_auc == pytest.approx(auc(bench, split, int(one.setting)))


def test_one_centroid_is_the_mean_and_all_are_the_pictures() -> None:
    bench = make_bench()
    result = centroids(bench)
    assert result.settings == ["1", "3", "5", "10", "all"]
    assert result.methods == ["the paper's, tiny", "dn2 tiny"]
    for one in result.measurements:
        split = bench.data.split((one.normal,), None)
        if one.setting == "all":
            assert one.roc_auc == pytest.approx(auc(bench, split, 2))
        if one.setting == "1" and one.method.startswith("the paper's"):
            mean = bench.vectors[split.reference].mean(axis=0)
            scores = [naive.squared_distance(bench.vectors[place], mean) for place in split.queries]
            assert one.roc_auc == pytest.approx(naive.roc_auc(scores, split.truth.tolist()))


def test_dn2_has_no_more_centroids_than_half_of_the_pictures() -> None:
    result = centroids(make_bench(n_train=15))
    assert result.settings == ["1", "3", "5", "10", "all"]
    assert len(measured(result, "the paper's, tiny", "10")) == 4
    assert measured(result, "dn2 tiny", "10") == []
    assert len(measured(result, "dn2 tiny", "5")) == 4


# Impurity


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.1, 4), (0.2, 10), (0.3, 17), (0.4, 27)])
def test_pollution_is_a_share_of_the_whole_set(share: float, count: int) -> None:
    draw = Draw.of(make_bench(), "b", 0)
    others = draw.pollution(share)
    assert len(others) == count
    assert count / (40 + count) == pytest.approx(share, abs=0.01)
    assert len(set(others)) == count
    assert draw.reaches(share)


def test_pollution_comes_from_reference_items_of_other_classes_and_grows() -> None:
    bench = make_bench()
    draw = Draw.of(bench, "b", 0)
    assert bench.data.in_train is not None
    for share in polluted.SHARES:
        others = draw.pollution(share)
        assert bench.data.in_train[others].all()
        assert (bench.data.labels[others] != 1).all()
        assert (others == draw.pollution(0.4)[: len(others)]).all()
    assert draw.pollution(0.4).tolist() != Draw.of(bench, "b", 1).pollution(0.4).tolist()


@pytest.fixture(scope="module")
def impure() -> Result:
    """What the protocol of impurity gives of two draws; not to be changed."""
    return impurity(make_bench(n_train=60, seeds=2))


def test_impurity_without_cleaning_is_a_search_among_all(impure: Result) -> None:
    bench, result = make_bench(n_train=60, seeds=2), impure
    assert result.settings == ["0%", "10%", "20%", "30%", "40%"]
    for one in result.measurements:
        if one.method.startswith(("no cleaning", "clean part")):
            draw = Draw.of(bench, one.normal, one.seed or 0)
            share = 0.0 if one.method.startswith("clean part") else float(one.setting[:-1]) / 100
            split = replace(draw.split, reference=np.concatenate([draw.split.reference, draw.pollution(share)]))
            assert one.roc_auc == pytest.approx(auc(bench, split, int(one.method.split(" = ")[1])))


def test_what_is_not_random_is_measured_once(impure: Result) -> None:
    result = impure
    seeds = {
        (method, setting): [one.seed for one in result.measurements if (one.method, one.setting) == (method, setting)]
        for method, setting in itertools.product(result.methods, result.settings)
    }
    for (method, setting), found in seeds.items():
        fixed = setting == "0%" or method.startswith("clean part")
        assert sorted(found, key=str) == ([None] * 4 if fixed else [0] * 4 + [1] * 4), (method, setting)


def test_the_share_is_estimated_where_it_is_not_given() -> None:
    result = impurity(make_bench(n_train=60, seeds=1))
    with_figures = {one.method for one in result.measurements if one.figures}
    assert with_figures == {"dn2, no share given, k = 10"}
    for one in result.measurements:
        if one.figures:
            assert 0 <= one.figures["low"] <= one.figures["high"] <= 1


def test_shares_that_cannot_be_reached_are_left_out_and_said() -> None:
    bench = make_bench(n_train=60, classes="ab", seeds=1)
    few = np.flatnonzero((bench.data.labels == 1) & (np.arange(140) % 70 < 60))[20:]  # 20 others for 60 of a
    kept = np.ones(140, bool)
    kept[few] = False
    data = replace(bench.data.select(kept), normal=("a",))
    bench = replace(bench, data=data, embeddings=bench.embeddings[kept])
    result = impurity(bench)
    assert result.settings == ["0%", "10%", "20%"]
    assert "There are too few pictures of other classes for 30% and 40%." in result.notes


def test_a_set_that_a_detector_refuses_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = Bench.fit

    def refuse(bench: Bench, places: np.ndarray) -> object:
        if bench.options.drop == 0.4:
            raise ReferenceTooSmall("too few")
        return fit(bench, places)

    monkeypatch.setattr(Bench, "fit", refuse)
    result = impurity(make_bench(n_train=60, seeds=1))
    words = "dn2, share given, k = 10 is not in the mean for b with 40% of others, seed 0: too few."
    assert words in result.notes
    assert measured(result, "dn2, share given, k = 10", "40%") == []
    assert len(measured(result, "dn2, share given, k = 10", "30%")) == 4
    assert len(measured(result, "dn2, no share given, k = 10", "40%")) == 4


def test_impurity_without_others_is_refused() -> None:
    bench = make_bench(n_train=60, n_test=10, classes="ab")
    assert bench.data.in_train is not None
    kept = (bench.data.labels == 0) | ~bench.data.in_train
    kept[np.flatnonzero(~bench.data.in_train & (bench.data.labels == 1))[1:]] = False
    data = replace(bench.data.select(kept), normal=("a",))
    bench = replace(bench, data=data, embeddings=bench.embeddings[kept])
    with pytest.raises(InputError, match="even a share of 10% takes more pictures of other classes"):
        impurity(bench)


# Groups


@pytest.mark.parametrize("size", [2, 3])
def test_the_ceiling_is_what_knowing_the_classes_reaches(size: int) -> None:
    drawn = list(itertools.product(range(size), repeat=size))
    anomalous = [len(set(classes)) < size for classes in drawn]  # a perfect score: 0 if all classes differ, else 1
    scores = [0.0, *map(float, anomalous)]
    assert ceiling(size) == pytest.approx(naive.roc_auc(scores, [False] + [True] * len(drawn)))


def test_half_of_the_anomalous_pairs_are_normal_by_chance() -> None:
    assert ceiling(2) == 0.75
    assert ceiling(10) == pytest.approx(1 - 0.5 * math.factorial(10) / 10**10)


def test_sets_are_drawn_as_the_protocol_says() -> None:
    rng = np.random.default_rng(0)
    pictures = [np.arange(10 * place, 10 * place + 10) for place in range(3)]
    normal, anomalous = (draw_sets(rng, pictures, 2000, normal=kind) for kind in (True, False))
    assert (np.sort(normal // 10, axis=1) == [0, 1, 2]).all()
    orders, counts = np.unique(normal // 10, axis=0, return_counts=True)
    assert len(orders) == 6
    assert counts.min() > 250  # of 333 expected
    classes, counts = np.unique(anomalous // 10, axis=0, return_counts=True)
    assert len(classes) == 27
    assert counts.min() > 40  # of 74 expected
    assert len(np.unique(normal)) == 30


def test_sets_are_pooled_or_concatenated() -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    sets = np.array([[0, 3], [2, 1]])
    assert pool_sets(Pooling("none", "mean"), vectors, sets).tolist() == [[4.5, 5.5, 6.5], [4.5, 5.5, 6.5]]
    assert concatenate_sets(vectors, sets).tolist() == [[0, 1, 2, 9, 10, 11], [6, 7, 8, 3, 4, 5]]


def test_groups_stay_below_the_ceiling_and_order_does_not_matter_to_pooling() -> None:
    result = groups(make_bench(n_train=60, n_test=40, seeds=2, groups=True))
    assert result.settings == ["2", "3", "4"]
    assert {one.seed for one in result.measurements} == {0, 1}
    (known,) = result.reported
    for setting in result.settings:
        mean = result.mean("pooled by the mean", setting)
        assert mean is not None
        assert 0.5 < mean.value < known.values[setting] + 0.03


def test_groups_are_pooled_as_dn2_does_and_as_the_paper_does() -> None:
    bench = make_bench(n_train=60, n_test=40, seeds=1, groups=True)
    assert groups(bench).methods == ["pooled by the mean", "concatenated"]
    positive = make_bench(n_train=60, n_test=40, seeds=1, groups=True, normalize="root-unit")
    positive = replace(positive, embeddings=np.abs(positive.embeddings))
    assert groups(positive).methods == ["pooled by the geometric mean", "pooled by the mean", "concatenated"]


def test_groups_of_one_class_are_refused() -> None:
    bench = make_bench()
    with pytest.raises(InputError, match="at least 2 classes that can be normal, got 1"):
        groups(replace(bench, data=replace(bench.data, normal=("a",))))
