"""`dn2 bench` from end to end, on small pictures and a network that embeds them in no time."""

from __future__ import annotations

import csv
import html
import shutil
from pathlib import Path

import pytest

from dn2.kinds.image.bench import PATCHES, PROTOCOLS
from dn2.networks.openvino import Network
from small_bench import digits, write_set

__all__ = ["digits"]


@pytest.fixture
def arguments(digits: Path, tmp_path: Path) -> list[object]:
    return [digits, "--backbone", digits / "tiny.onnx", "--seeds", 2, "-o", tmp_path / "out"]


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("protocol", [protocol.name for protocol in PROTOCOLS if protocol is not PATCHES])
def test_every_protocol_gives_a_table_and_a_figure(
    dn2_command, arguments: list[object], tmp_path: Path, protocol: str
) -> None:
    done = dn2_command("bench", protocol, *arguments)
    assert done.status == 0, done.err
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == [f"{protocol}.csv", f"{protocol}.md", f"{protocol}.png"]
    assert done.out == (tmp_path / "out" / f"{protocol}.md").read_text() + "\n"
    assert "3 classes, 240 pictures in train/, 30 in test/, a fixed split." in done.out
    assert all(0 <= float(row["roc_auc"]) <= 1 for row in rows(tmp_path / "out" / f"{protocol}.csv"))
    assert done.err.splitlines()[-1].startswith("written: ")


def test_a_page_holds_the_table_and_the_figure(dn2_command, arguments: list[object], tmp_path: Path) -> None:
    done = dn2_command("bench", "one-class", *arguments, "--report", tmp_path / "page.html")
    assert done.status == 0, done.err
    text = (tmp_path / "page.html").read_text("utf-8")
    for line in (tmp_path / "out" / "one-class.md").read_text("utf-8").splitlines():
        for cell in line.strip("|- ").split(" | "):
            assert html.escape(cell.strip("* #:-")) in text
    assert text.count("<svg") == 1
    assert "<script>\n</script>" in text


def test_the_second_run_reads_the_embeddings_from_the_cache(
    dn2_command, arguments: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = dn2_command("bench", "one-class", *arguments)
    assert "270 embeddings of 192 features" in first.out
    assert ", 0 of them from the cache" in first.out

    def refuse(*_: object) -> None:
        raise AssertionError("nothing is to be computed")

    monkeypatch.setattr(Network, "start", refuse)
    second = dn2_command("bench", "one-class", *arguments)
    assert ", 270 of them from the cache" in second.out
    assert second.out.split("| fit")[0] == first.out.split("| fit")[0]


def test_the_options_reach_the_protocol(dn2_command, arguments: list[object], tmp_path: Path) -> None:
    options = ["--classes", 0, "--classes", 4, "--normal", 4, "--neighbors", 3, "--normalize", "unit"]
    options += ["--figure", "svg", "--no-cache", "--precision", "f32"]
    done = dn2_command("bench", "one-class", *arguments, *options)
    assert done.status == 0, done.err
    (row,) = rows(tmp_path / "out" / "one-class.csv")
    assert (row["normal"], row["method"].endswith(", k = 3"), row["seed"]) == ("4", True, "")
    assert "2 classes, 160 pictures in train/, 20 in test/" in done.out
    assert "normalisation unit" in done.out
    assert (tmp_path / "out" / "one-class.svg").exists()


def test_rivals_stand_beside_dn2(dn2_command, arguments: list[object], tmp_path: Path) -> None:
    done = dn2_command("bench", "one-class", *arguments, "--rivals", "--normal", 0)
    assert done.status == 0, done.err
    found = rows(tmp_path / "out" / "one-class.csv")
    seeds = {row["method"]: [other["seed"] for other in found if other["method"] == row["method"]] for row in found}
    assert seeds["OC-SVM"] == seeds["LOF"] == seeds["pixels, k = 2"] == [""]
    assert seeds["Isolation Forest"] == ["0", "1"]


def test_several_backbones_are_compared(dn2_command, arguments: list[object], digits: Path, tmp_path: Path) -> None:
    for ending in ("onnx", "json"):
        shutil.copy(digits / f"tiny.{ending}", tmp_path / f"other.{ending}")
    done = dn2_command("bench", "backbones", *arguments, "--backbone", tmp_path / "other.onnx")
    assert done.status == 0, done.err
    assert len({row["method"] for row in rows(tmp_path / "out" / "backbones.csv")}) == 2


def test_pictures_that_cannot_be_read_are_left_out_with_status_3(
    dn2_command, arguments: list[object], digits: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(digits, tmp_path / "copy")
    (copy / "train" / "0" / "broken.png").write_text("no picture")
    done = dn2_command("bench", "one-class", copy, *arguments[1:], "--rivals", "--normal", 1)
    assert done.status == 3
    assert "270 embeddings" in done.out
    assert "dn2: not read: train/0/broken.png: not a picture" in done.err


REFUSED = {
    "bench": "Missing argument 'PROTOCOL'",
    "bench one-class": "Missing argument 'DATA'",
    "bench nothing {digits}": "PROTOCOL must be one of one-class, multimodal",
    "bench one-class {tmp}/nothing": "is no folder",
    "bench one-class {tmp}": "holds no folders of classes",
    "bench one-class {digits} --classes 0": "gives one class only, '0'",
    "bench one-class {digits} --classes 7": "classes 7: ",
    "bench one-class {digits} --normal 7": "choose from 0, 1, 4",
    "bench one-class {digits} --backbone a --backbone b": "backbone, got 2; use the protocol backbones for several",
    "bench one-class {digits} --backbone resnet": "the backbone must be",
    "bench one-class {digits} --backbone {digits}/tiny.onnx --neighbors 80": "need at least 81 reference items",
    "bench one-class {digits} --seeds 0": "--seeds must be at least 1",
    "bench one-class {digits} --figure pdf": "figure must be one of png, svg, got 'pdf'",
    "bench groups {digits} --rivals": "rivals does not belong to groups, but to one-class, multimodal, few-shot, text",
    "bench neighbors {digits} --neighbors 3": "neighbors does not belong to neighbors, but to one-class",
    "bench multimodal {digits} --normal 0": "use one-class",
    "bench tabular {tmp}": "holds no .npz files; each is to hold X, (n, d), and y, (n,), where 1 is an anomaly",
    "bench tabular {tmp}/nothing.npz": "nothing.npz cannot be read: No such file or directory",
    "bench tabular {file}": "file.txt is no .npz file; give one that holds X and y, or a folder of such files",
    "bench tabular {tmp} --classes a": "classes does not belong to tabular, but to one-class, multimodal, few-shot",
    "bench tabular {tmp} --no-cache": "cache does not belong to tabular",
    "bench tabular {tmp} --reference 3": "reference does not belong to tabular, but to series: leave it out",
    "bench series {tmp} --seeds 3": "seeds does not belong to series",
    "bench text {tmp} --precision f32": "precision does not belong to text",
    "bench tabular {tmp} -o {file}": "is no folder that takes files; give another with -o",
    "bench one-class {digits} -o {file}/below": "is no folder that takes files",
    "bench one-class {digits} -o {file}": "is no folder that takes files; give another with -o",
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line(dn2_command, digits: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "file.txt").touch()
    places = {"digits": digits, "tmp": tmp_path, "file": tmp_path / "file.txt"}
    done = dn2_command(*(word.format(**places) for word in command.split()))
    assert (done.status, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1, done.err
    assert REFUSED[command] in done.err


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    write_set(tmp_path / "tables" / "easy.npz")
    write_set(tmp_path / "tables" / "hard.npz", distance=1)
    return tmp_path / "tables"


def test_tables_give_a_table_a_figure_and_a_page(dn2_command, tables: Path, tmp_path: Path) -> None:
    options = ["--seeds", 3, "-o", tmp_path / "out", "--report", tmp_path / "page.html"]
    done = dn2_command("bench", "tabular", tables, *options)
    assert done.status == 0, done.err
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["tabular.csv", "tabular.md", "tabular.png"]
    assert done.out == (tmp_path / "out" / "tabular.md").read_text() + "\n"
    assert "| set | dn2, k = 2 | kNN on z-scores, k = 2 |" in done.out
    starts = [line.split(" | ")[0] for line in done.out.splitlines()[4:10]]
    below = ["average precision, all rows", "F1, all rows", "fit and search, all rows"]
    assert starts == [f"| {name}" for name in ["easy", "hard", "**average**", *below]]
    found = rows(tmp_path / "out" / "tabular.csv")
    assert len(found) == 2 * 2 * 3
    assert [row["n_reference"] for row in found] == ["20"] * 12
    assert {row["F1"] for row in found if row["set"] == "easy"} == {"1"}
    assert "average precision, all rows" in (tmp_path / "page.html").read_text("utf-8")


def test_one_table_with_another_number_of_neighbors(dn2_command, tables: Path, tmp_path: Path) -> None:
    done = dn2_command("bench", "tabular", tables / "hard.npz", "--neighbors", 19, "-o", tmp_path, "--figure", "svg")
    assert done.status == 0, done.err
    assert {row["method"] for row in rows(tmp_path / "tabular.csv")} == {"dn2, k = 19", "kNN on z-scores, k = 19"}
    assert (tmp_path / "tabular.svg").exists()
    refused = dn2_command("bench", "tabular", tables, "--neighbors", 20)
    assert (refused.status, refused.out) == (2, "")
    assert "easy.npz: 20 neighbours need at least 21 reference rows" in refused.err


def test_tables_have_rivals_of_pyod(dn2_command, tables: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyod", reason="pyod is not installed; pip install 'dn2[bench]'")
    done = dn2_command("bench", "tabular", tables, "--rivals", "--seeds", 1, "-o", tmp_path)
    assert done.status == 0, done.err
    names = {row["method"] for row in rows(tmp_path / "tabular.csv")}
    assert {f"PyOD {name}" for name in ("KNN", "LOF", "OCSVM", "IForest", "ECOD", "COPOD")} <= names
    assert ("DeepSVDD is left out" in done.out) == ("PyOD DeepSVDD" not in names)


def test_without_matplotlib_nothing_is_embedded(
    dn2_command, arguments: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    monkeypatch.setattr("dn2.kinds.image.bench.run.embed", None)
    done = dn2_command("bench", "one-class", *arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err == "dn2: drawing a figure needs matplotlib; run: pip install 'dn2[bench]'\n"


def test_a_class_of_one_picture_is_refused_before_anything_is_embedded(
    dn2_command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr("dn2.kinds.image.bench.run.embed", None)
    done = dn2_command("bench", "one-class", tmp_path, "-o", tmp_path / "out")
    assert (done.status, done.out) == (2, "")
    assert "with b normal there is no reference picture; add pictures, or choose classes" in done.err


def test_progress_is_shown(dn2_command, arguments: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dn2.cli.progress.SECONDS_BETWEEN_LINES", 0.0)
    done = dn2_command("bench", "few-shot", *arguments)
    assert "embedding by " in done.err
    assert "draws: 6 of 6" in done.err
