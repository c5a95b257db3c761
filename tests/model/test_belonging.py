"""Parts and groups by rule, from fit to results, through save, add and remove."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dn2
from dn2.errors import InputError, ReferenceTooSmall
from dn2.inputs.labels import labels_by
from dn2.model.known import KnownScores
from dn2.model.scoring import read_scored
from dn2.results.files import read_rows

RNG = np.random.default_rng(0)
PARTS = np.repeat(np.arange(25), 4)
VECTORS = RNG.normal(size=(25, 3))[PARTS] + 0.05 * RNG.normal(size=(100, 3))
NAMES = [f"part {part:02d}/photo_{photo}" for part, photo in zip(PARTS, list(range(4)) * 25, strict=True)]
TABLE = pd.DataFrame(VECTORS, columns=["a", "b", "c"]).assign(unit=PARTS, line=np.repeat(["x", "y"], [60, 40]))


def fit(**options: Any) -> dn2.Model:
    return dn2.fit(VECTORS, names=NAMES, neighbors=1, false_alarm_rate=0.1, **options)


def by_hand() -> list[float]:
    return dn2.KNNDetector(1).fit(VECTORS, parts=PARTS).calibration_.scores.tolist()


@pytest.mark.parametrize("rule", ["folder", r"(part \d+)", "^(.*)/", PARTS, PARTS.tolist(), PARTS.astype(str)])
def test_every_way_to_name_parts_gives_the_same(rule: Any) -> None:
    model = fit(part=rule)
    assert model.calibration.scores.tolist() == by_hand()
    about = model.describe()["calibration"]
    assert (about["method"], about["n_parts"], about["sample_size"]) == ("leave-one-part-out", 25, 25)


def test_a_file_lists_items_and_their_parts(tmp_path: Path) -> None:
    listed = tmp_path / "parts.csv"
    pd.DataFrame({"item": NAMES, "part": PARTS}).to_csv(listed, index=False)
    model = fit(part=f"@{listed}")
    assert model.calibration.scores.tolist() == by_hand()
    assert model.describe()["membership"] == {"part": "", "per": None}
    with pytest.raises(InputError, match="part was a list at fit: give one for the items that join"):
        model.add(VECTORS[:2], names=["n1", "n2"])
    pd.DataFrame({"item": NAMES[:-2], "part": PARTS[:-2]}).to_csv(listed, index=False)
    with pytest.raises(InputError, match="says nothing of 2 of 100: 'part 24/photo_2', 'part 24/photo_3'"):
        fit(part=f"@{listed}")
    pd.DataFrame({"item": NAMES, "tile": PARTS}).to_csv(listed, index=False)
    with pytest.raises(InputError, match="must have the columns item and part, got 'item', 'tile'"):
        fit(part=f"@{listed}")
    listed.write_text("item,part\na,1\na,2\n")
    with pytest.raises(InputError, match="the item 'a' belongs to '1' and to '2'"):
        fit(part=f"@{listed}")


@pytest.mark.parametrize("kind", ["table", "text"])
def test_a_column_names_parts_and_is_not_compared(kind: str, tmp_path: Path) -> None:
    table = TABLE.assign(note=[f"unit {unit:c<{2 + unit}} value {place % 7}" for place, unit in enumerate(PARTS)])
    table = table.drop(columns=["note", "line"]) if kind == "table" else table[["note", "unit"]]
    table.to_csv(tmp_path / "t.csv", index=False)
    models = [
        dn2.fit(inputs, kind=kind, part="unit", **({"backbone": "characters"} if kind == "text" else {}))
        for inputs in (table, tmp_path / "t.csv")
    ]
    for model in models:
        assert model.calibration.n_parts == 25
        assert "unit" not in [column.name for column in model.columns]
        results = model.score(table[:8], part=True)
        assert [(row.item, row.items) for row in results.parts] == [("0", 4), ("1", 4)]
        assert [row.part for row in results] == ["0"] * 4 + ["1"] * 4
        model.add(table[:3].assign(unit=99), names=["p", "q", "r"])
        assert model.calibration.n_parts == 26
    assert models[0].calibration.scores.tolist() == models[1].calibration.scores.tolist()


def test_records_of_messages_have_columns_too(tmp_path: Path) -> None:
    lines = [json.dumps({"body": f"order {n} of customer {n // 4}", "who": n // 4}) for n in range(80)]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    model = dn2.fit(tmp_path / "m.jsonl", kind="text", column="body", part="who", backbone="characters")
    assert model.calibration.n_parts == 20


def test_parts_are_kept_through_save_add_and_remove(tmp_path: Path) -> None:
    model = fit(part=r"(part \d+)")
    model.save(tmp_path / "m.dn2")
    loaded = dn2.load(tmp_path / "m.dn2")
    queries = VECTORS[:6] + 0.1
    names = [*NAMES[:4], "part 77/a", "part 77/b"]
    before = model.score(queries, names=names, part=True)
    assert loaded.score(queries, names=names, part=True) == before
    loaded.add(queries[4:], names=names[4:])
    assert loaded.calibration.n_parts == 26
    loaded.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2").remove(part="part 77")
    assert again.score(queries, names=names, part=True) == before
    assert len(again.items) == 100
    assert len(again.remove("part 03/photo_1", part=["part 04", "part 05"]).items) == 91
    with pytest.raises(InputError, match="no part 'part 99'; it has 'part 00'"):
        again.remove(part="part 99")
    with pytest.raises(InputError, match="its items have none"):
        dn2.fit(VECTORS).remove(part="1")


def test_an_item_of_a_known_part_has_none_of_it_as_a_neighbor() -> None:
    model = fit(part="folder")
    row = model.score(VECTORS[:1], names=["part 00/again"])[0]
    assert not row.neighbors[0].item.startswith("part 00/")
    near = row.neighbors[0]
    assert near.as_dict() == {"item": near.item, "distance": near.distance, "part": near.item[:7]}
    assert str(near).startswith(f"{near.item} (")
    assert model.score_one(VECTORS[0], part="part 00").anomaly_score == row.anomaly_score
    assert model.score_one(VECTORS[0]).neighbors[0].item == NAMES[0]
    with pytest.raises(InputError, match="fitted without part"):
        dn2.fit(VECTORS).score(VECTORS[:2], part=[1, 2])


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_of_parts_stand_at_the_end_of_a_file_and_are_read_back(ending: str, tmp_path: Path) -> None:
    model = fit(part="folder")
    results = model.score(np.concatenate([VECTORS[:7], VECTORS[:1] + 9]), names=[*NAMES[:7], "odd/1"], part=True)
    assert [(row.item, row.part, row.items, row.is_anomaly) for row in results.parts] == [
        ("part 00", "part 00", 4, False),
        ("part 01", "part 01", 3, False),
        ("odd", "odd", 1, True),
    ]
    largest = max(row.anomaly_score or 0 for row in results[:4])
    assert results.parts[0].anomaly_score == largest
    expected = (1 + (model.calibration.of_parts.scores >= largest).sum()) / 26  # type: ignore[union-attr]
    assert results.parts[0].p_value == expected
    results.save(tmp_path / f"r.{ending}")
    assert read_rows(tmp_path / f"r.{ending}") == [*results, *results.parts]
    assert results.columns[-2:] == ("part", "items")
    assert "3 parts, 1 anomalous" in results.summary()
    assert sum(bool(row.is_anomaly) for row in results.at(0.5).parts) >= 1


def test_a_page_of_parts_is_made_of_its_results_file(tmp_path: Path) -> None:
    model = dn2.fit(TABLE.drop(columns="line"), part="unit", neighbors=1)
    results = model.score(TABLE[:6].drop(columns="line").assign(unit=[1, 1, 2, 2, 99, 99]), part=True)
    results.save(tmp_path / "r.csv")
    again = read_scored(model, tmp_path / "r.csv", tmp_path)
    assert (list(again), list(again.parts)) == (list(results), list(results.parts))
    *lines, last = (tmp_path / "r.csv").read_text().splitlines()
    changed = last.replace(f",{results.parts[2].p_value},", ",0.5,")
    (tmp_path / "r.csv").write_text("\n".join([*lines, changed]))
    with pytest.raises(InputError, match="the score of '99' has a p-value"):
        read_scored(model, tmp_path / "r.csv", tmp_path)


def test_false_alarms_are_counted_by_part() -> None:
    model = fit(part="folder")
    normal = np.concatenate([VECTORS[:1] + 9, VECTORS[:1] + 9, VECTORS[:1] + 9, VECTORS[:1]])
    known = KnownScores(np.array([5.0, 5, 5, 1, 9]), np.array([0.01] * 3 + [0.9, 0.01]), np.arange(5) > 3, [], 0, 0)
    assert known.evaluate(0.1).false_alarms == 0.75
    assert known._replace(parts=["a", "a", "a", "b", None]).evaluate(0.1).false_alarms == 0.5
    assert model.score_known(normal, normal[:1]).parts == [None] * 5


def test_a_group_has_its_own_rate_and_a_stranger_is_not_decided(tmp_path: Path, caplog: Any) -> None:
    model = dn2.fit(TABLE.drop(columns="unit"), per="line", false_alarm_rate=0.05)
    assert model.describe()["calibration"]["n_strata"] == 2
    assert "line" in [column.name for column in model.columns]
    rows = TABLE.drop(columns="unit")[58:62].assign(line=["x", "y", "z", None])
    results = model.score(rows)
    assert [row.per for row in results] == ["x", "y", "z", None]
    assert [row.p_value is None for row in results] == [False, False, True, True]
    assert [row.is_anomaly is None for row in results] == [False, False, True, True]
    assert all(row.neighbors for row in results)
    assert "2 of no known group, not decided" in results.summary()
    assert "says nothing of 1 of 4 items, which are not decided" in caplog.text
    results.save(tmp_path / "r.csv")
    assert [row.per for row in read_rows(tmp_path / "r.csv", model.kind.evidence)] == ["x", "y", "z", None]
    with pytest.raises(ReferenceTooSmall, match="items of 'x' that calibrate, got 30 of 60"):
        dn2.fit(TABLE.drop(columns="unit"), per="line", false_alarm_rate=0.02)


def test_a_confidence_bounds_the_one_rate_that_was_fixed() -> None:
    model = dn2.fit(VECTORS, false_alarm_rate=0.1, confidence=0.9)
    results = model.score(VECTORS[:5])
    assert results.at(0.1) == results
    with pytest.raises(InputError, match=r"bounds one rate, 0\.1, which was fixed"):
        results.at(0.2)
    with pytest.raises(InputError, match="bounds one rate"):
        model.score(VECTORS[:5], false_alarm_rate=0.2)


@pytest.mark.parametrize(("part", "rate", "got"), [(None, 0.01, 97), ("folder", 0.05, 24)])
def test_both_ways_out_of_a_rate_too_small_for_a_confidence_lead_out(part: str | None, rate: float, got: int) -> None:
    with pytest.raises(ReferenceTooSmall, match=f"calibrate, got {got} of") as refused:
        dn2.fit(VECTORS, names=NAMES, part=part, confidence=0.95, false_alarm_rate=rate)
    more, smallest = re.findall(r"add (\d+) more or ask for (\S+)", str(refused.value))[0]
    model = dn2.fit(VECTORS, names=NAMES, part=part, confidence=0.95, false_alarm_rate=float(smallest))
    assert model.calibration.sample_size == got
    one = 1 if part is None else 4
    rows = RNG.normal(size=(100 + one * int(more), 3))
    names = [f"part {n // 4:03d}/photo_{n % 4}" for n in range(len(rows))]
    assert dn2.fit(rows, names=names, part=part, confidence=0.95, false_alarm_rate=rate).false_alarm_rate == rate
    with pytest.raises(ReferenceTooSmall, match="add 1 more or"):
        dn2.fit(rows[:-one], names=names[:-one], part=part, confidence=0.95, false_alarm_rate=rate)


def test_ties_are_broken_by_the_name_of_an_item_and_the_seed() -> None:
    rows = np.repeat(np.arange(3.0), 20)[:, None]
    models = [dn2.fit(rows, kind="vector", smooth=True, seed=seed) for seed in (0, 0, 1)]
    p_values = [[row.p_value for row in model.score(rows[:5], names=list("abcde"))] for model in models]
    assert p_values[0] == p_values[1] != p_values[2]
    assert len(set(p_values[0])) == 5
    assert models[0].score_one(rows[0]).p_value is not None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("(a)(b)", "a pattern with 2 groups"),
        ("abc", "a pattern with 0 groups"),
        ("(", "no pattern"),
        ("((?:a*)*)", "may take forever"),
        ("((?:ab|a)*)", "may take forever"),
        ("(.*).*.*.*", "may take forever"),
        (r"(a+)\1", "may take forever"),
        ("x" * 1001, "too long"),
        (7, "a rule, or a label for each item"),
        ([1, 2], "a label for each of 100 items, got 2"),
        ({"a": 1}, "a rule, or a label for each item"),
        (r"(\d+)_", "says nothing of 100 of 100"),
        ([None] * 100, "says nothing of 100 of 100"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(rule: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fit(part=rule)


def test_patterns_that_cannot_take_forever_are_taken() -> None:
    names = ["2024-05-01_part7_cam2.png", "x_part9.png"]
    for rule in (r"_(part\d+)", r"^(?:.*?)_(part\d{1,3})", "(part[0-9]+)(?:_cam|\\.png)", r".*_(part\d+).*"):
        assert labels_by(rule, names, {}, "part") == ["part7", "part9"]
    assert labels_by("folder", ["a/b/c.png", "d.png"], {}, "part") == ["a/b", None]
