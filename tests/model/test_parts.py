"""What breaks exchangeability is said once, with the way out, kept in the model, and parts are proposed."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

import dn2
from dn2.model.parts import propose

PHOTOS = [f"photo_{part:03}_{view}.png" for part in range(50) for view in "abcde"]


def photos(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.repeat(rng.normal(size=(50, 8)), 5, axis=0) + 0.05 * rng.normal(size=(250, 8))


def fit(rows: np.ndarray, names: list[str]) -> dn2.Model:
    return dn2.fit(rows.astype(np.float32), kind="vector", names=names)


@pytest.fixture(scope="module")
def model() -> dn2.Model:
    return fit(photos(), PHOTOS)


def test_fit_says_once_what_it_saw_and_which_option_mends_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dn2"):
        fit(photos(), PHOTOS)
    seen, way_out = (record.getMessage() for record in caplog.records)
    assert "98% of vectors lie in closed groups of about 5 (usual: up to 20%)" in seen
    assert "several vectors of one part? The false-alarm rate does not hold then" in seen
    assert "part='(.*)[-_ ][^-_ /]+', or part='@parts.csv', with the file" in way_out


def test_fit_says_nothing_of_items_drawn_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dn2"):
        model = fit(np.random.default_rng(0).normal(size=(250, 8)), PHOTOS)
    assert caplog.records == []
    assert model.describe()["suspicion"]["findings"] == []


def test_the_model_keeps_what_was_seen(model: dn2.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m.dn2")
    loaded = dn2.load(tmp_path / "m.dn2")
    assert loaded.describe() == model.describe()
    assert [found["name"] for found in loaded.describe()["suspicion"]["findings"]] == ["copies", "clusters", "order"]
    for words in (" ".join(loaded.describe()["calibration"]["assumptions"]), loaded._repr_html_()):
        assert "closed groups of about 5" in words


def test_a_changed_model_is_looked_at_again(tmp_path: Path) -> None:
    model = fit(photos(), PHOTOS)
    before = model.describe()["suspicion"]
    model.save(tmp_path / "m.dn2")
    model.add(photos(1)[:50], names=[f"more {place}" for place in range(50)])
    assert model.describe()["suspicion"]["looked_at"] == 300
    model.remove([f"more {place}" for place in range(50)])
    assert model.describe()["suspicion"] == before
    model.remove([name for name in PHOTOS if not name.endswith("a.png")])
    assert model.describe()["suspicion"]["findings"] == []


def test_names_tell_parts_where_neighbors_share_them_and_else_distances_do(model: dn2.Model) -> None:
    assert propose(model.state).by == "(.*)[-_ ][^-_ /]+"
    assert model.propose_parts() == [(name, name[:9]) for name in PHOTOS]
    rows, shuffled = photos(), np.random.default_rng(2).permutation(250)
    names = [f"IMG_{number:04}.png" for number in range(250)]
    proposed = propose(fit(rows[shuffled], names).state)
    assert proposed.by is None
    pairs = set(zip((shuffled // 5).tolist(), proposed.parts, strict=True))
    assert len(pairs) == len(set(proposed.parts)) == 50


@pytest.mark.parametrize(("distance", "says"), [(0.0, False), (3.0, True)])
def test_a_batch_that_is_far_out_as_a_whole_is_told(
    distance: float, says: bool, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    model = dn2.fit(rng.normal(size=(200, 4)))
    batch = rng.normal(size=(100, 4)) + distance
    batch[:25] += 9
    with caplog.at_level(logging.WARNING, "dn2"):
        results = model.score(batch)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == says
    results.to_html(tmp_path / "r.html")
    assert ("either most of them are anomalous" in (tmp_path / "r.html").read_text()) is says
