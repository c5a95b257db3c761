"""Folders of classes: how they are found, and how they are split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dn2.bench.split import Split
from dn2.errors import InputError
from dn2.kinds.image.bench.data import ClassFolders, find_classes
from small_bench import make_bench


def touch(root: Path, *names: str) -> Path:
    """Make empty files; a bench finds pictures by their names."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names(data: ClassFolders, places: np.ndarray) -> list[str]:
    return [data.items[place].name for place in places]


def test_train_and_test_are_a_fixed_split(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "train/a/2.png", "train/b/3.png", "test/a/4.png", "test/b/5.png", "extra/c/6.png")
    data = find_classes(tmp_path)
    assert (data.classes, data.normal, data.random) == (("a", "b"), ("a", "b"), False)
    split = data.split(("a",), None)
    assert names(data, split.reference) == ["train/a/1.png", "train/a/2.png"]
    assert names(data, split.queries) == ["test/a/4.png", "test/b/5.png"]
    assert split.truth.tolist() == [False, True]
    assert names(data, split.others) == ["train/b/3.png"]
    assert "3 pictures in train/, 2 in test/, a fixed split" in data.describe()


def test_classes_that_train_lacks_are_always_anomalous(tmp_path: Path) -> None:
    touch(tmp_path, "train/good/1.png", "test/good/2.png", "test/crack/3.png", "test/hole/4.png", "ground_truth/x.png")
    data = find_classes(tmp_path)
    assert data.normal == ("good",)
    split = data.split(("good",), None)
    assert split.truth.tolist() == [True, False, True]
    assert len(split.others) == 0


def test_classes_alone_are_split_at_random_four_to_one(tmp_path: Path) -> None:
    touch(tmp_path, *[f"{name}/{number:02d}.png" for name in "abc" for number in range(20)])
    data = find_classes(tmp_path)
    assert data.random
    split, again, other = data.split(("a",), 0), data.split(("a",), 0), data.split(("a",), 1)
    assert names(data, split.reference) == names(data, again.reference)
    assert names(data, split.reference) != names(data, other.reference)
    assert (len(split.reference), len(split.queries), int(split.truth.sum()), len(split.others)) == (16, 12, 8, 32)
    parts = [split.reference, split.queries, split.others]
    assert sorted(np.concatenate(parts).tolist()) == list(range(60))
    assert all(name.startswith("a/") for name in names(data, split.reference))


@pytest.mark.parametrize("good", ["good", "OK", "Normal"])
def test_beside_a_folder_of_good_items_all_others_are_queries(tmp_path: Path, good: str) -> None:
    touch(tmp_path, *[f"{good}/{number}.png" for number in range(10)], "crack/1.png", "crack/2.png", "hole/3.png")
    data = find_classes(tmp_path)
    assert data.normal == (good,)
    split = data.split((good,), 0)
    assert (len(split.reference), len(split.queries), int(split.truth.sum()), len(split.others)) == (8, 5, 3, 0)
    assert "all other pictures are queries" in data.describe()


def test_where_nothing_else_can_pollute_half_of_the_anomalous_queries_do(tmp_path: Path) -> None:
    touch(tmp_path, *[f"good/{number}.png" for number in range(10)], *[f"crack/{number}.png" for number in range(7)])
    data = find_classes(tmp_path)
    before = data.split(("good",), 0)
    split = before.with_others(np.random.default_rng(0))
    assert (len(split.others), int(split.truth.sum()), int((~split.truth).sum())) == (3, 4, 2)
    assert sorted([*split.queries, *split.others]) == sorted(before.queries)
    assert all(name.startswith("crack/") for name in names(data, split.others))
    assert split.with_others(np.random.default_rng(1)) is split


def test_classes_and_what_is_normal_can_be_chosen(tmp_path: Path) -> None:
    touch(tmp_path, *[f"{part}/{name}/1.png" for part in ("train", "test") for name in "abcd"])
    data = find_classes(tmp_path, ["d", "b", "a"], ["b"])
    assert (data.classes, data.normal) == (("a", "b", "d"), ("b",))
    assert len(data.items) == 6


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ([], {}, "holds no folders of classes"),
        (["1.png"], {}, "holds no folders of classes"),
        (["a/1.png"], {}, "gives one class only, 'a'"),
        (["a/1.png", "b/1.png"], {"classes": ["a"]}, "gives one class only, 'a'"),
        (["a/1.png", "b/readme.txt"], {}, "no item found in"),
        (["a/1.png", "b/1.png"], {"classes": ["c"]}, "classes c: "),
        (["a/1.png", "b/1.png"], {"normal": ["c"]}, "has no such class; choose from a, b"),
        (["train/a/1.png", "test/a/1.png", "test/b/1.png"], {"normal": ["b"]}, "has no such class; choose from a"),
        (["train/a/1.png", "test/b/1.png"], {}, "a normal class must lie in both train/ and test/"),
    ],
)
def test_what_is_no_folder_of_classes_is_refused(
    tmp_path: Path, files: list[str], options: dict[str, list[str]], words: str
) -> None:
    touch(tmp_path, *files)
    with pytest.raises(InputError, match=words):
        find_classes(tmp_path, **options)


def test_what_is_no_folder_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        find_classes(tmp_path / "nothing")


def test_a_class_of_one_picture_cannot_be_normal(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "a/2.png", "b/1.png")
    data = find_classes(tmp_path)
    data.split(("a",), 0)
    with pytest.raises(InputError, match="with b normal there is no reference picture"):
        data.split(("b",), 0)


def test_a_split_without_anomalous_queries_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png")
    data = find_classes(tmp_path)
    with pytest.raises(InputError, match="there is no anomalous query"):
        data.split(("a",), None)


def test_items_left_out_are_gone_and_a_class_must_keep_one() -> None:
    data = make_bench(n_train=2, n_test=1, classes="ab").data
    kept = np.array([True, False, True, True, True, True])
    less = data.select(kept)
    assert [item.name for item in less.items] == ["0.png", "2.png", "3.png", "4.png", "5.png"]
    assert less.labels.tolist() == [0, 0, 1, 1, 1]
    assert less.in_train is not None
    assert less.in_train.tolist() == [True, False, True, True, False]
    assert data.select(np.ones(6, bool)) is data
    with pytest.raises(InputError, match="no picture of the class 'b' can be read"):
        data.select(np.array([True, True, True, False, False, False]))


def test_no_reference_item_is_a_query() -> None:
    for random in (False, True):
        bench = make_bench(random=random)
        for seed in range(3):
            split: Split = bench.data.split(("b",), seed)
            assert not set(split.reference) & set(split.queries)
            assert not set(split.others) & set(split.queries)
            assert not set(split.others) & set(split.reference)
