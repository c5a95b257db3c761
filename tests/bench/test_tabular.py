"""The protocol on tables: reading, splitting, methods, figures."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from dn2.bench.result import FurtherRow, Measurement, Result
from dn2.bench.scoring import average_precision, f1_of_as_many
from dn2.bench.table import to_csv, to_markdown
from dn2.errors import InputError, MissingExtra
from dn2.kinds.table.bench import methods as tabular_methods
from dn2.kinds.table.bench.data import TabularSet, read_sets
from dn2.kinds.table.bench.methods import TabularMethod, find_rival_methods, own_methods, z_scores
from dn2.kinds.table.bench.protocol import find_methods, tabular
from small_bench import silent, write_set

DATA = Path(os.environ.get("DN2_DATA", Path(__file__).parents[3] / "shared" / "data")) / "tabular_adbench"


@pytest.fixture
def one(tmp_path: Path) -> TabularSet:
    write_set(tmp_path / "one.npz", n_normal=41, distance=2)
    (found,) = read_sets(tmp_path, 2)
    return found


def pyod_rivals() -> list[TabularMethod]:
    pytest.importorskip("pyod", reason="pyod is not installed; pip install 'dn2[bench]'")
    return find_rival_methods()[0]


# Figures


def test_f1_by_hand() -> None:
    truth = np.array([True, True, True, False, False, False])
    # Three are flagged: two anomalies and one that is none.
    assert f1_of_as_many(np.array([6.0, 5, 1, 4, 3, 2]), truth) == pytest.approx(2 / 3)
    # Of those that score 5, the normal one is flagged first.
    assert f1_of_as_many(np.array([6.0, 5, 5, 5, 3, 2]), truth) == pytest.approx(2 / 3)
    assert f1_of_as_many(np.zeros(6), truth) == 0
    assert f1_of_as_many(np.array([2.0, 2, 2, 1, 1, 1]), truth) == 1


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1).filter(lambda rows: any(one[1] for one in rows))
)
def test_f1_and_average_precision_are_the_naive_ones(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([one[0] for one in pairs], float), np.array([one[1] for one in pairs])
    assert f1_of_as_many(scores, truth) == pytest.approx(naive.f1_of_as_many(scores.tolist(), truth.tolist()))
    assert average_precision(scores, truth) == pytest.approx(naive.average_precision(scores.tolist(), truth.tolist()))


# Splits


@pytest.mark.parametrize("n_normal", [40, 41])
def test_half_of_the_normal_rows_is_the_reference_and_all_else_is_queried(tmp_path: Path, n_normal: int) -> None:
    write_set(tmp_path / "one.npz", n_normal=n_normal, n_anomalies=7)
    (found,) = read_sets(tmp_path / "one.npz", 2)
    split = found.split(0)
    assert len(split.reference) == found.n_reference == 20
    assert sorted([*split.reference, *split.queries]) == list(range(n_normal + 7))
    assert not found.anomalous[split.reference].any()
    assert split.truth.tolist() == [bool(found.anomalous[place]) for place in split.queries]
    assert split.truth.sum() == 7


def test_a_split_depends_on_the_seed_alone(one: TabularSet) -> None:
    splits = [one.split(seed).reference.tolist() for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]


# Methods


def test_z_scores_rest_on_the_reference_and_leave_a_constant_column_at_zero(one: TabularSet) -> None:
    split = one.split(0)
    reference, queries = one.rows[split.reference], one.rows[split.queries]
    deviations = np.array([*np.sqrt(np.square(reference - reference.mean(axis=0)).mean(axis=0))[:3], 1])
    for got, rows in zip(z_scores(reference, queries), (reference, queries), strict=True):
        np.testing.assert_allclose(got, (rows - reference.mean(axis=0)) / deviations, atol=1e-12)


def test_knn_on_z_scores_is_the_naive_one(one: TabularSet) -> None:
    split = one.split(0)
    reference, queries = one.rows[split.reference], one.rows[split.queries]
    (_, method) = own_methods(3)
    known, asked = z_scores(reference, queries)
    expected = [naive.mean_squared_distance(row, known, 3) for row in asked]
    assert method.fit(reference, queries, 0) == pytest.approx(expected, rel=1e-5)


def test_every_rival_ranks_what_is_far_away_high_and_alike_again(tmp_path: Path) -> None:
    write_set(tmp_path / "one.npz")
    (found,) = read_sets(tmp_path, 2)
    split = found.split(0)
    for rival in pyod_rivals():
        scores, again = (rival.fit(found.rows[split.reference], found.rows[split.queries], 0) for _ in range(2))
        assert (scores.shape, scores.dtype) == ((30,), np.float64)
        assert scores.tolist() == again.tolist(), rival.name
        assert naive.roc_auc(scores.tolist(), split.truth.tolist()) > 0.95, rival.name


def test_rivals_take_sets_of_four_reference_rows(tmp_path: Path) -> None:
    write_set(tmp_path / "one.npz", n_normal=8)
    (found,) = read_sets(tmp_path, 2)
    split = found.split(0)
    for rival in pyod_rivals():
        assert np.isfinite(rival.fit(found.rows[split.reference], found.rows[split.queries], 0)).all(), rival.name


def test_what_is_quadratic_gets_a_random_part_of_a_large_reference_set(
    one: TabularSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = one.split(0).reference
    small = TabularMethod("small", lambda known, asked, seed: np.arange(len(asked), dtype=np.float64), 7)
    drawn = [small.restrict(reference, seed) for seed in (0, 0, 1)]
    assert [len(set(draw)) for draw in drawn] == [7, 7, 7]
    assert set(drawn[0]) <= set(reference)
    assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()
    assert TabularMethod("all", small.fit).restrict(reference, 0) is reference
    monkeypatch.setattr("dn2.kinds.table.bench.protocol.MOST_REFERENCE", 7)
    result = tabular([one], [small], [], seeds=1, progress_of=silent)
    assert [one.n_reference for one in result.measurements] == [7]
    assert "small get a random 7 of the reference rows of one." in result.notes


def test_without_pyod_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"rivals on tables need pyod; run: pip install 'dn2\[bench\]'"):
        find_methods(2, rivals=True)


def test_without_torch_deep_svdd_is_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else name)
    methods, notes = find_methods(2, rivals=True)
    assert "PyOD DeepSVDD" not in [method.name for method in methods]
    assert notes[1:] == ["DeepSVDD is left out: torch not installed; run: pip install 'dn2[bench,torch]'."]


# The protocol


def test_every_measurement_is_that_of_its_method_on_its_split(one: TabularSet) -> None:
    methods = own_methods(2)
    result = tabular([one], methods, ["A note."], seeds=2, progress_of=silent)
    runs = [(found.method, found.seed) for found in result.measurements]
    assert runs == [(method.name, seed) for seed in (0, 1) for method in methods]
    for found, method in zip(result.measurements, methods * 2, strict=True):
        split = one.split(found.seed or 0)
        scores = method.fit(one.rows[split.reference], one.rows[split.queries], 0).tolist()
        truth = split.truth.tolist()
        assert found.roc_auc == pytest.approx(naive.roc_auc(scores, truth))
        assert found.figures["average precision"] == pytest.approx(naive.average_precision(scores, truth))
        assert found.figures["F1"] == pytest.approx(naive.f1_of_as_many(scores, truth))
    assert result.notes[0].startswith("1 set, 51 rows, 10 of them anomalies; for each seed a random half")
    assert result.notes[1] == "A note."


def test_figures_below_the_table_are_averages_over_its_rows() -> None:
    result = Result("Title", "set", further_rows=[FurtherRow("F1")])
    for place, method in enumerate("AB"):
        for row, setting in enumerate("xy"):
            result.measurements.append(
                Measurement(method, setting, "", 0, 4, 0.5, {"F1": 0.2 + 0.4 * row + 0.1 * place})
            )
    assert to_markdown(result).split("\n\n")[1].splitlines() == [
        "| set | A | B |",
        "| --- | ---: | ---: |",
        "| x | 50.00 | 50.00 |",
        "| y | 50.00 | 50.00 |",
        "| **average** | 50.00 | 50.00 |",
        "| F1, all rows | 40.00 | 50.00 |",
    ]
    assert [row["F1"] for row in csv.DictReader(io.StringIO(to_csv(result)))] == ["0.2", "0.6", "0.3", "0.7"]


def test_the_methods_do_as_well_as_was_measured_before() -> None:
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent; set DN2_DATA to the folder with the data")
    sets = [read_sets(DATA / f"{name}.npz", 2)[0] for name in ("14_glass", "38_thyroid", "44_Wilt")]
    result = tabular(sets, own_methods(2), [], seeds=3, progress_of=silent)
    own, plain = (result.mean(method) for method in result.methods)
    assert own is not None
    assert plain is not None
    assert own.value > plain.value > 0.8


# What cannot be used


def good() -> dict[str, Any]:
    return {"X": np.arange(40.0).reshape(20, 2), "y": np.arange(20) < 4}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no X": ({"X": None, "Z": np.ones(3)}, "must hold the arrays X and y, got y, Z"),
    "no y": ({"y": None}, "must hold the arrays X and y, got X"),
    "vector": ({"X": np.arange(20.0)}, r"X must be \(n, d\) numbers, n and d at least 1, got float64 of shape \(20,\)"),
    "words": ({"X": np.full((20, 2), "a")}, r"X must be \(n, d\) numbers.*got <U1 of shape \(20, 2\)"),
    "objects": (
        {"X": np.full((20, 2), None)},
        "is damaged, or no .npz file of plain numbers; write it with numpy.savez",
    ),
    "no columns": ({"X": np.empty((20, 0))}, "n and d at least 1"),
    "no rows": ({"X": np.empty((0, 2)), "y": np.empty(0)}, "n and d at least 1"),
    "short y": ({"y": np.zeros(19)}, r"y must be \(n,\) = \(20,\) of 0 .* 1 .*, got float64 of shape \(19,\)"),
    "columns in y": ({"y": np.zeros((20, 1))}, r"got float64 of shape \(20, 1\)"),
    "other classes": ({"y": np.arange(20)}, "of shape .* with 2 in it"),
    "signs": ({"y": np.where(np.arange(20) < 4, -1, 1)}, "with -1 in it"),
    "names in y": ({"y": np.full(20, "1")}, "got <U1"),
    "no anomaly": ({"y": np.zeros(20, int)}, "y must be 1 for at least one row, an anomaly; leave the file out"),
    "all anomalous": ({"y": np.ones(20, int)}, "a half of 0 normal rows has 0"),
    "few normal rows": ({"y": np.arange(20) >= 5}, "2 neighbours need at least 3 reference rows, a half of 5 .* has 2"),
    "NaN": ({"X": np.where(np.arange(40).reshape(20, 2) == 7, np.nan, 1)}, "got nan in row 3, column 1"),
    "infinity": ({"X": np.full((20, 2), -np.inf)}, "X must be finite, got -inf in row 0, column 0"),
    "too large": ({"X": np.full((20, 2), 1e30)}, "values must lie within"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, what: str) -> None:
    changes, words = BAD[what]
    path = tmp_path / "bad.npz"
    np.savez(path, **{name: array for name, array in (good() | changes).items() if array is not None})
    with pytest.raises(InputError, match=f"bad.npz.*{words}"):
        read_sets(path, 2)


def test_the_good_one_among_them_is_read(tmp_path: Path) -> None:
    for name in ("b", "a"):
        np.savez(tmp_path / f"{name}.npz", **good())
    (tmp_path / "list.csv").touch()
    (tmp_path / "c.npz").mkdir()
    found = read_sets(tmp_path, 7)
    assert [one.name for one in found] == ["a", "b"]
    assert found[0].anomalous.tolist() == [True] * 4 + [False] * 16


def test_nothing_is_unpickled_and_damage_is_no_traceback(tmp_path: Path) -> None:
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, X=np.random.default_rng(0).normal(size=(50, 3)), y=np.arange(50) < 5)
    content = whole.read_bytes()
    path = tmp_path / "bad.npz"
    np.save(tmp_path / "alone.npy", np.arange(3))
    with zipfile.ZipFile(tmp_path / "no_arrays.npz", "w") as archive:
        archive.writestr("X", "words")
        archive.writestr("y", "words")
    damaged = [b"", b"words", content[:-200], content[:200] + b"\0" * 300 + content[500:]]
    damaged += [(tmp_path / name).read_bytes() for name in ("alone.npy", "no_arrays.npz")]
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"bad\.npz"):
            read_sets(path, 2)


def test_the_rivals_know_what_they_are_for() -> None:
    assert tabular_methods.MOST_REFERENCE == 20_000
    limited = [rival.name for rival in pyod_rivals() if rival.most_reference]
    assert limited == ["PyOD KNN", "PyOD LOF", "PyOD OCSVM"]
