"""What people said of scored items, back into a model."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import beta

import dn2
import naive
from dn2 import Verdict
from dn2.errors import InputError, ReferenceTooSmall
from dn2.inputs.verdicts import verdicts_of
from dn2.kinds.image.patches.learning import _measure
from dn2.kinds.image.patches.sources import Pictures
from dn2.model.told import Judged, Share, Told
from dn2.neighbors.patches.detector import Source
from made_series import pump
from small_models import write_digits

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(300, 4)).astype(np.float32)
ODD = np.array([[0, 0, 0, 9], [0, 0, 0, 9.1], [9, 9, 9, 9], [-9, 9, -9, 9]], np.float32)
NAMES = ["usual here", "like it", "broken", "burst"]
SAID = {"usual here": "normal", "broken": "defect", "burst": "unsure"}


def test_a_false_alarm_is_a_neighbour_that_never_calibrates_and_what_is_like_it_no_alarm():
    model = dn2.fit(ROWS)
    assert [row.is_anomaly for row in model.score(ODD, names=NAMES)] == [True] * 4
    heard = model.feedback(SAID, ODD, names=NAMES)
    assert (heard.neighbors, heard.defects, heard.unsure) == (["usual here"], ["broken"], ["burst"])
    assert [row.is_anomaly for row in model.score(ODD, names=NAMES)] == [False, False, True, True]
    assert len(model.items) == 301
    members = model.detector.leave_one_out.members
    assert 300 not in members
    assert heard.has_turned
    assert "measured" in " ".join(model.state.assumptions())
    assert "not proven" in " ".join(model.state.assumptions())


def test_items_that_calibrate_are_no_neighbours_and_p_values_are_by_hand():
    model = dn2.fit(ROWS, neighbors=2)
    model.feedback(SAID, ODD, names=NAMES)
    members = set(model.detector.leave_one_out.members.tolist())
    assert len(members) == 99  # (99 + 1) / 100 is 1: the rate of 0.01 is reached, and more stay neighbours
    everything = np.concatenate([ROWS, ODD[:1]])
    neighbors = everything[[*(place for place in range(301) if place not in members), 300]]  # it counts as both
    scores = [naive.mean_squared_distance(everything[place], neighbors, 2) for place in sorted(members)]
    for query in (ODD[1], ODD[2], ROWS[5] + 0.3):
        own = naive.mean_squared_distance(query, neighbors, 2)
        row = model.score_one(query)
        assert row.anomaly_score == pytest.approx(own, rel=1e-5)
        assert row.p_value == pytest.approx(float(naive.p_value(own * (1 - 1e-9), scores)))


def test_audited_normal_items_calibrate_and_leave_the_guarantee_as_it_is():
    model = dn2.fit(ROWS)
    heard = model.feedback([Verdict("usual here", "false alarm", audit=True)], ODD, names=NAMES)
    assert heard.audited == ["usual here"]
    assert 300 in model.detector.leave_one_out.members
    assert not heard.has_turned
    assert model.calibration.method == "leave-one-out"
    model.feedback({"like it": "normal"}, ODD, names=NAMES)
    assert model.calibration.method == "held-out"
    assert 300 in model.detector.leave_one_out.members
    assert 301 not in model.detector.leave_one_out.members


def test_parts_that_were_a_list_at_fit_need_one_for_what_joins():
    model = dn2.fit(ROWS, part=[f"part {place // 3}" for place in range(300)])
    with pytest.raises(InputError, match="part was a list at fit"):
        model.feedback(SAID, ODD, names=NAMES)


def test_parts_by_a_rule_are_told_as_a_whole(tmp_path):
    names = [f"p{place // 3}_{place % 3}" for place in range(300)]
    model = dn2.fit(dict(zip(names, ROWS, strict=True)), kind="vector", part="(.*)_")
    more = {"p7_9": ODD[0], "p900_0": ODD[1]}
    model.feedback({"p7_9": "normal"}, more)
    own = [place for place, item in enumerate(model.items) if item.part == "p7"]
    assert len(own) == 4
    assert not set(own) & set(model.detector.leave_one_out.members.tolist())


def test_defects_are_a_test_that_tells_what_a_change_does():
    model = dn2.fit(ROWS)
    near = np.array([[0, 0, 0, 9.05]], np.float32)
    first = model.feedback({"broken": "defect"}, ODD, names=NAMES)
    assert (first.caught, first.tests, first.missed) == (1, 1, [])
    second = model.feedback([Verdict("near", "defect", kind="dent")], near, names=["near"])
    assert (second.caught, second.tests) == (2, 2)
    third = model.feedback({"usual here": "normal"}, ODD, names=NAMES)
    assert (third.caught_before, third.caught, third.tests) == (2, 1, 2)
    ((missed, kind, p_value),) = third.missed
    assert (missed, kind) == ("near", "dent")
    assert p_value == model.score(near, names=["near"])[0].p_value > model.false_alarm_rate
    assert third.by_kind == {"": (1, 1), "dent": (0, 1)}
    assert (third.alarms, third.right) == (3, 2)
    words = " ".join(third.words())
    assert "1 of 2 defects are flagged at 1 in 100, 2 before (no kind 1 of 1, dent 0 of 1); missed are near at" in words
    assert len(model.items) == 301  # no defect among them


def test_verdicts_are_saved_with_the_model_and_undone_with_it(tmp_path):
    model = dn2.fit(ROWS)
    model.save(tmp_path / "m.dn2")
    bits = (tmp_path / "m.dn2" / "model.json").read_bytes()
    model.feedback([*verdicts_of(SAID), Verdict("like it", "normal", audit=True)], ODD, names=NAMES)
    model.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2")
    assert again.state.told.judged == model.state.told.judged
    assert np.array_equal(again.state.told.vectors, ODD[2:3])
    assert [item.role for item in again.items[300:]] == ["neighbor", "audited"]
    assert again.score(ODD).rows == model.score(ODD).rows
    assert again.describe()["told"] == {"normal": 2, "defect": 1, "unsure": 1, "audited": 1}
    assert again.history()[-1].change == "feedback: 1 told to be normal, 1 audited, 1 told to be defects"
    again.undo()
    assert (tmp_path / "m.dn2" / "model.json").read_bytes() == bits
    assert again.state.told.judged == ()


def test_what_was_said_before_is_known_and_its_opposite_refused():
    model = dn2.fit(ROWS)
    model.feedback(SAID, ODD, names=NAMES)
    again = model.feedback(SAID, ODD, names=NAMES)
    assert (again.neighbors, again.known) == ([], list(SAID))
    assert len(model.items) == 301
    with pytest.raises(InputError, match=r"'broken' is said to be normal, and was said to be defect before: take that"):
        model.feedback({"broken": "normal"}, ODD, names=NAMES)
    model.remove("broken", forget=True)
    model.feedback({"broken": "normal"}, ODD, names=NAMES)
    assert model.items[-1].name == "broken"


@pytest.mark.parametrize("drop", [None, 0.1])
def test_what_is_told_to_be_normal_is_never_set_aside(drop):
    model = dn2.fit(ROWS, contaminated=True, drop=drop)
    model.feedback({"usual here": "normal"}, ODD, names=NAMES)
    assert "usual here" not in model.set_aside
    assert [row.is_anomaly for row in model.score(ODD)] == [False, False, True, True]


def test_a_set_too_small_to_hold_items_out_is_left_as_it_is():
    model = dn2.fit(ROWS[:110], false_alarm_rate=0.01)
    state = model.state
    with pytest.raises(ReferenceTooSmall, match="needs at least 99 items that calibrate, got"):
        model.feedback(SAID, ODD, names=NAMES)
    assert model.state is state
    assert dn2.fit(ROWS[:140], false_alarm_rate=0.01).feedback(SAID, ODD, names=NAMES).has_turned


def write_verdicts(path: Path, rows: list[dict[str, Any]]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["item", "verdict", "path", "audit", "kind"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_pictures_are_found_by_the_paths_of_the_verdicts(tmp_path, caplog):
    write_digits(tmp_path / "good", range(120))
    write_digits(tmp_path / "new", range(200, 203))
    model = dn2.fit(tmp_path / "good", backbone="lite0@32", false_alarm_rate=0.05)
    model.save(tmp_path / "m.dn2")
    (tmp_path / "new" / "broken.png").write_bytes(b"no picture")
    rows = [
        {"item": path.name, "verdict": verdict, "path": str(path)}
        for path, verdict in zip(
            sorted((tmp_path / "new").iterdir()), ("normal", "defect", "unsure", "normal"), strict=True
        )
    ]
    rows.append({"item": "gone.png", "verdict": "normal", "path": str(tmp_path / "gone.png")})
    heard = model.feedback(write_verdicts(tmp_path / "verdicts.csv", rows))
    assert (heard.neighbors, heard.defects, heard.unsure, heard.lost) == (
        ["0200.png"],
        ["0201.png"],
        ["0202.png"],
        ["gone.png"],
    )
    assert [row.item for row in heard.unreadable] == ["broken.png"]
    assert model.items[-1].name == "0200.png"
    model.save(tmp_path / "m.dn2")
    # a reference item is none to learn from again, and a name that is taken by another picture is that of the path
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "other.png").write_bytes((tmp_path / "good" / "0003.png").read_bytes())
    (tmp_path / "again" / "0003.png").write_bytes((tmp_path / "new" / "0202.png").read_bytes())
    heard = dn2.load(tmp_path / "m.dn2").feedback({"other.png": "normal", "0003.png": "normal"}, tmp_path / "again")
    assert heard.known == ["other.png"]
    assert heard.neighbors == ["0003.png"]


def test_rows_of_a_table_and_messages_are_found_in_their_files(tmp_path):
    lines = [f"{x:.3f},{y:.3f}" for x, y in RNG.normal(size=(200, 2))]
    (tmp_path / "normal.csv").write_text("a,b\n" + "\n".join(lines) + "\n")
    (tmp_path / "new.csv").write_text("a,b\n0.1,0.2\n50,50\n-60,60\n")
    model = dn2.fit(tmp_path / "normal.csv", false_alarm_rate=0.05)
    names = [row.item for row in model.score(tmp_path / "new.csv")]
    path = str(tmp_path / "new.csv")
    heard = model.feedback([Verdict(names[1], "normal", path), Verdict(names[2], "defect", path)])
    assert (heard.neighbors, heard.defects) == ([names[1]], [names[2]])
    assert [row.is_anomaly for row in model.score(tmp_path / "new.csv")] == [False, False, True]

    texts = [f"train {number} is late by {number % 7} minutes" for number in range(200)]
    told = dn2.fit(texts, kind="text", backbone="characters", false_alarm_rate=0.05)
    heard = told.feedback({"text 2": "normal"}, ["a", "WIN £££ NOW!!!", "b"])
    assert len(told.items) == 201
    assert heard.neighbors == ["text 2"]


def test_pictures_compared_patch_by_patch_learn_from_false_alarms(tmp_path):
    write_digits(tmp_path / "good", range(40), side=64)
    write_digits(tmp_path / "new", range(100, 104), side=64)
    for name, seed in (("0100.png", 0), ("0101.png", 1)):
        noise = np.random.default_rng(seed).integers(0, 255, (64, 64), np.uint8)
        Image.fromarray(noise).save(tmp_path / "new" / name)
    model = dn2.fit(tmp_path / "good", patches=True, resolution=64, bank=60, false_alarm_rate=0.1)
    before = {row.item: row.is_anomaly for row in model.score(tmp_path / "new")}
    assert before["0100.png"]
    heard = model.feedback({"0100.png": "normal", "0103.png": "defect"}, tmp_path / "new")
    assert (heard.neighbors, heard.tests) == (["0100.png"], 1)
    results = model.score(tmp_path / "new")
    assert not results[0].is_anomaly
    assert not results[0].regions
    members = model.kind.learnt.members
    assert 40 not in members
    assert not any(np.isin(bank.owners, members).any() for bank in model.kind.patches.banks)
    model.save(tmp_path / "m.dn2")
    assert dn2.load(tmp_path / "m.dn2").score(tmp_path / "new").rows == results.rows
    # the pictures that calibrate are compared with the patches that joined, as new ones are
    measured = _measure(
        model.kind.patches,
        Pictures(model.kind.embedder, model.items),
        Source(lambda *_: iter(()), np.arange(41)),
        members,
        None,
    )
    assert np.array_equal(measured.scores, model.kind.learnt.scores)


def test_series_take_no_verdicts():
    model = dn2.fit(pump(900, seed=0), kind="series")
    with pytest.raises(InputError, match=r"not compared one by one: give what is normal to Model\.add"):
        model.feedback({"a": "normal"}, pump(700, seed=1))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a": "maybe"}, "the verdict of 'a' must be normal, defect, unsure, got 'maybe'"),
        ({}, "there are no verdicts"),
        (7, "verdicts come as a file, a dict or a list, got int"),
        ([("a",)], r"verdict 1 must be a dn2\.Verdict, or \(item, verdict\)"),
        ([("", "normal")], "must name an item"),
        ([("a", "normal", "", "perhaps")], "audit of the verdict 1 must be true, false or empty"),
        ([("a", "normal"), ("a", "defect")], "'a' is said to be both normal and defect"),
    ],
)
def test_verdicts_in_another_form_are_refused(given, words):
    with pytest.raises(InputError, match=words):
        verdicts_of(given)


def test_a_file_of_verdicts_is_a_table_of_texts_as_they_are(tmp_path):
    rows = [
        {"item": "=1+1", "verdict": "False Alarm", "path": "a,b.png", "audit": "TRUE", "kind": ""},
        {"item": "007", "verdict": "defect", "path": "", "audit": "", "kind": " long \n scratch "},
        {"item": "NA", "verdict": "unsure", "path": "", "audit": "false", "kind": ""},
    ]
    assert verdicts_of(write_verdicts(tmp_path / "v.csv", rows)) == [
        Verdict("=1+1", "normal", "a,b.png", True),
        Verdict("007", "defect", kind="long scratch"),
        Verdict("NA", "unsure"),
    ]
    (tmp_path / "bad.csv").write_text("item,said\na,normal\n")
    with pytest.raises(InputError, match=r"verdicts have the columns item and verdict.*; verdict is missing"):
        verdicts_of(tmp_path / "bad.csv")


def test_what_audits_measure_has_an_interval_by_hand():
    share = Share(3, 40)
    assert share.interval == pytest.approx((beta.ppf(0.025, 3, 38), beta.ppf(0.975, 4, 37)))
    assert Share(0, 0).interval == (0, 1)
    assert Share(0, 10).interval[0] == 0
    assert Share(2.5, 40).interval == pytest.approx((Share(2, 40).interval[0], Share(3, 40).interval[1]))


def test_audits_count_each_part_once_and_nothing_that_was_not_drawn():
    judged = [
        Judged("a", "normal", audit=True, part="1", is_anomaly=True),
        Judged("b", "normal", audit=True, part="1", is_anomaly=False),
        Judged("c", "normal", audit=True, part="2", is_anomaly=False),
        Judged("d", "normal", is_anomaly=True),
        Judged("e", "defect", audit=True, is_anomaly=True),
        Judged("f", "unsure", audit=True, is_anomaly=True),
    ]
    told = Told(tuple(judged))
    assert told.audited("normal") == (0.5, 2)
    assert told.audited("defect") == (1, 1)


def test_items_that_are_nowhere_are_refused_with_the_way_out():
    model = dn2.fit(ROWS)
    with pytest.raises(
        InputError, match=r"none of the 1 items is found, such as 'a': give what they were scored from, inputs="
    ):
        model.feedback({"a": "normal"})
