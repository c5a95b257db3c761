"""Verdicts and versions on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dn2
from small_models import write_digits


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved model of pictures, and new ones with verdicts, in the working folder."""
    monkeypatch.setenv("DN2_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_digits(tmp_path / "good", range(120))
    write_digits(tmp_path / "new", range(200, 205))
    dn2.fit("good", backbone="lite0@32", false_alarm_rate=0.05).save("parts.dn2")
    lines = ["new/0200.png,normal,new/0200.png,", "new/0201.png,defect,new/0201.png,true", "gone.png,normal,gone.png,"]
    Path("verdicts.csv").write_text("\n".join(["item,verdict,path,audit", *lines]) + "\n")
    return tmp_path


def test_what_became_of_verdicts_is_said_and_saved_and_taken_back(parts, dn2_command):
    before = Path("parts.dn2/model.json").read_bytes()
    done = dn2_command("feedback", "parts.dn2", "verdicts.csv")
    assert done.status == 3  # one item was not found
    said = done.err.splitlines()
    assert said[0] == "1 item is a neighbour now and never calibrates: what looks like it is no alarm any more"
    assert any(line.startswith("audits: ") and "1 defects were flagged" in line for line in said)
    assert "not found, and left out: 1 item, such as gone.png" in said
    assert said[-1] == "next: dn2 score parts.dn2 INPUT; dn2 undo parts.dn2 takes this back"
    assert len(dn2.load("parts.dn2").items) == 121
    inspected = dn2_command("inspect", "parts.dn2")
    assert "1 normal, 1 defects, 0 unsure; 1 of them audited" in inspected.out
    assert "1 defects are flagged at 1 in 20" in inspected.err
    about = json.loads(dn2_command("inspect", "parts.dn2", "--json").out)
    assert about["defects"]["n"] == 1
    listed = dn2_command("history", "parts.dn2")
    assert "feedback: 1 told to be normal, 1 told to be defects" in listed.out
    assert "fitted" in listed.out
    rows = [json.loads(line) for line in dn2_command("history", "parts.dn2", "--json").out.splitlines()]
    assert [row["items"] for row in rows] == [120, 121]
    done = dn2_command("undo", "parts.dn2")
    assert "undone: feedback: 1 told to be normal, 1 told to be defects; 120 reference items now" in done.err
    assert Path("parts.dn2/model.json").read_bytes() == before
    again = dn2_command("undo", "parts.dn2")
    assert (again.status, "has no earlier version" in again.err) == (2, True)


def test_verdicts_by_name_take_what_was_scored(parts, dn2_command):
    Path("named.csv").write_text("item,verdict\n0202.png,false alarm\n0203.png,unsure\n")
    done = dn2_command("feedback", "parts.dn2", "named.csv", "new", "--json")
    assert done.status == 0
    heard = json.loads(done.out)
    assert (heard["neighbors"], heard["unsure"], heard["has_turned"]) == (["0202.png"], ["0203.png"], True)
    done = dn2_command("feedback", "parts.dn2", "named.csv", "new")
    assert "2 verdicts were known before" in done.err
    assert len(dn2.load("parts.dn2").history()) == 2  # the second changed nothing


def test_a_verdict_without_its_item_is_refused_and_changes_nothing(parts, dn2_command):
    Path("named.csv").write_text("item,verdict\n0202.png,normal\n")
    done = dn2_command("feedback", "parts.dn2", "named.csv")
    assert done.status == 2
    assert "give what they were scored from, dn2 feedback MODEL VERDICTS INPUT" in done.err
    assert len(dn2.load("parts.dn2").history()) == 1


def test_nothing_of_a_forgotten_item_is_left(parts, dn2_command):
    dn2_command("remove", "parts.dn2", "0003.png")
    done = dn2_command("remove", "parts.dn2", "0017.png", "--forget")
    assert "1 item removed, and all that was named forgotten, with the earlier versions" in done.err
    held = b"".join(path.read_bytes() for path in Path("parts.dn2").iterdir())
    assert b"0017.png" not in held
    assert [one.change for one in dn2.load("parts.dn2").history()] == ["1 item forgotten"]


def test_audited_items_are_listed_without_their_scores(parts, dn2_command):
    done = dn2_command("score", "parts.dn2", "new", "--audit", 2)
    model = dn2.load("parts.dn2")
    audited = [row.item for row in model.score("new", audit=2) if row.audit]
    assert 0 < len(audited) < 5
    table, _, listed = done.out.partition("to audit, drawn whatever their scores, which are hidden")
    assert not any(item in table.partition("\n")[0] or f"\n{item}" in table for item in audited)
    assert all(item in listed for item in audited)
    assert np.isfinite([row.p_value for row in model.score("new", audit=2)]).all()
