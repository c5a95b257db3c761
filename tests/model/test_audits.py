"""Items that are drawn for a person, whatever their scores."""

from __future__ import annotations

import numpy as np
import pytest

import dn2
from dn2.errors import InputError
from dn2.results.files import read_rows
from made_series import pump
from small_models import write_digits


def rows(seed: int, n: int = 4_000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)


def names(seed: int, n: int = 4_000) -> list[str]:
    return [f"{seed}-{place}" for place in range(n)]


def test_one_item_in_so_many_is_drawn_whatever_its_score():
    model = dn2.fit(rows(0, 500))
    scored = model.score(rows(1), names=names(1), audit=20)
    drawn = np.array([row.audit for row in scored])
    assert 150 < drawn.sum() < 250
    scores = np.array([row.anomaly_score for row in scored])
    assert abs(np.mean(scores[drawn] > np.median(scores)) - 0.5) < 4 * 0.5 / np.sqrt(drawn.sum())


def test_scoring_again_draws_the_same_and_another_seed_or_name_another():
    model, other = (dn2.fit(rows(0, 500), seed=seed) for seed in (0, 1))
    flags = [
        [row.audit for row in one.score(rows(1), names=names(seed), audit=5)]
        for one, seed in ((model, 1), (model, 1), (other, 1), (model, 2))
    ]
    assert flags[0] == flags[1]
    for changed in flags[2:]:
        agreed = np.mean(np.array(flags[0]) == np.array(changed))
        assert abs(agreed - (0.8**2 + 0.2**2)) < 0.03  # as independent draws do


def test_parts_are_drawn_as_a_whole():
    model = dn2.fit(rows(0, 500), part=[str(place // 5) for place in range(500)])
    parts = [f"new {place // 4}" for place in range(4_000)]
    drawn = [row.audit for row in model.score(rows(1), part=parts, audit=10)]
    of_part = {part: {flag for flag, own in zip(drawn, parts, strict=True) if own == part} for part in set(parts)}
    assert all(len(flags) == 1 for flags in of_part.values())
    assert 60 < sum(True in flags for flags in of_part.values()) < 140


def test_pictures_of_the_same_name_and_another_content_are_drawn_anew(tmp_path):
    write_digits(tmp_path / "good", range(40))
    for day in (1, 2):
        write_digits(tmp_path / f"{day}", range(100 * day, 100 * day + 60))
        for place, path in enumerate(sorted((tmp_path / f"{day}").iterdir())):
            path.rename(path.with_name(f"{place}.png"))
    model = dn2.fit(tmp_path / "good", backbone="lite0@32")
    first, second = ([row.audit for row in model.score(tmp_path / day, audit=2)] for day in ("1", "2"))
    assert first != second
    (tmp_path / "1" / "7.png").write_bytes(b"no picture")
    again = model.score(tmp_path / "1", audit=2)
    assert {row.item: row.audit for row in again if row.item != "7.png"} == {
        row.item: flag for row, flag in zip(again, first, strict=True) if row.item != "7.png"
    }
    assert again.errors[0].audit is None


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_files_of_results_tell_what_was_drawn(tmp_path, ending):
    scored = dn2.fit(rows(0, 500)).score(rows(1, 40), audit=2)
    scored.save(tmp_path / f"results{ending}")
    assert [row.audit for row in read_rows(tmp_path / f"results{ending}")] == [row.audit for row in scored]
    assert scored.columns[-1] == "audit"
    assert "audit" not in dn2.fit(rows(0, 500)).score(rows(1, 40)).columns


@pytest.mark.parametrize("audit", [1, 0, -3, 2.5, True, "10"])
def test_only_one_in_so_many_can_be_drawn(audit):
    with pytest.raises(InputError, match="audit must be a whole number of at least 2"):
        dn2.fit(rows(0, 500)).score(rows(1, 5), audit=audit)


def test_intervals_are_not_drawn():
    model = dn2.fit(pump(900, seed=0), kind="series")
    with pytest.raises(InputError, match=r"audit draws items, and the rows of .* are intervals"):
        model.score(pump(700, seed=1), audit=5)
