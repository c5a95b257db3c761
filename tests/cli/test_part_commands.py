"""`--part` and `--per` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

UNITS = np.repeat(np.arange(30), 3)
RNG = np.random.default_rng(0)
ROWS = pd.DataFrame(RNG.normal(size=(30, 3))[UNITS] + 0.1 * RNG.normal(size=(90, 3)), columns=list("abc"))


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    ROWS.assign(unit=UNITS).to_csv(tmp_path / "t.csv", index=False)
    ROWS[:5].assign(unit=[90, 90, 91, 91, 91], a=[0, 0, 0, 0, 99]).to_csv(tmp_path / "new.csv", index=False)
    lines = np.repeat(["x", "y"], 45)
    ROWS.assign(line=lines).to_csv(tmp_path / "lines.csv", index=False)
    ROWS[:3].assign(line=["x", "y", "z"]).to_csv(tmp_path / "new_lines.csv", index=False)
    return tmp_path


def test_parts_are_fitted_scored_added_and_removed(dn2_command: Any, tables: Path) -> None:
    model = tables / "m.dn2"
    done = dn2_command("fit", tables / "t.csv", "-o", model, "--part", "unit", "--neighbors", 1)
    assert done.status == 0
    assert f"{model}: 90 reference items of 30 parts, false-alarm rate 1 in 16, the smallest" in done.err
    new = tables / "new.csv"
    ways = ((new, "--part"), ("--part", new), (new, "--part", "unit"))
    asked = [dn2_command("score", model, *words, "--json") for words in ways]
    rows = [[json.loads(line) for line in done.out.splitlines()] for done in asked]
    assert rows[0] == rows[1] == rows[2]
    of_parts = [(row["item"], row["items"], row["is_anomaly"]) for row in rows[0][5:]]
    assert of_parts == [("90", 2, False), ("91", 3, True)]
    assert "2 parts, 1 anomalous" in asked[0].err
    table = dn2_command("score", model, tables / "new.csv", "--part").out
    assert table.index("items") < table.index("91") < table.index("nearest")
    assert dn2_command("score", model, tables / "new.csv", "--part", "--fail-on-anomaly").status == 1
    assert "of 32 parts" in dn2_command("add", model, new).err
    done = dn2_command("remove", model, "--part", "91", "--part", "3")
    assert "6 items removed" in done.err
    assert "of 30 parts" in done.err
    told = " ".join(dn2_command("inspect", model).out.split())
    assert "calibration split, 15 parts" in told
    assert "parts 30 (--part unit)" in told


def test_what_is_of_no_known_group_is_not_decided_and_the_status_says_so(dn2_command: Any, tables: Path) -> None:
    model = tables / "m.dn2"
    assert dn2_command("fit", tables / "lines.csv", "-o", model, "--per", "line", "--neighbors", 1).status == 0
    done = dn2_command("score", model, tables / "new_lines.csv")
    assert done.status == 3
    assert "1 of no known group, not decided" in done.err
    assert "not decided" in done.out
    refused = dn2_command("score", model, tables / "new_lines.csv", "--part")
    assert (refused.status, "fitted without --part" in refused.err) == (2, True)
