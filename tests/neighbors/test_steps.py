"""The steps of a detector: each checks itself, and all what goes with what; a file restores them or is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dn2.errors import InputError
from dn2.neighbors import choice
from dn2.neighbors.plan import Plan
from dn2.neighbors.steps import Clean, Normalize, Scale, Search, Steps, Whiten, Windows

GOOD = [
    Steps(),
    Steps(5, 0.05, Normalize("unit"), search=Search("kdtree", storage="uint8", memory="4GB")),
    Steps(scale=Scale((0, 3)), whiten=Whiten(), clean=Clean(0.1, 7)),
    Steps(1, clean=Clean(), search=Search("kmeans:5")),
    Steps(windows=Windows(20), search=Search("approximate", 0.9, memory=10**9)),
    Steps(search=Search("kmeans-tree:4", 0.5)),
]


@pytest.mark.parametrize("steps", GOOD, ids=str)
def test_steps_come_back_from_json(steps):
    steps.check()
    assert Steps.from_dict(json.loads(json.dumps(steps.as_dict()))) == steps


def test_numbers_of_numpy_are_written_as_numbers():
    steps = Steps(np.int64(3), np.float64(0.25), windows=Windows(np.int32(4)))
    assert json.loads(json.dumps(steps.as_dict())) == Steps(3, 0.25, windows=Windows(4)).as_dict()


ABOUT = GOOD[2].as_dict()


@pytest.mark.parametrize("name", ABOUT)
@pytest.mark.parametrize("value", [[], {}, "x", -1, 2.5, True, {"more": 1}, [1], float("nan")], ids=str)
def test_steps_of_another_form_are_refused(name, value):
    if ABOUT[name] == value:
        return
    with pytest.raises(InputError):
        Steps.from_dict({**ABOUT, name: value})


@pytest.mark.parametrize("step", ["scale", "clean", "search"])
def test_parameters_of_a_step_of_another_form_are_refused(step):
    for name in ABOUT[step]:
        for value in (-1.5, {}, "x", {"more": 1}, True, [0.5]):
            with pytest.raises(InputError):
                Steps.from_dict({**ABOUT, step: {**ABOUT[step], name: value}})
        with pytest.raises(InputError, match="has the parameters"):
            Steps.from_dict({**ABOUT, step: {key: value for key, value in ABOUT[step].items() if key != name}})
    with pytest.raises(InputError, match="has the parameters"):
        Steps.from_dict({**ABOUT, step: {**ABOUT[step], "more": 1}})


@pytest.mark.parametrize("about", [None, [], "x", {}, {**ABOUT, "more": None}])
def test_what_has_other_steps_is_refused(about):
    with pytest.raises(InputError, match="a detector has the steps"):
        Steps.from_dict(about)


@pytest.mark.parametrize("index", ["exact", "kdtree", "kmeans-tree", "kmeans:5"])
def test_a_recall_is_refused_where_the_search_finds_all_neighbors(index):
    Search(index).check()
    with pytest.raises(InputError, match=f"recall is for approximate searches, and the index {index} is exact"):
        Search(index, 0.5).check()


@pytest.mark.parametrize("index", ["auto", "approximate", "kmeans-tree:5"])
def test_a_recall_is_taken_where_the_search_may_miss_neighbors(index):
    Search(index, 0.5).check()


@pytest.mark.parametrize("recall", [0, 1, -0.5, 2, "most", None, True, float("nan")])
def test_a_recall_outside_of_0_and_1_is_refused(recall):
    with pytest.raises(InputError, match="the recall promised must lie between 0 and 1"):
        Search("approximate", recall).check()


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (Steps(0), "n_neighbors must be an integer of at least 1, got 0"),
        (Steps(normalize=Normalize("l2")), "normalize must be one of none, unit, root-unit, got 'l2'"),
        (Steps(search=Search(storage="float64")), "storage must be auto, float32, float16, uint8, got 'float64'"),
        (Steps(search=Search(memory="much")), "a limit of memory must be a size such as 4GB or 512MiB, got 'much'"),
        (Steps(false_alarm_rate="often"), "a false-alarm rate must lie between 0 and 1, got 'often'"),
        (Steps(whiten=Whiten(), search=Search("kdtree")), "the index kdtree takes rows as they are"),
        (Steps(scale=Scale(), search=Search("kmeans-tree")), "the index kmeans-tree takes rows as they are"),
        (Steps(clean=Clean(), search=Search("kmeans-tree:3")), "the index kmeans-tree takes rows as they are"),
        (Steps(2, search=Search("kmeans:3")), "compared with its nearest centroid: neighbors must be 1, got 2"),
        (Steps(scale=Scale(), windows=Windows(9)), "compared as they are: leave out scaled columns"),
    ],
)
def test_steps_that_do_not_go_together_are_refused(steps, words):
    with pytest.raises(InputError, match=words):
        steps.check()


# The plan

PLANNED = [
    (Steps(), 30_000, 3, "kdtree", False),
    (Steps(), 19_999, 3, "exact", False),
    (Steps(), 30_000, 2_000, "approximate", True),
    (Steps(), 30_000, 200, "exact", False),
    (Steps(false_alarm_rate=1e-4), 30_000, 2_000, "approximate", True),
    (Steps(false_alarm_rate=4e-5), 30_000, 2_000, "exact", False),
    (Steps(whiten=Whiten()), 30_000, 3, "exact", True),
    (Steps(scale=Scale()), 30_000, 2_000, "exact", True),
    (Steps(scale=Scale()), choice.APPROXIMATE_TABLES_FROM, 5, "approximate", True),
    (Steps(windows=Windows(9)), 30_000, 3, "exact", False),
    (Steps(windows=Windows(9), false_alarm_rate=4e-5), 30_000, 2_000, "approximate", True),
    (Steps(1, search=Search("kmeans:5")), 100, 3, "kmeans", True),
    (Steps(search=Search("kmeans-tree")), 100, 3, "kmeans-tree", False),
    (Steps(search=Search("kmeans-tree:5")), 100, 3, "kmeans-tree", True),
    (Steps(clean=Clean()), 100, 3, "exact", True),
]


@pytest.mark.parametrize(("steps", "n", "dimension", "method", "learns"), PLANNED)
def test_the_method_follows_from_the_steps_and_the_size(steps, n, dimension, method, learns):
    plan = Plan.of(steps, n, dimension)
    assert (plan.method.name, plan.learns, plan.storage) == (method, learns, "float32")


def test_plans_are_equal_whatever_the_reason_for_their_method():
    assert Plan.of(Steps(), 100, 3) == Plan.of(Steps(), 200, 3)
    assert Plan.of(Steps(), 100, 3) != Plan.of(Steps(), 30_000, 3)


def test_the_most_precise_storage_that_fits_is_chosen():
    fixed = choice.FIXED_BYTES + 1_000 * choice.BYTES_A_ROW
    bytes_a_number = {"float32": 4, "float16": 2}
    for storage, width in bytes_a_number.items():
        memory = fixed + 1_000 * 100 * width
        steps = Steps(search=Search(memory=memory))
        assert Plan.of(steps, 1_000, 100).storage == storage
        assert Plan.of(replace(steps, search=Search(memory=memory - 1)), 1_000, 100).storage != storage
    assert Plan.of(Steps(search=Search(memory=fixed + 1_000 * 108)), 1_000, 100).storage == "uint8"
    with pytest.raises(InputError, match="1,000 rows of 100 numbers, stored as uint8, need about"):
        Plan.of(Steps(search=Search(memory=fixed + 1_000 * 108 - 1)), 1_000, 100)
