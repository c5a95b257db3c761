"""What a command writes never takes the place of what it reads, nor of a model that it was not told to replace."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import dn2
from dn2.errors import InputError
from dn2.networks.export import export_onnx
from small_models import write_digits

N_NORMAL = 24


@pytest.fixture
def place(world: Path, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with models, pictures, a table and messages."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, "zeros.dn2")
    write_digits(tmp_path / "pictures", range(3))
    rows = np.random.default_rng(0).normal(size=(N_NORMAL, 2))
    Path("data").mkdir()
    np.savetxt("data/rows.csv", rows, delimiter=",", header="a,b", comments="")
    np.savetxt("text.csv", rows, delimiter=",", header="text,label", comments="")
    dn2.fit("data/rows.csv").save("rows.dn2")
    Path("list.txt").write_text("data/rows.csv\n")
    Path("messages.parquet").write_bytes(b"a table")
    Path("link.csv").symlink_to("data/rows.csv")
    return tmp_path


def state(folder: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith("own-cache")}


@pytest.mark.parametrize(
    ("command", "lost"),
    [
        ("score rows.dn2 data/rows.csv -o data/rows.csv", "data/rows.csv"),
        ("score rows.dn2 data -o data/rows.csv", "data/rows.csv"),
        ("score rows.dn2 data/*.csv -o ./data/../data/rows.csv", "data/../data/rows.csv"),
        ("score rows.dn2 @list.txt -o data/rows.csv", "data/rows.csv"),
        ("score rows.dn2 data -o link.csv", "link.csv"),
        ("score rows.dn2 link.csv -o data/rows.csv", "data/rows.csv"),
        ("score --self data --points data/rows.csv", "data/rows.csv"),
        ("evaluate zeros.dn2 --normal pictures --anomalous data --plot pictures/0001.png", "pictures/0001.png"),
        (
            "evaluate zeros.dn2 --normal pictures/0000.png --anomalous pictures --plot pictures/0002.png",
            "pictures/0002.png",
        ),
        ("embed messages.parquet --kind text -o messages.parquet", "messages.parquet"),
        ("score rows.dn2 data/rows.csv --exclude rows.csv -o data/rows.csv", "data/rows.csv"),
        ("bench text text.csv -o .", "text.csv"),
        ("bench text . -o .", "text.csv"),
    ],
)
def test_what_is_read_is_not_written_over(dn2_command, place: Path, command: str, lost: str) -> None:
    before = state(place)
    done = dn2_command(*command.split())
    assert (done.status, done.err.splitlines()) == (
        2,
        [f"dn2: {lost} is among the inputs and would be lost; give another name for what is written"],
    )
    assert state(place) == before


@pytest.mark.parametrize(
    "command",
    [
        "score rows.dn2 data --exclude out.csv -o data/out.csv",
        "score rows.dn2 data/* --exclude out.* -o data/out.csv",
        "score --self data --exclude out --points data/out/points.csv",
        "evaluate zeros.dn2 --normal pictures --anomalous pictures2 --exclude plot.png --plot pictures/plot.png",
    ],
)
def test_what_is_excluded_may_be_written_again(dn2_command, place: Path, command: str) -> None:
    write_digits(place / "pictures2", range(3, 5))
    Path("data/out").mkdir()
    for _ in range(2):
        done = dn2_command(*command.split())
        assert (done.status, "would be lost" in done.err) == (0, False), done.err


@pytest.mark.parametrize(
    "command", ["score rows.dn2 data/rows.csv -o a.csv --points ./a.csv", "score --self data -o a.csv --points a.csv"]
)
def test_two_files_at_one_place_are_refused(dn2_command, place: Path, command: str) -> None:
    done = dn2_command(*command.split())
    assert done.status == 2
    assert "give one of them another name" in done.err or "only series have points" in done.err
    assert not Path("a.csv").exists()


def test_results_beside_the_pictures_are_written_again(dn2_command, place: Path) -> None:
    for _ in range(2):
        done = dn2_command("score", "zeros.dn2", "pictures", "-o", "pictures/r.csv", "--report", "pictures/r.html")
        assert done.status == 0, done.err


@pytest.mark.parametrize(
    "command",
    [
        "score zeros.dn2 pictures -o zeros.dn2/items-0123456789abcdef.jsonl",
        "score rows.dn2 data --report zeros.dn2/r.html",
        "inspect zeros.dn2 --plot zeros.dn2/r.png",
        "embed pictures -o zeros.dn2/v.npz",
    ],
)
def test_nothing_is_written_into_the_folder_of_a_model(dn2_command, place: Path, command: str) -> None:
    before = state(place)
    done = dn2_command(*command.split())
    assert done.status == 2
    assert "lies in the folder of a model, which holds the model alone; write it elsewhere" in done.err
    assert state(place) == before


@pytest.mark.parametrize(
    ("name", "why"), [("x" * 260 + ".csv", "File name too long"), ("folder.csv", "it is a folder")]
)
def test_what_cannot_be_written_is_refused_before_the_work(
    dn2_command, place: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    Path("folder.csv").mkdir()
    monkeypatch.setattr("dn2.model.loading.load", None)
    done = dn2_command("score", "rows.dn2", "data", "-o", name)
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert why in done.err


def test_a_file_of_the_longest_name_is_written_and_none_beside_it_is_touched(dn2_command, place: Path) -> None:
    longest = "x" * 251 + ".csv"
    Path("r.csv.tmp").write_text("mine")
    for name in (longest, "r.csv"):
        assert dn2_command("score", "rows.dn2", "data", "-o", name).status == 0
    assert Path("r.csv.tmp").read_text() == "mine"
    assert {path.name for path in place.iterdir() if path.name.endswith(".tmp")} == {"r.csv.tmp"}


# Models


def test_fit_replaces_a_model_only_with_force_and_says_so_before_the_work(
    dn2_command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(place)
    with monkeypatch.context() as patch:
        patch.setattr("dn2.model.fitting.fit", None)
        for folder in ("zeros.dn2", "./zeros.dn2/"):
            done = dn2_command("fit", "data/rows.csv", "-o", folder)
            assert (done.status, len(done.err.splitlines())) == (2, 1)
            assert "zeros.dn2 is a model already (40 reference items of the kind image, written 20" in done.err
            assert "--force" in done.err
    assert state(place) == before
    assert dn2_command("fit", "data/rows.csv", "-o", "zeros.dn2", "--force").status == 0
    assert dn2.load("zeros.dn2").kind.name == "table"
    assert dn2_command("fit", "data/rows.csv", "-o", "new.dn2", "--force").status == 0


def test_the_demo_writes_into_a_folder_of_its_own(dn2_command, place: Path) -> None:
    before = state(place)
    done = dn2_command("demo", "-o", place)
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "and the demo would write among it; give another folder with -o" in done.err
    assert state(place) == before


def test_an_export_replaces_no_json_that_describes_no_network(place: Path) -> None:
    Path("model.json").write_text("{}")
    with pytest.raises(InputError, match=r"model.json would be replaced, and describes no model.onnx"):
        export_onnx("timm/resnet18", "model.onnx")
    assert Path("model.json").read_text() == "{}"
