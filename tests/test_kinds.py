from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dn2
from dn2 import InputError
from dn2.kinds.guess import guess_kind


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder of empty files: the name tells enough."""
    monkeypatch.chdir(tmp_path)
    for name in ("rows.csv", "tables/a.csv", "tables/deep/b.TSV", "vectors/v.npy", "vectors/w.npz", "both/a.csv"):
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).touch()
    for name in (
        "both/v.npy",
        "pictures/labels.csv",
        "pictures/deep/one.PNG",
        "notes/readme.txt",
        "annotated/a.csv",
        "annotated/readme.txt",
    ):
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        ("rows.csv", "table"),
        (Path("rows.csv"), "table"),
        (["rows.csv", "tables/a.csv"], "table"),
        ("tables/*.csv", "table"),
        ("tables", "table"),
        ("vectors", "vector"),
        ("vectors/v.npy", "vector"),
        ("pictures", "image"),
        ("both", "image"),
        ("notes", "text"),
        ("notes/readme.txt", "text"),
        ("more.jsonl", "text"),
        ("annotated", "table"),
        (np.array(["one", "two"]), "text"),
        (pd.Series(["one", "two"]), "text"),
        (pd.Series(["a.png", "b.png"]), "image"),
        (pl.Series(["one", "two"]), "text"),
        ("@list.txt", "image"),
        ("missing", "image"),
        ([], "image"),
        (np.zeros((2, 2)), "vector"),
        ({"column": [1, 2]}, "table"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_inputs_name_is_guessed_by_their_endings(inputs: object, kind: str) -> None:
    assert guess_kind(inputs) == kind


@pytest.mark.usefixtures("folder")
def test_inputs_of_several_kinds_are_refused() -> None:
    with pytest.raises(InputError, match="several kinds, table and vector; give those of one kind"):
        guess_kind(["rows.csv", "vectors/v.npy"])


def test_what_is_neither_a_path_nor_of_the_models_kind_is_refused_in_words() -> None:
    import pandas

    frame = pandas.DataFrame({"x": np.random.default_rng(0).normal(size=40)})
    with pytest.raises(InputError, match="named by paths, got float in a Series"):
        dn2.fit(frame["x"])
    with pytest.raises(InputError, match="named by paths, got ndarray in a ndarray"):
        dn2.fit(frame).score(frame.to_numpy())
    with pytest.raises(InputError, match=r"vectors come as an array, .* got a DataFrame"):
        dn2.fit(frame.to_numpy()).score(frame)


def test_a_column_of_enormous_numbers_is_fitted_without_a_warning() -> None:
    values = np.random.default_rng(0).permutation(1.7e308 * np.linspace(-1, 1, 60))
    assert len(dn2.fit({"x": values}).items) == 60


@pytest.mark.parametrize(
    "inputs", [{"x": np.arange(40.0) ** 2}, np.arange(40.0)[:, None] ** 2], ids=["table", "vector"]
)
@pytest.mark.parametrize(
    "option",
    [{"backbone": "lite0"}, {"precision": "f32"}, {"preset": "fast"}, {"preset": "accurate"}, {"groups": True}],
)
def test_what_is_about_pictures_is_refused_for_rows(inputs: object, option: dict[str, object]) -> None:
    words = f"{next(iter(option))} has no meaning where items are of the kind {guess_kind(inputs)}: leave it out"
    with pytest.raises(InputError, match=words):
        dn2.fit(inputs, **option)
