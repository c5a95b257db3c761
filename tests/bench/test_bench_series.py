"""The protocol on series: reading, methods, figures."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import naive
from dn2.bench.table import to_csv, to_markdown
from dn2.errors import InputError, MissingExtra
from dn2.kinds.series.bench.data import read_labelled
from dn2.kinds.series.bench.methods import own_method, rival_methods
from dn2.kinds.series.bench.protocol import series
from dn2.kinds.series.bench.vus import vus_pr
from made_series import MISSING_BEAT, SHIFT, SPIKE, write_series
from small_bench import silent
from small_series import beat


def labelled(seed: int, n: int, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores, (n,), and which points are anomalous, three stretches of them, one of which may touch another."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(n, bool)
    for first in rng.choice(n - 30, 3, replace=False):
        truth[first : first + rng.integers(1, 30)] = True
    return np.round(rng.normal(size=n) + truth, digits), truth


def write_arrays(path: Path, n: int = 240) -> None:
    """Write two groups of series with an anomaly, and one without."""
    arrays = {}
    for number, name in enumerate(("a/one", "a/two", "b/one", "b/normal")):
        values, truth = beat(n, seed=number), np.zeros(n, int)
        if name != "b/normal":
            values[150:165] += 2
            truth[150:165] = 1
        arrays |= {f"{name}/X": values, f"{name}/anomaly": truth, f"{name}/t": np.arange(n)}
    np.savez(path, **arrays)


# The volume under the surface


@pytest.mark.parametrize("case", [(0, 120, 9), (1, 120, 0), (2, 90, 1)])
def test_the_volume_is_what_its_definition_says(case: tuple[int, int, int]) -> None:
    scores, truth = labelled(*case)
    assert vus_pr(scores, truth, 12) == pytest.approx(naive.vus_pr(scores.tolist(), truth.tolist(), 12), abs=1e-12)


def test_an_anomaly_at_either_end_has_a_buffer_on_one_side() -> None:
    scores, truth = labelled(4, 100, 9)
    truth[:5] = truth[-3:] = True
    assert vus_pr(scores, truth, 12) == pytest.approx(naive.vus_pr(scores.tolist(), truth.tolist(), 12), abs=1e-12)


@pytest.mark.parametrize(
    ("case", "published"),
    [
        ((0, 300, 9), 0.19912460509318303),
        ((1, 300, 0), 0.4344116397791414),
        ((2, 400, 9), 0.5059704158630224),
        ((3, 260, 1), 0.5823280045968089),
    ],
)
def test_the_volume_is_that_of_the_published_implementation(case: tuple[int, int, int], published: float) -> None:
    """Figures of TSB-AD 1.5: basic_metricor().RangeAUC_volume_opt(truth, scores, 40)."""
    assert vus_pr(*labelled(*case), 40) == pytest.approx(published, abs=1e-12)


def test_scores_that_are_the_truth_have_nearly_all_of_the_volume() -> None:
    _, truth = labelled(0, 300, 9)
    assert vus_pr(truth.astype(float), truth, 0) == 1
    assert vus_pr(truth.astype(float), truth, 20) > 0.8
    assert vus_pr(1 - truth.astype(float), truth, 20) < 0.2


# Data


def test_arrays_are_read_by_their_names(tmp_path: Path) -> None:
    write_arrays(tmp_path / "some.npz")
    found = read_labelled(tmp_path / "some.npz")
    assert [(one.group, one.name) for one in found] == [("a", "one"), ("a", "two"), ("b", "one")]
    assert all(one.values.shape == (240, 1) and one.anomalous.sum() == 15 for one in found)


def test_tables_are_series_with_a_column_of_labels(tmp_path: Path) -> None:
    write_series(tmp_path)
    (found,) = read_labelled(tmp_path / "known")
    assert (found.group, found.name, found.values.shape) == ("known", "pump", (1_600, 2))
    for planted in (SPIKE, MISSING_BEAT, SHIFT):
        assert found.anomalous[planted].all()


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"a/X": np.zeros(30), "a/anomaly": np.zeros(30)}, "holds no series with known anomalies"),
        ({"a/X": np.zeros(30)}, "holds no series with known anomalies"),
        ({"a/X": np.zeros(30), "a/anomaly": np.eye(30)}, r"a: values and labels must be .* got \(30,\) and \(30, 30\)"),
        ({"a/X": np.array(["a"] * 30), "a/anomaly": np.eye(30)[0]}, "must be numbers of one series"),
        ({"a/X": np.full(30, np.nan), "a/anomaly": np.eye(30)[0]}, "a: values and labels must be finite numbers"),
        ({"a/X": np.array([None] * 30), "a/anomaly": np.eye(30)[0]}, "is damaged, or no .npz file of plain numbers"),
    ],
)
def test_arrays_that_are_no_series_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], why: str) -> None:
    np.savez(tmp_path / "some.npz", **arrays)
    with pytest.raises(InputError, match=why):
        read_labelled(tmp_path)


def test_files_that_are_damaged_are_refused(tmp_path: Path) -> None:
    (tmp_path / "some.npz").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(InputError, match=r"is damaged, or no \.npz file"):
        read_labelled(tmp_path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "some.npz")
    with pytest.raises(InputError, match=r"is damaged, or no \.npz file"):
        read_labelled(tmp_path)


def test_stamps_of_a_table_are_no_values_and_a_missing_label_is_refused(tmp_path: Path) -> None:
    lines = [f"{60 * n},{n % 7},{int(n > 20)}" for n in range(40)]
    (tmp_path / "a.csv").write_text("Timestamp,x,label\n" + "\n".join(lines) + "\n")
    (found,) = read_labelled(tmp_path)
    assert found.values[:, 0].tolist() == [n % 7 for n in range(40)]
    lines[6] = "360,6,"
    (tmp_path / "a.csv").write_text("timestamp,x,label\n" + "\n".join(lines) + "\n")
    with pytest.raises(InputError, match="values and labels must be finite numbers; fill in or leave out"):
        read_labelled(tmp_path)


def test_tables_without_labels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y2\n1,2\n2,3\n")
    with pytest.raises(InputError, match=r"a\.csv must have a column of numbers anomaly or is_anomaly or label"):
        read_labelled(tmp_path)


# Methods and figures


def test_figures_are_means_over_the_series_of_a_group(tmp_path: Path) -> None:
    write_arrays(tmp_path / "some.npz")
    result = series(read_labelled(tmp_path), 1, False, 0, progress_of=silent)
    assert result.settings == ["a", "b"]
    lines = list(csv.DictReader(to_csv(result).splitlines()))
    assert [(one["group"], one["normal"]) for one in lines] == [("a", "one"), ("a", "two"), ("b", "one")]
    assert all(float(one["VUS-PR"]) > 0.3 for one in lines)
    table = to_markdown(result)
    mean = sum(float(one["VUS-PR"]) for one in lines[:2]) / 2
    assert f"| VUS-PR, a | {100 * mean:.2f} |" in table
    every = sum(float(one["VUS-PR"]) for one in lines) / 3
    assert f"| VUS-PR, all rows | {100 * every:.2f} |" in table
    assert "3 series, 720 points, 45 of them anomalous; each series compared with itself." in table


def test_the_first_points_are_the_reference_and_do_not_count(tmp_path: Path) -> None:
    write_arrays(tmp_path / "some.npz")
    sets = read_labelled(tmp_path)
    result = series(sets, 1, False, 120, progress_of=silent)
    assert {one.n_reference for one in result.measurements} == {120}
    scores = own_method(1).score(sets[0].values, 30, 120)[120:]
    assert result.measurements[0].figures["VUS-PR"] == vus_pr(scores, sets[0].anomalous[120:])
    assert "compared with its first 120 points, which do not count" in to_markdown(result)
    with pytest.raises(InputError, match="a/one: after its first 200 points, whose windows are the reference"):
        series(sets, 1, False, 200, progress_of=silent)
    with pytest.raises(InputError, match="a/one: after its first 5 points"):
        series(sets, 1, False, 5, progress_of=silent)


@pytest.fixture
def rivals() -> None:
    """Skip where what the rivals run on is not installed; `make test-torch` installs it."""
    for name in ("pyod", "stumpy"):
        if importlib.util.find_spec(name) is None:  # stumpy itself takes seconds to import
            pytest.skip(f"{name} is not installed; pip install 'dn2[bench]'")


@pytest.mark.parametrize("known", [0, 120])
@pytest.mark.parametrize("name", ["PyOD KNN", "PyOD IForest", "smoothed |x - median|"])
def test_a_rival_scores_a_large_anomaly_highest(name: str, known: int, rivals: None) -> None:
    values = beat(240)[:, None]
    values[200:210] += 8
    (method,) = (one for one in rival_methods() if one.name == name)
    scores = method.score(values, 30, known)
    assert scores.shape == (240,)
    assert 190 <= np.argmax(scores) < 220


def test_a_bench_with_rivals_runs_as_a_command(tmp_path: Path, rivals: None) -> None:
    """In a process of its own, where numba does not compile stumpy for half a minute."""
    values, truth = beat(100), np.zeros(100, int)
    values[70:76] += 2
    truth[70:76] = 1
    np.savez(tmp_path / "some.npz", **{"a/one/X": values, "a/one/anomaly": truth})
    command = "from dn2.cli import main; import sys; sys.argv = ['dn2', *sys.argv[1:]]; main()"
    asked = ("bench", "series", "some.npz", "--reference", "48", "--rivals", "-o", "out")
    done = subprocess.run(
        [sys.executable, "-c", command, *asked],
        cwd=tmp_path,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    header = done.stdout.splitlines()[2]
    assert header == r"| group | dn2, k = 1 | stumpy | PyOD KNN | PyOD IForest | smoothed \|x - median\| | position |"
    measured = list(csv.DictReader((tmp_path / "out" / "series.csv").read_text().splitlines()))
    by_method = {one["method"]: float(one["roc_auc"]) for one in measured}
    assert set(by_method) == set(header.removeprefix("| group | ").removesuffix(" |").replace("\\|", "|").split(" | "))
    assert by_method["dn2, k = 1"] > 0.9


def test_rivals_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in ("stumpy", "pyod") else name)
    with pytest.raises(MissingExtra, match=r"need stumpy and pyod; run: pip install 'dn2\[bench\]'"):
        rival_methods()
