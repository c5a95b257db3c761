"""The part to learn from and the part that calibrates, and what is learnt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.neighbors import plan as plan_module
from dn2.neighbors import sampling
from dn2.neighbors.blocks import Block
from dn2.neighbors.clean import Share
from dn2.neighbors.learnt import NO_POSITIONS, Cleaning, Learnt
from dn2.neighbors.membership import NO_MEMBERSHIP
from dn2.neighbors.plan import Plan
from dn2.neighbors.search.centroids import find_centroids
from dn2.neighbors.steps import Clean, Scale, Search, Steps, Whiten


def split(blocks, at_least):
    return sampling.Sampler(blocks, NO_MEMBERSHIP, at_least=at_least).split()


def in_blocks(rows, size=7):
    return [Block(rows[start : start + size]) for start in range(0, len(rows), size)]


def learn(rows, steps, readmitted=NO_POSITIONS, size=7):
    """Learn from a random half of rows; the others calibrate."""
    blocks = in_blocks(rows, size)
    return Plan.of(steps, *rows.shape).learn(blocks, split(blocks, 0), readmitted)


# The split


@pytest.mark.parametrize(("n", "calibrating"), [(2, 1), (3, 1), (4, 2), (21, 10), (120, 60)])
def test_half_of_the_set_calibrates_and_the_other_half_is_learnt_from(embeddings, n, calibrating):
    learning, members, *_ = split(in_blocks(embeddings[:n]), 0)
    assert len(members) == calibrating
    assert members.tolist() == sorted(members)
    assert sorted([*learning, *members]) == list(range(n))


@pytest.mark.parametrize(("at_least", "calibrating"), [(0, 10), (9, 10), (25, 25), (60, 60), (1000, 60)])
def test_a_large_set_calibrates_with_a_sample_or_as_many_as_the_rate_takes(
    embeddings, monkeypatch, at_least, calibrating
):
    monkeypatch.setattr(sampling, "SAMPLE_SIZE", 10)
    learning, members, *_ = split([Block(embeddings)], at_least)
    assert (len(learning), len(members)) == (120 - calibrating, calibrating)


@given(seed=st.integers(0, 1000), block=st.integers(1, 40))
def test_who_calibrates_depends_on_no_order(seed, block):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, size=(30, 3)).astype(np.float32)  # with copies
    order = rng.permutation(30)
    learning, members, *_ = split([Block(rows)], 0)
    other_learning, other_members, *_ = split(in_blocks(rows[order], block), 0)
    assert rows[learning].tolist() == rows[order][other_learning].tolist()
    assert sorted(rows[members].tolist()) == sorted(rows[order][other_members].tolist())


def test_every_item_calibrates_in_about_half_of_all_sets():
    rng = np.random.default_rng(0)
    times = sum(0 in split([Block(rng.normal(size=(40, 4)).astype(np.float32))], 0)[1] for _ in range(400))
    assert abs(times - 200) < 3 * 10  # three standard deviations


# What is learnt


@pytest.mark.parametrize("drop", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_papers_cleaning_learns_from_one_part_and_filters_the_other(embeddings, drop, k):
    learning, members, *_ = split([Block(embeddings)], 0)
    aside = learn(embeddings, Steps(clean=Clean(drop, k))).aside
    part = embeddings[learning]
    gone, limit = naive.papers_cleaning(part, int(drop * 60), k)
    expected = [int(place) for place, out in zip(learning, gone, strict=True) if out]
    others = members if drop else []
    expected += [int(place) for place in others if naive.mean_squared_distance(embeddings[place], part, k) > limit]
    assert aside.tolist() == sorted(expected)


def test_a_large_set_is_filtered_by_a_sample(embeddings, monkeypatch):
    monkeypatch.setattr(plan_module, "MOST_FILTERING", 20)
    learning, members, *_ = split([Block(embeddings)], 0)
    aside = learn(embeddings, Steps(clean=Clean(0.5, 2))).aside
    part = embeddings[learning[:20]]
    gone, limit = naive.papers_cleaning(part, 10, 2)
    others = [place for place in range(120) if place not in learning[:20]]
    expected = [place for place, out in zip(learning[:20], gone, strict=True) if out]
    expected += [place for place in others if naive.mean_squared_distance(embeddings[place], part, 2) > limit]
    assert aside.tolist() == sorted(expected)
    assert set(members) & set(aside)


def test_centroids_are_those_of_the_part_to_learn_from_without_what_stands_aside(embeddings):
    learning = split([Block(embeddings)], 0).learning
    learnt = learn(embeddings, Steps(1, clean=Clean(0.3, 2), search=Search("kmeans:4")))
    kept = [place for place in learning if place not in learnt.aside]
    assert 0 < len(kept) < 60
    means, _ = find_centroids(embeddings[kept], 4)
    np.testing.assert_array_equal(learnt.search.means, means)
    assert learnt.search.representatives.tolist() == [
        kept[naive.nearest(mean, embeddings[kept], 1)[0][1]] for mean in means
    ]


def test_what_a_person_took_back_does_not_stand_aside(embeddings):
    steps = Steps(clean=Clean(0.3, 2))
    aside = learn(embeddings, steps).aside
    back = learn(embeddings, steps, aside[[1, 3]])
    assert back.aside.tolist() == np.delete(aside, [1, 3]).tolist()
    assert back.readmitted.tolist() == aside[[1, 3]].tolist()


def test_what_is_not_asked_for_is_not_learnt(embeddings):
    learnt = learn(embeddings, Steps(1, search=Search("kmeans:3")))
    assert (learnt.scaling, learnt.whitening, learnt.cleaning) == (None, None, None)
    assert learnt.steps == (("centroids", 3),)


# To arrays and back

SEARCHES = [Search(), Search("kmeans:4"), Search("kmeans-tree:2"), Search("approximate", 0.5)]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.index)
@pytest.mark.parametrize("prepared", [{}, {"scale": Scale((2,))}, {"whiten": Whiten()}, {"clean": Clean(0.2)}])
def test_arrays_hold_what_was_learnt_and_nothing_else(embeddings, search, prepared):
    steps = Steps(1, **prepared, search=search)
    if search.index == "kmeans-tree:2" and prepared:
        return  # the tree takes rows as they are
    learnt = learn(embeddings, steps)
    arrays = learnt.as_arrays()
    parts = {name.partition(".")[0] for name in arrays}
    searches = {"auto": set(), "kmeans:4": {"centroids"}, "kmeans-tree:2": {"tree"}, "approximate": {"cells"}}
    names = {"scale": "scaling", "whiten": "whitening", "clean": "cleaning"}
    expected = {"limits"} | {names[name] for name in prepared}
    assert parts in (expected | searches[search.index], expected)
    again = Learnt.from_arrays(arrays)
    again.check(120, 16, 1)
    for name, array in again.as_arrays().items():
        assert (array.dtype, array.tobytes()) == (arrays[name].dtype, arrays[name].tobytes())
    assert again.steps == learnt.steps


@pytest.mark.parametrize(
    "arrays",
    [
        {"more": np.zeros(1)},
        {"more.arrays": np.zeros(1)},
        {"scaling.more": np.zeros(1)},
        {"centroids.means": np.zeros((2, 3), np.float32)},
        {"cells.centres": np.zeros((2, 3), np.float32)},
        {
            "centroids.means": np.zeros((2, 3), np.float32),
            "centroids.representatives": np.arange(2),
            "cells.centres": np.zeros((2, 3), np.float32),
            "cells.probing": np.ones(8),
        },
        {"cells.centres": np.zeros((2, 3), np.float32), "cells.probing": np.array([1, 1, np.nan, 0, 0])},
        {"cells.centres": np.zeros((2, 3), np.float32), "cells.probing": np.ones(4)},
        {
            "tree.means": np.zeros((1, 3), np.float32),
            "tree.children": np.zeros(2, np.int64),
            "tree.visited": np.ones(5),
        },
    ],
)
def test_arrays_of_another_form_are_refused(arrays):
    with pytest.raises((ValueError, TypeError)):
        Learnt.from_arrays(arrays)


# The index


@given(data=st.data(), rows=arrays(np.float32, (12, 2), elements=st.integers(-3, 3)))
def test_items_that_stand_aside_are_never_found_and_all_others_are(data, rows):
    aside = np.array(sorted(data.draw(st.sets(st.integers(0, 11), max_size=11))), np.int64)
    index = Learnt(cleaning=Cleaning(aside, aside, NO_POSITIONS, Share(0, 0, 0))).index(in_blocks(rows, 5))
    assert len(index) == 12 - len(aside)
    _, positions = index.search(rows, len(index))
    for found in positions:
        assert sorted([*found, *aside]) == list(range(12))


def test_centroids_are_found_in_place_of_items_under_the_names_of_what_represents_them(embeddings):
    learnt = learn(embeddings, Steps(1, search=Search("kmeans:5")))
    distances, positions = learnt.index([Block(embeddings)]).search(embeddings, 1)
    expected, places = naive.search(embeddings, learnt.search.means, 1)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    assert positions[:, 0].tolist() == learnt.search.representatives[places[:, 0]].tolist()


@pytest.mark.parametrize("removed", [[0], [7, 40], list(range(60))])
def test_a_centroid_whose_representative_goes_is_represented_by_the_nearest_item_left(embeddings, removed):
    learnt = learn(embeddings, Steps(1, search=Search("kmeans:5")))
    left = np.delete(embeddings, removed, axis=0)
    after = learnt.after_removing(np.array(removed), in_blocks(left)).search
    for mean, before, now in zip(after.means, learnt.search.representatives, after.representatives, strict=True):
        if before in removed:
            assert now == naive.nearest(mean, left, 1)[0][1]
        else:
            assert left[now].tolist() == embeddings[before].tolist()
