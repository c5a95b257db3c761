"""Every command and every piece of Python in the documents runs, in order, page by page."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import dn2
from dn2.cli import main
from dn2.cli.app import app
from dn2.kinds.image import options
from dn2.kinds.image.patches import finding
from made_invoices import write_invoices
from made_messages import write_labelled, write_messages
from made_plates import write_plates
from made_series import write_series
from small_models import networks_once

__all__ = ["networks_once"]

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Run by continuous integration itself, by the test of the demo, with PyTorch by tests/networks/test_timm.py, or with a
# store by tests/model/test_object_stores.py; or for a machine with root, containers and systemd: tests/test_deploy.py
# looks at what these start, and tests/serve of a service.
ELSEWHERE = re.compile(
    r"(git clone|cd |make |pip install|dn2 demo|dn2 serve|dn2 .*timm/|dn2 .*s3://|curl |docker |sudo |echo |mkdir )"
)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ") and not ELSEWHERE.match(line[2:])]


@pytest.fixture(scope="module")
def made_plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a few plates, once."""
    folder = tmp_path_factory.mktemp("plates")
    write_plates(folder, normal=16, good=2, of_each=3)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, made_plates: Path) -> Path:
    """Make what the documents speak of: digits 0 as good parts, others as defects, and a tiny network."""
    import onnx

    made = tmp_path_factory.mktemp("made")
    digits = load_digits()
    zeros = digits.images[digits.target == 0]
    folders = {
        "good_parts": [(f"part_{n:02d}", zeros[n]) for n in range(1, 41)],
        "more_good_parts": [(f"extra_{n:02d}", zeros[n]) for n in range(41, 46)],
        "incoming": [(f"part_{n:02d}", digits.images[n]) for n in range(1, 6)],
        "new_light": [(f"light_{n:02d}", 0.85 * zeros[n]) for n in range(50, 90)],
        "defects": [(f"defect_{n:02d}", digits.images[digits.target == 4][n]) for n in range(3)],
    }
    ones = digits.images[digits.target == 1]
    folders["unsorted_parts"] = folders["good_parts"] + [(f"odd_{n:02d}", ones[n]) for n in range(1, 11)]
    folders["unsorted_parts"][2] = ("part_03", np.indices((8, 8)).sum(axis=0) % 2 * 16)  # odd enough to be set aside
    for lots, first, count in (("good_lots", 0, 12), ("incoming_lots", 12, 3)):
        for lot in range(first, first + count):
            folders[f"{lots}/lot_{lot:02d}"] = [(f"part_{n}", zeros[3 * lot + n]) for n in range(3)]
    for digit in range(3):
        pictures = [(f"{n:02d}", pixels) for n, pixels in enumerate(digits.images[digits.target == digit][:28])]
        folders |= {f"classes/train/{digit}": pictures[:20], f"classes/test/{digit}": pictures[20:]}
    for folder, first, count in (("photos", 1, 25), ("more_photos", 26, 2), ("new_photos", 28, 3)):
        shown = [(part, view) for part in range(first, first + count) for view in range(3)]
        folders[folder] = [(f"part_{part:02d}_{'abc'[view]}", zeros[part] + view) for part, view in shown]
    for folder, first, count in (("lines", 0, 20), ("new_lines", 20, 3)):
        folders |= {
            f"{folder}/{name}": [
                (f"{n}", digits.images[digits.target == digit][n]) for n in range(first, first + count)
            ]
            for digit, name in enumerate(("left", "right"))
        }
    folders |= {"line_3/2024/may": folders["good_parts"], "line_3/test": folders["defects"]}
    folders["line_3/2024/may/setup"] = [("part_00_mask", zeros[0]), ("part_00", zeros[0])]
    for folder, pictures in folders.items():
        (made / folder).mkdir(parents=True)
        for name, pixels in pictures:
            Image.fromarray((pixels * 15).astype(np.uint8)).save(made / folder / f"{name}.png")
    (made / "camera").mkdir()
    for n in range(10):
        Image.fromarray((zeros[n] * 63).astype(np.uint16)).save(made / "camera" / f"{n}.png")
    (made / "tables").mkdir()
    for number in (4, 8):
        np.savez(made / "tables" / f"digits_{number}.npz", X=digits.data, y=digits.target == number)
    np.savez(made / "tables" / "digits.npz", X=digits.data[:200], y=digits.target[:200] == 1)
    write_invoices(made)
    write_messages(made)
    write_series(made)
    write_labelled(made / "labelled")
    for name in ("plates", "new_plates"):
        (made / name).symlink_to(made_plates / name)
    vectors = np.random.default_rng(0).normal(size=(420, 8)).astype(np.float32)
    np.save(made / "embeddings.npy", vectors[:400])
    np.save(made / "new_embeddings.npy", vectors[400:])
    (made / "list.txt").write_text("incoming/part_01.png\nincoming/part_02.png\n")
    said = "incoming/part_05.png,normal,incoming/part_05.png\nincoming/part_02.png,defect,incoming/part_02.png\n"
    (made / "verdicts.csv").write_text(f"item,verdict,path\n{said}")
    tensor = onnx.helper.make_tensor_value_info
    picture = tensor("picture", onnx.TensorProto.FLOAT, [1, 3, 224, 224])
    vector = tensor("vector", onnx.TensorProto.FLOAT, [1, 3])
    pool = onnx.helper.make_node("GlobalAveragePool", ["picture"], ["pooled"])
    flatten = onnx.helper.make_node("Flatten", ["pooled"], ["vector"])
    graph = onnx.helper.make_graph([pool, flatten], "mean_colour", [picture], [vector])
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9), made / "network.onnx")
    (made / "network.json").write_text(json.dumps({"size": [224, 224]}))
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all pages."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def parts(made: Path, page: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with all that the page speaks of."""
    text = page.read_text(encoding="utf-8")
    for one in made.iterdir():
        if one.name in text:
            copy = shutil.copytree if one.is_dir() else shutil.copy2
            copy(one, tmp_path / one.name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DN2_CACHE", str(cache))
    monkeypatch.setattr(finding, "MOST_PLANTED", 20)
    monkeypatch.setattr(options, "DEFAULT_RESOLUTION", 96)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_every_command_of_a_page_runs(
    page: Path, parts: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if page.name == "images.md":
        assert len(commands(page)) >= 8  # the pattern still finds them
    for command in commands(page):
        program, *arguments = shlex.split(command)
        assert program == "dn2", command
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code, f"{command}: {capsys.readouterr().err}"


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # which works here, whatever Python 3.12 says
@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python") and page.name != "serve.md"], ids=lambda page: page.name
)
def test_the_python_of_a_page_runs(page: Path, parts: None) -> None:
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), {})


def test_every_command_and_public_name_is_documented() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    names = [command.callback.__name__ for command in app.registered_commands if command.callback]
    assert len(names) >= 9
    assert [name for name in names if f"dn2 {name}" not in text] == []
    assert [name for name in dn2.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_every_link_between_documents_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_result_file_named_in_the_documents_is_committed() -> None:
    for page in PAGES:
        for target in re.findall(r"benchmarks/results/\w+\.txt", page.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{page.name}: {target}"
