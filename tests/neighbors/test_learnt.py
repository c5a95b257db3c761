"""The part to learn from and the part that calibrates, and what is learnt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.neighbors import plan as plan_module
from dn2.neighbors.blocks import Block
from dn2.neighbors.clean import Share
from dn2.neighbors.kmeans import find_centroids
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.plan import Plan, split

NOTHING = np.empty(0, np.int64)


def in_blocks(rows, size=7):
    return [Block(rows[start : start + size]) for start in range(0, len(rows), size)]


def made(aside=(), centroids=0, share=(), directions=0, scaled=False):
    return Learnt(
        aside=np.array(aside, np.int64),
        readmitted=NOTHING,
        scaling=np.zeros((5 * scaled, 2), np.float32),
        categories=np.empty((0, 3), np.float32),
        directions=np.eye(2, dtype=np.float32)[:directions],
        factors=np.ones(directions, np.float32),
        centroids=np.arange(2 * centroids, dtype=np.float32).reshape(-1, 2),
        representatives=np.arange(centroids, dtype=np.int64),
        cells=np.empty((0, 2), np.float32),
        reduction=np.empty((0, 2), np.float32),
        levels=np.empty((0, 16), np.float32),
        probing=np.empty(0),
        tree_means=np.empty((0, 2), np.float32),
        tree_children=np.empty((0, 2), np.int64),
        visited=np.empty(0),
        drawn=np.empty(0, np.uint64),
        size=NOTHING,
        share=np.array(share, np.float64),
    )


# The split


@pytest.mark.parametrize(("n", "calibrating"), [(2, 1), (3, 1), (4, 2), (21, 10), (120, 60)])
def test_half_of_the_set_calibrates_and_the_other_half_is_learnt_from(embeddings, n, calibrating):
    learning, members = split(in_blocks(embeddings[:n]), 0)
    assert len(members) == calibrating
    assert members.tolist() == sorted(members)
    assert sorted([*learning, *members]) == list(range(n))


@pytest.mark.parametrize(("at_least", "calibrating"), [(0, 10), (9, 10), (25, 25), (60, 60), (1000, 60)])
def test_a_large_set_calibrates_with_a_sample_or_as_many_as_the_rate_takes(
    embeddings, monkeypatch, at_least, calibrating
):
    monkeypatch.setattr(plan_module, "SAMPLE_SIZE", 10)
    learning, members = split([Block(embeddings)], at_least)
    assert (len(learning), len(members)) == (120 - calibrating, calibrating)


@given(seed=st.integers(0, 1000), block=st.integers(1, 40))
def test_who_calibrates_depends_on_no_order(seed, block):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, size=(30, 3)).astype(np.float32)  # with copies
    order = rng.permutation(30)
    learning, members = split([Block(rows)], 0)
    other_learning, other_members = split(in_blocks(rows[order], block), 0)
    assert rows[learning].tolist() == rows[order][other_learning].tolist()
    assert sorted(rows[members].tolist()) == sorted(rows[order][other_members].tolist())


def test_every_item_calibrates_in_about_half_of_all_sets():
    rng = np.random.default_rng(0)
    times = sum(0 in split([Block(rng.normal(size=(40, 4)).astype(np.float32))], 0)[1] for _ in range(400))
    assert abs(times - 200) < 3 * 10  # three standard deviations


# What is learnt


@pytest.mark.parametrize("drop", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_papers_cleaning_learns_from_one_part_and_judges_the_other(embeddings, drop, k):
    learning, members = split([Block(embeddings)], 0)
    aside = Plan(True, drop, k, None).learn(in_blocks(embeddings), learning, members, NOTHING).aside
    part = embeddings[learning]
    gone, limit = naive.papers_cleaning(part, int(drop * 60), k)
    expected = [int(place) for place, out in zip(learning, gone, strict=True) if out]
    others = members if drop else []
    expected += [int(place) for place in others if naive.mean_squared_distance(embeddings[place], part, k) > limit]
    assert aside.tolist() == sorted(expected)


def test_a_large_set_is_judged_by_a_sample(embeddings, monkeypatch):
    monkeypatch.setattr(plan_module, "MOST_JUDGES", 20)
    learning, members = split([Block(embeddings)], 0)
    aside = Plan(True, 0.5, 2, None).learn([Block(embeddings)], learning, members, NOTHING).aside
    part = embeddings[learning[:20]]
    gone, limit = naive.papers_cleaning(part, 10, 2)
    others = [place for place in range(120) if place not in learning[:20]]
    expected = [place for place, out in zip(learning[:20], gone, strict=True) if out]
    expected += [place for place in others if naive.mean_squared_distance(embeddings[place], part, 2) > limit]
    assert aside.tolist() == sorted(expected)
    assert set(members) & set(aside)


def test_centroids_are_those_of_the_part_to_learn_from_without_what_stands_aside(embeddings):
    learning, members = split([Block(embeddings)], 0)
    found = Plan(True, 0.3, 2, 4).learn(in_blocks(embeddings), learning, members, NOTHING)
    kept = [place for place in learning if place not in found.aside]
    assert 0 < len(kept) < 60
    centroids, _ = find_centroids(embeddings[kept], 4)
    np.testing.assert_array_equal(found.centroids, centroids)
    assert found.representatives.tolist() == [
        kept[naive.nearest(centroid, embeddings[kept], 1)[0][1]] for centroid in centroids
    ]


def test_what_a_person_took_back_does_not_stand_aside(embeddings):
    learning, members = split([Block(embeddings)], 0)
    plan = Plan(True, 0.3, 2, None)
    aside = plan.learn([Block(embeddings)], learning, members, NOTHING).aside
    back = plan.learn([Block(embeddings)], learning, members, aside[[1, 3]])
    assert back.aside.tolist() == np.delete(aside, [1, 3]).tolist()
    assert back.readmitted.tolist() == aside[[1, 3]].tolist()


def test_without_cleaning_nothing_stands_aside_and_no_share_is_known(embeddings):
    found = Plan(False, None, None, 3).learn([Block(embeddings)], *split([Block(embeddings)], 0), NOTHING)
    assert (len(found.aside), len(found.centroids), found.contamination) == (0, 3, None)


# The index


@given(data=st.data(), rows=arrays(np.float32, (12, 2), elements=st.integers(-3, 3)))
def test_items_that_stand_aside_are_never_found_and_all_others_are(data, rows):
    aside = sorted(data.draw(st.sets(st.integers(0, 11), max_size=11)))
    index = made(aside).index(in_blocks(rows, 5))
    assert len(index) == 12 - len(aside)
    _, positions = index.search(rows, len(index))
    for found in positions:
        assert sorted([*found, *aside]) == list(range(12))


def test_centroids_are_found_in_place_of_items_under_the_names_of_what_represents_them(embeddings):
    found = Plan(False, None, None, 5).learn([Block(embeddings)], *split([Block(embeddings)], 0), NOTHING)
    distances, positions = found.index([Block(embeddings)]).search(embeddings, 1)
    expected, places = naive.search(embeddings, found.centroids, 1)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    assert positions[:, 0].tolist() == found.representatives[places[:, 0]].tolist()


# In words


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (made([1], 0, [0.1, 0, 0.2]), "what stands aside was"),
        (made([], 2), "the 2 centroids were"),
        (made(directions=2), "the whitening was"),
        (made(scaled=True), "the scaling of columns was"),
        (made(scaled=True, share=(0.1, 0.0, 0.2)), "what stands aside and the scaling of columns were"),
        (made(directions=2, centroids=2), "the whitening and the 2 centroids were"),
        (made([1], 1500, [0.1, 0, 0.2]), "what stands aside and the 1,500 centroids were"),
    ],
)
def test_what_was_learnt_is_the_subject_of_a_sentence(found, words):
    assert found.in_words() == words


def test_the_share_has_names():
    assert made(share=[0.25, 0.1, 0.5]).contamination == Share(0.25, 0.1, 0.5)
