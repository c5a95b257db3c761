"""Fresh normal items calibrate a model, once what is normal has changed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import dn2
from dn2.errors import InputError, ReferenceTooSmall
from made_series import pump


def rows(seed: int, n: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 4)) + shift).astype(np.float32)


def fresh(n: int) -> list[str]:
    return [f"fresh {place}" for place in range(n)]


def test_the_rate_is_as_asked_after_a_change_and_was_not_before():
    before, after = [], []
    for seed in range(30):
        model = dn2.fit(rows(seed, 200), false_alarm_rate=0.05, seed=seed)
        later = rows(1_000 + seed, 500, shift=-1.5)
        before.append((model.detector.p_value(later) <= 0.05).mean())
        model.recalibrate(rows(2_000 + seed, 200, shift=-1.5), names=fresh(200))
        after.append((model.detector.p_value(later) <= 0.05).mean())
    error = np.std(after) / np.sqrt(len(after))
    assert np.mean(before) > 0.3
    assert abs(np.mean(after) - 0.05) < 3 * error


def test_only_fresh_items_calibrate_and_all_others_are_neighbours(tmp_path):
    model = dn2.fit(rows(0, 200), false_alarm_rate=0.05)
    model.feedback({"odd": "normal"}, rows(1, 1, shift=9), names=["odd"])
    model.recalibrate(rows(2, 100, shift=1), names=fresh(100))
    members = model.detector.leave_one_out.members
    assert members.min() >= 201
    assert len(members) == 39  # (39 + 1) / 20 is 2
    assert [item.role for item in model.items] == ["retired"] * 200 + ["neighbor"] + [""] * 100
    assert model.calibration.n_told == 1
    model.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2")
    assert np.array_equal(again.detector.leave_one_out.members, members)
    assert again.score(rows(3, 20)).rows == model.score(rows(3, 20)).rows
    again.recalibrate(rows(4, 60, shift=2), names=[f"later {place}" for place in range(60)])
    assert again.detector.leave_one_out.members.min() >= 301


def test_too_few_or_old_items_are_refused_and_change_nothing():
    model = dn2.fit(rows(0, 200), false_alarm_rate=0.05)
    state = model.state
    with pytest.raises(ReferenceTooSmall, match="needs at least 19"):
        model.recalibrate(rows(1, 12), names=fresh(12))
    with pytest.raises(InputError, match=r"the model has an item .row 1. already"):
        model.recalibrate(rows(1, 100))
    assert model.state is state
    with pytest.raises(InputError, match="are calibrated by what comes before: fit them anew"):
        dn2.fit(pump(900, seed=0), kind="series").recalibrate(pump(700, seed=1))


def test_pictures_compared_patch_by_patch_take_the_new_light_for_usual(tmp_path):
    def write(folder: str, seeds: range, light: float) -> None:
        (tmp_path / folder).mkdir()
        for seed in seeds:
            noise = np.random.default_rng(seed).normal(0, 9, (64, 64, 3))
            pixels = (np.array([140, 120, 100]) * [light, 1, 1] + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{seed}.png")

    write("good", range(40), 1.0)
    write("redder", range(100, 140), 1.6)
    write("new", range(200, 220), 1.6)
    options = {"patches": True, "resolution": 64, "bank": 60, "false_alarm_rate": 0.1, "light": "as-is"}
    model = dn2.fit(tmp_path / "good", **options)
    assert len(model.score(tmp_path / "new").anomalies) > 10
    model.recalibrate(tmp_path / "redder")
    assert model.kind.learnt.members.min() >= 40
    assert len(model.score(tmp_path / "new").anomalies) < 8
    model.save(tmp_path / "m.dn2")
    assert dn2.load(tmp_path / "m.dn2").score(tmp_path / "new").rows == model.score(tmp_path / "new").rows
