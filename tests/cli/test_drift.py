"""A change among the items that `dn2 score` scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dn2
from dn2.monitor import batch
from made_series import pump


@pytest.fixture
def vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A saved model of vectors, and files of others, in the working folder."""
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(1_200, 4)).astype(np.float32)
    np.save("good.npy", rows[:300])
    np.save("usual.npy", rows[300:700])
    rows[900:] += 1.5
    np.save("changed.npy", rows[700:])
    np.save("few.npy", rows[1_001:])
    dn2.fit(rows[:300]).save("m.dn2")


def test_a_change_is_said_once_with_its_start_and_what_to_do(vectors, dn2_command):
    done = dn2_command("score", "m.dn2", "changed.npy", "-o", "results.csv")
    assert done.status == 0
    (line,) = [line for line in done.err.splitlines() if line.startswith("drift: ")]
    since = int(line.removeprefix("drift: since about item ").partition(" ")[0])
    assert abs(since - 201) <= 3
    assert f"since about item {since} (changed.npy:{since})" in line
    assert "noticed at item 2" in line
    assert line.endswith("if they are normal, dn2 recalibrate m.dn2 NORMALS, with normal items of now")
    assert len(Path("results.csv").read_text().splitlines()) == 501


@pytest.mark.parametrize("name", ["usual", "few", "good"])
def test_nothing_is_said_without_a_change_of_few_items_and_of_reference_items(name, vectors, dn2_command):
    done = dn2_command("score", "m.dn2", f"{name}.npy")
    assert done.status == 0
    assert "drift: " not in done.err


def test_few_items_and_large_sets_cost_nothing(vectors, dn2_command, monkeypatch):
    def fail(*_: object) -> None:
        raise AssertionError("nothing is to be held out")

    monkeypatch.setattr(batch.Frozen, "of", fail)
    assert dn2_command("score", "m.dn2", "few.npy").status == 0
    monkeypatch.setattr(batch, "MOST_COMPARED", 150 * 150 * 4 - 1)
    assert dn2_command("score", "m.dn2", "changed.npy").status == 0


def test_series_are_scored_as_before(tmp_path, dn2_command):
    pump(600, seed=0).to_csv(tmp_path / "good.csv", index=False)
    pump(600, seed=1).to_csv(tmp_path / "new.csv", index=False)
    assert dn2_command("fit", tmp_path / "good.csv", "--kind", "series", "-o", tmp_path / "s.dn2").status == 0
    done = dn2_command("score", tmp_path / "s.dn2", tmp_path / "new.csv")
    assert (done.status, "drift: " in done.err) == (0, False)
