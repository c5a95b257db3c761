"""Models of vectors: embeddings made elsewhere, from arrays and files to verdicts and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save as save_tensors
from safetensors.numpy import save_file

import dn2
import naive
from dn2 import InputError, Model, ModelError, ReferenceTooSmall
from dn2.results.files import read_rows
from small_models import contents, replace_part, reseal


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    """20 vectors like the reference vectors, and 20 that are not; not to be changed."""
    rng = np.random.default_rng(1)
    return np.concatenate([rng.gamma(1.0, size=(20, 16)), rng.gamma(1.0, size=(20, 16)) + 3]).astype(np.float32)


@pytest.fixture
def model(embeddings: np.ndarray) -> Model:
    return dn2.fit(embeddings)


@pytest.fixture
def copy(model: Model, tmp_path: Path) -> Path:
    """A saved model, to be changed."""
    model.save(tmp_path / "v.dn2")
    return tmp_path / "v.dn2"


def write(vectors: np.ndarray, path: Path) -> Path:
    """Write vectors to a file of the kind that its name ends in; those with names call rows item 0, item 1, ..."""
    names = [f"item {place}" for place in range(len(vectors))]
    if path.suffix == ".npy":
        np.save(path, vectors)
    elif path.suffix == ".npz":
        np.savez(path, embeddings=vectors, items=names)
    elif path.suffix == ".safetensors":
        save_file({"vectors": vectors}, path)
    else:
        pq.write_table(pa.table({"item": names, "embedding": list(vectors)}), path)
    return path


def verdicts(results: Any) -> list[tuple[Any, ...]]:
    return [
        (row.anomaly_score, row.p_value, row.is_anomaly, [one.distance for one in row.neighbors]) for row in results
    ]


# Scores


def test_vectors_are_compared_by_their_squared_distances(
    embeddings: np.ndarray, queries: np.ndarray, model: Model
) -> None:
    calibration = naive.leave_one_out_scores(embeddings, 2)
    assert model.describe()["calibration"]["method"] == "leave-one-out"
    for row, query in zip(model.score(queries), queries, strict=True):
        near = naive.nearest(query, embeddings, 2)
        assert row.anomaly_score == pytest.approx(sum(distance for distance, _ in near) / 2, rel=1e-5)
        assert [one.item for one in row.neighbors] == [f"row {place + 1}" for _, place in near]
        assert row.p_value == pytest.approx(float(naive.p_value(row.anomaly_score, calibration)), abs=1e-9)
        assert row.columns is None
    assert [row.is_anomaly for row in model.score(queries)][20:] == [True] * 20


def test_at_unit_length_a_squared_distance_is_twice_one_minus_the_cosine(
    embeddings: np.ndarray, queries: np.ndarray
) -> None:
    model = dn2.fit(embeddings, normalize="unit", neighbors=1)
    exact = embeddings.astype(np.float64)
    for row, query in zip(model.score(queries), queries.astype(np.float64), strict=True):
        cosines = exact @ query / np.linalg.norm(exact, axis=1) / np.linalg.norm(query)
        assert row.anomaly_score == pytest.approx(2 * (1 - cosines.max()), rel=1e-4)
        assert row.neighbors[0].item == f"row {cosines.argmax() + 1}"
    assert verdicts(model.score(4 * queries)) == verdicts(model.score(queries))


@pytest.mark.parametrize("ending", ["npy", "npz", "safetensors", "parquet"])
def test_arrays_and_files_of_the_same_vectors_score_alike_bit_for_bit(
    embeddings: np.ndarray,
    queries: np.ndarray,
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    other = dn2.fit(write(embeddings, Path(f"known.{ending}")))
    result = other.score(write(queries, Path(f"new.{ending}")))
    assert verdicts(result) == verdicts(model.score(queries))
    named = ending in ("npz", "parquet")
    assert [row.item for row in result] == [f"item {row}" if named else f"new.{ending}:{row + 1}" for row in range(40)]
    assert [item.name for item in other.items][:2] == (
        ["item 0", "item 1"] if named else [f"known.{ending}:1", f"known.{ending}:2"]
    )
    assert {item.path for item in other.items} == {str(tmp_path / f"known.{ending}")}
    assert other.describe() == model.describe() == {**model.describe(), "kind": "vector", "dimension": 16}


def test_float64_and_integers_are_vectors_too(embeddings: np.ndarray, queries: np.ndarray, model: Model) -> None:
    assert verdicts(dn2.fit(embeddings.astype(np.float64)).score(queries)) == verdicts(model.score(queries))
    whole = np.rint(100 * embeddings).astype(np.int64)
    assert verdicts(dn2.fit(whole).score(whole)) == verdicts(dn2.fit(whole.astype(np.float32)).score(whole))


def test_vectors_are_scored_alike_in_any_company(
    queries: np.ndarray, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = verdicts(model.score(queries))
    assert [one for place in range(4) for one in verdicts(model.score(queries[place : place + 1]))] == whole[:4]
    monkeypatch.setattr("dn2.kinds.batches.ROWS_AT_ONCE", 7)
    done: list[tuple[int, int]] = []
    assert verdicts(model.score(queries, progress=lambda *counts: done.append(counts))) == whole
    assert done == [(7, 40), (14, 40), (21, 40), (28, 40), (35, 40), (40, 40)]


@pytest.mark.parametrize("options", [{"contaminated": True}, {"index": "kmeans:8"}, {"whiten": True}])
def test_every_way_to_fit_tells_other_vectors_and_comes_back_from_disk(
    embeddings: np.ndarray, queries: np.ndarray, tmp_path: Path, options: dict[str, Any]
) -> None:
    model = dn2.fit(embeddings, **options)
    evaluation, _ = model.evaluate(queries[:20], queries[20:])
    assert evaluation.roc_auc > 0.85
    model.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2")
    assert again.score(queries).rows == model.score(queries).rows
    assert again.describe() == model.describe()


# Change


def test_vectors_added_and_removed_again_change_no_bit(
    embeddings: np.ndarray, queries: np.ndarray, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = model.score(queries).rows
    model.add(write(queries[:5], Path("more.npy")))
    assert [item.name for item in model.items[120:]] == [f"more.npy:{row}" for row in range(1, 6)]
    assert model.score(queries).rows[0].neighbors[0].distance == 0
    model.remove([f"more.npy:{row}" for row in range(1, 6)])
    assert model.score(queries).rows == expected


def test_a_model_without_a_vector_is_that_of_a_fit_without_it(
    embeddings: np.ndarray, queries: np.ndarray, model: Model
) -> None:
    model.remove(["row 8", "row 120"])
    fresh = dn2.fit(np.delete(embeddings, [7, 119], axis=0))
    assert verdicts(model.score(queries)) == verdicts(fresh.score(queries))
    assert model.describe() == fresh.describe()


def test_what_cannot_be_changed_is_refused(embeddings: np.ndarray, queries: np.ndarray, model: Model) -> None:
    expected = model.score(queries).rows
    with pytest.raises(InputError, match="has an item 'row 1' already"):
        model.add(queries)
    with pytest.raises(ReferenceTooSmall, match="need at least 3 reference items"):
        model.remove([f"row {row}" for row in range(1, 119)])
    assert model.score(queries).rows == expected


# What is wrong with vectors


def test_rows_that_are_not_finite_are_errors(embeddings: np.ndarray, queries: np.ndarray, model: Model) -> None:
    bad = embeddings.astype(np.float64)
    bad[3, 2], bad[5, 0], bad[7, 1] = np.nan, np.inf, 1e300
    fitted = dn2.fit(bad)
    assert [(row.item, row.error) for row in fitted.unreadable] == [
        ("row 4", "it holds NaN or infinity"),
        ("row 6", "it holds NaN or infinity"),
        ("row 8", "a number is beyond float32"),
    ]
    assert len(fitted.items) == 117
    wrong = queries.copy()
    wrong[2, 3] = np.nan
    result, good = model.score(wrong), model.score(queries)
    assert [row.item for row in result.errors] == ["row 3"]
    assert result.rows[2] == dn2.Row("row 3", error="it holds NaN or infinity")
    assert [*result.rows[:2], *result.rows[3:]] == [*good.rows[:2], *good.rows[3:]]


def test_vectors_of_which_none_can_be_used_are_errors_when_scored_and_refused_when_fitted(model: Model) -> None:
    nothing = np.full((3, 16), np.nan)
    assert [row.error for row in model.score(nothing)] == ["it holds NaN or infinity"] * 3
    with pytest.raises(InputError, match="none of the 3 rows can be read; 'row 1': it holds NaN or infinity"):
        dn2.fit(nothing)


def test_vectors_of_another_length_are_refused(queries: np.ndarray, model: Model, tmp_path: Path) -> None:
    for inputs in (queries[:, :15], write(queries[:, :15].copy(), tmp_path / "new.npy")):
        with pytest.raises(InputError, match="the model has vectors of 16 numbers, got 15"):
            model.score(inputs)
        with pytest.raises(InputError, match="the model has vectors of 16 numbers, got 15"):
            model.add(inputs)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5), "must be a table of numbers"),
        (np.zeros((0, 5)), "must be a table of numbers"),
        (np.array([["a"]]), "must hold real numbers"),
        (np.zeros((2, 5)), "2 neighbours need at least 3 reference items"),
        (np.full((9, 4), 1e30), "scale them down"),
    ],
)
def test_arrays_that_cannot_be_fitted_are_refused_in_words(array: np.ndarray, words: str) -> None:
    with pytest.raises((InputError, ReferenceTooSmall), match=words):
        dn2.fit(array)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"id_column": "part"}, "id_column belongs to the kinds text, table and series"),
        ({"drop_columns": ["note"]}, "drop_columns belongs to the kind table"),
        ({"normalize": "l1"}, "normalize must be one of none, unit, root-unit"),
        ({"false_alarm_rate": 0.001}, "needs at least 999 reference items, got 120"),
    ],
)
def test_options_that_do_not_go_with_vectors_are_refused(
    embeddings: np.ndarray, options: dict[str, Any], words: str
) -> None:
    with pytest.raises((InputError, ReferenceTooSmall), match=words):
        dn2.fit(embeddings, **options)


@pytest.mark.parametrize("options", [{"id_column": "part"}, {"drop_columns": ["note"]}])
def test_options_of_tables_are_refused_for_pictures(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"belongs to .*, and the items here are of the kind image"):
        dn2.fit(tmp_path, **options)


# There and back


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_results_of_vectors_come_back_from_their_file(
    queries: np.ndarray, model: Model, tmp_path: Path, ending: str
) -> None:
    wrong = queries.copy()
    wrong[2, 3] = np.nan
    result = model.score(wrong)
    assert result.columns == ("item", "anomaly_score", "p_value", "is_anomaly", "neighbors", "error")
    result.save(tmp_path / f"r.{ending}")
    assert read_rows(tmp_path / f"r.{ending}", None) == result.rows


def test_a_model_of_vectors_is_the_same_once_saved_and_loaded(
    embeddings: np.ndarray, queries: np.ndarray, model: Model, copy: Path
) -> None:
    again = dn2.load(copy)
    assert again.score(queries).rows == model.score(queries).rows
    assert (again.describe(), again.items, again.embedder) == (model.describe(), model.items, None)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    again.save(copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    manifest, parts = contents(copy)
    assert (manifest["kind"], manifest["dimension"]) == ("vector", 16)
    assert sorted(parts) == ["items", "reference", "reference-scores"]
    np.testing.assert_array_equal(parts["reference"][0]["embeddings"], embeddings)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.update(dimension=15),
        lambda manifest: manifest.update(dimension="16"),
        lambda manifest: manifest.update(dimension=None),
        lambda manifest: manifest.pop("dimension"),
        lambda manifest: manifest.update(kind="table"),
        lambda manifest: manifest.update(kind="image"),
        lambda manifest: manifest.update(kind="Vector"),
        lambda manifest: manifest.pop("kind"),
    ],
)
def test_a_manifest_that_was_edited_is_refused(copy: Path, change: Any) -> None:
    reseal(copy, change)
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(copy)


def test_vectors_that_were_exchanged_are_refused(copy: Path, embeddings: np.ndarray, tmp_path: Path) -> None:
    for wrong in (embeddings[:, :15], embeddings[:100], embeddings.astype(np.float64)):
        other = Path(shutil.copytree(copy, tmp_path / "other.dn2"))
        replace_part(
            other,
            "reference",
            save_tensors({"embeddings": np.ascontiguousarray(wrong), "draws": np.zeros(len(wrong), np.uint64)}),
        )
        with pytest.raises(ModelError, match="does not hold together"):
            dn2.load(other)
        shutil.rmtree(other)
