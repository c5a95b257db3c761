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
        ("notes", "text"),
        ("notes/readme.txt", "text"),
        ("more.jsonl", "text"),
        ("more.log.gz", "text"),
        ("more.csv.gz", "table"),
        ("more.json", "table"),
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


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).touch()


@pytest.mark.usefixtures("folder")
def test_the_guess_sees_what_the_finding_sees(tmp_path: Path) -> None:
    make("project/labels.csv", "store/1.png", "store/2.png", "csvs/a.csv", "csvs/.checkpoints/p.png", "csvs/.q.png")
    (tmp_path / "project/pictures").symlink_to("../store")
    (tmp_path / "project/pictures/back").symlink_to("../project")
    assert guess_kind("project") == guess_kind("project/**") == guess_kind(["project", "store"]) == "image"
    assert guess_kind("csvs") == guess_kind("csvs/**") == "table"
    for lines, kind in (("csvs\n", "table"), ("csvs/a.csv\nrows.csv\n", "table"), ("project\n", "image")):
        Path("some.txt").write_text(lines)
        assert guess_kind("@some.txt") == kind
    make("empty/.hidden")
    assert guess_kind(["empty", "rows.csv"]) == "table"


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["a.jpg", "b.jpg", "c.jpg", "labels.csv", "damaged.parquet", "v.npy"], "image"),
        (["a.jpg", "b.jpg", "a.txt", "b.txt", "classes.txt"], "image"),
        (["a.jpg", "a.npy", "a.csv", "a.txt", "x.csv"], "image"),
        (["a.csv", "b.csv", "1.txt", "2.txt"], "table"),
        (["v.npy", "readme.txt"], "vector"),
    ],
)
def test_files_beside_those_of_the_kind_that_is_meant_are_none_of_the_items_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, files: list[str], kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(*[f"mixed/{name}" for name in files])
    with caplog.at_level("INFO", "dn2"):
        assert guess_kind("mixed") == kind
    assert f"mixed: items are taken to be of the kind {kind}; kind says otherwise" in caplog.text


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["plot.png", "a.csv", "b.csv"], "1 of the kind image, 2 of the kind table"),
        (["logo.png", "1.txt", "2.txt"], "1 of the kind image, 2 of the kind text"),
        (["a.csv", "v.npy"], "1 of the kind table, 1 of the kind vector"),
        (["index.csv", "1.txt", "2.txt"], "1 of the kind table, 2 of the kind text"),
    ],
)
def test_a_folder_that_does_not_tell_its_kind_is_refused_with_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], found: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(*[f"mixed/{name}" for name in files])
    with pytest.raises(InputError, match=f"mixed holds files of several kinds, {found}; say which are meant with kind"):
        dn2.fit("mixed")


@pytest.mark.usefixtures("folder")
def test_a_folder_without_any_item_names_the_endings_of_all_kinds() -> None:
    make("others/book.xlsx", "others/settings.json")
    with pytest.raises(InputError, match=r"it holds .*1 \.xlsx.*; files ending in \.avif \.bmp .* \.npy .* \.txt"):
        dn2.fit("others")


@pytest.mark.usefixtures("folder")
def test_inputs_of_several_kinds_are_refused() -> None:
    with pytest.raises(InputError, match="several kinds, table and vector; give those of one kind"):
        guess_kind(["rows.csv", "vectors/v.npy"])


def test_what_is_neither_a_path_nor_of_the_models_kind_is_refused_in_words() -> None:
    import pandas

    frame = pandas.DataFrame({"x": np.random.default_rng(0).normal(size=40)})
    with pytest.raises(InputError, match="columns need names, and ndarray of shape"):
        dn2.fit(frame).score(frame.to_numpy())
    with pytest.raises(InputError, match=r"vectors come as an array, .* got DataFrame of shape"):
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
    words = f"{next(iter(option))} belongs to .*image.*, and the items here are of the kind {guess_kind(inputs)}"
    with pytest.raises(InputError, match=words):
        dn2.fit(inputs, **option)
