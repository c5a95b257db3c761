"""Reference items that are scored or evaluated are counted and said: they do not score as new items do."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dn2
from dn2.errors import InputError
from small_models import own_cache, saved, world, write_digits

__all__ = ["own_cache", "saved", "world"]

N = 40
WARNING = "{} of {} {} items are reference items, or copies of them: such an item has itself as a neighbour"


@pytest.fixture(scope="module")
def model(saved: Path) -> dn2.Model:
    return dn2.load(saved)


def known(evaluation: Any) -> tuple[int, int]:
    return evaluation.normal_reference, evaluation.anomalous_reference


def rows(n: int, seed: int = 0, digits: int = 9) -> dict[str, Any]:
    return {
        name: np.random.default_rng(seed).normal(size=(n, 2)).round(digits)[:, place] for place, name in enumerate("ab")
    }


# Pictures


def test_an_evaluation_on_the_reference_pictures_says_so(
    model: dn2.Model, world: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluation, _ = model.evaluate(world / "normal", world / "other")
    assert known(evaluation) == (40, 0)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert WARNING.format(40, 40, "normal") in caplog.text
    caplog.clear()
    evaluation, _ = model.evaluate(world / "more", [world / "other", *sorted((world / "normal").iterdir())[:3]])
    assert known(evaluation) == (0, 3)
    assert WARNING.format(3, 15, "anomalous") in caplog.text


def test_new_pictures_are_evaluated_without_a_word(
    model: dn2.Model, world: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluation, _ = model.evaluate(world / "more", world / "other")
    assert known(evaluation) == (0, 0)
    assert model.score(world / "more").reference_items == 0
    assert caplog.text == ""


@pytest.mark.parametrize("copy", ["another name", "another format"])
def test_copies_of_reference_pictures_are_known(model: dn2.Model, world: Path, tmp_path: Path, copy: str) -> None:
    shutil.copytree(world / "more", tmp_path / "test")
    for number, path in enumerate(sorted((world / "normal").iterdir())[:5]):
        if copy == "another name":
            shutil.copy(path, tmp_path / "test" / f"copy-{number}.png")
        else:
            Image.open(path).save(tmp_path / "test" / f"copy-{number}.bmp")
    assert known(model.evaluate(tmp_path / "test", world / "other")[0]) == (5, 0)
    assert model.score(tmp_path / "test").reference_items == 5


@pytest.mark.parametrize("options", [{"index": "kmeans:3"}, {"storage": "uint8"}, {"storage": "float16"}])
def test_reference_pictures_are_known_where_they_are_not_at_distance_zero(world: Path, options: dict[str, str]) -> None:
    model = dn2.fit(world / "normal", backbone=str(world / "tiny.onnx"), **options)
    assert known(model.evaluate(world / "normal", world / "other")[0]) == (40, 0)
    model.remove([item.name for item in model.items[:4]])
    assert model.score(world / "normal").reference_items == 36


def test_a_file_that_is_given_as_normal_and_as_anomalous_is_refused(
    model: dn2.Model, world: Path, tmp_path: Path
) -> None:
    bad = write_digits(tmp_path / "all" / "bad", range(2))
    write_digits(tmp_path / "all", range(4))
    with pytest.raises(InputError, match=r"either normal or anomalous.*0000\.png' is given as both \(2 such in all\)"):
        model.evaluate(tmp_path / "all", tmp_path / "all" / "bad")
    (tmp_path / "link.png").symlink_to(bad[0])
    with pytest.raises(InputError, match="is given as both"):
        model.evaluate([tmp_path / "link.png"], [bad[0]])


# Rows, messages and series


def test_reference_rows_are_known_in_the_same_file_in_a_part_of_it_and_in_memory(tmp_path: Path) -> None:
    def write(table: dict[str, Any], name: str) -> Path:
        lines = [",".join(map(str, one)) for one in zip(*table.values(), strict=True)]
        (tmp_path / name).write_text("\n".join([",".join(table), *lines]) + "\n")
        return tmp_path / name

    table = rows(N)
    model = dn2.fit(write(table, "fitted.csv"))
    part = write({name: values[:10] for name, values in table.items()}, "part.csv")
    new = write(rows(N, 1), "new.csv")
    assert known(model.evaluate(tmp_path / "fitted.csv", new)[0]) == (N, 0)
    assert known(model.evaluate(new, part)[0]) == (0, 10)
    assert known(model.evaluate(table, rows(N, 1))[0]) == (N, 0)
    with pytest.raises(InputError, match="is given as both"):
        model.evaluate(new, new)


def test_rows_that_repeat_by_chance_are_no_reference_items_but_more_of_them_are() -> None:
    table = rows(1_000, 0, 1)
    model = dn2.fit(table)
    copies = (model.detector.leave_one_out.distances[:, 0] == 0).mean()
    assert 0.3 < copies < 0.7
    assert model.score(rows(100, 1, 1)).reference_items == 0
    assert model.score({name: values[:100] for name, values in table.items()}).reference_items == 100


def test_messages_and_series_of_the_reference_are_known() -> None:
    messages = np.array([f"pump {number} is {number * 37 % 11} degrees warm" for number in range(N)])
    model = dn2.fit(messages, kind="text", backbone="characters")
    assert known(model.evaluate(messages[:15], np.array(["a wholly different thing"]))[0]) == (15, 0)
    line = np.random.default_rng(0).normal(size=400).cumsum()
    of_series = dn2.fit(line, kind="series", window=20)
    results = of_series.score(line)
    assert results.reference_items == len(results) > 0
    assert of_series.score(np.random.default_rng(1).normal(size=400).cumsum()).reference_items == 0
