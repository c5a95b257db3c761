"""A kind of data is one folder and one line: added, all that dn2 does has it; taken away, nothing else misses it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dn2
from dn2.kinds.registry import KINDS

SOURCE = Path(dn2.__file__).parent
TESTS = Path(__file__).parents[1]
CONTRACT = TESTS / "kinds" / "test_contract.py"
LINE = re.compile(r"^KINDS = .*$", re.M)


def other_house(folder: Path, kinds: list[str]) -> Path:
    """Copy dn2 with only some of its kinds, and perhaps one more: their folders, and the registry's line."""
    copy = folder / "dn2"
    shutil.copytree(SOURCE, copy)  # with what is compiled: it need not be compiled anew
    for kind in set(KINDS) - set(kinds):
        shutil.rmtree(copy / "kinds" / kind)
    for kind in set(kinds) - set(KINDS):
        shutil.copytree(TESTS / "kinds" / kind / "room", copy / "kinds" / kind, ignore=shutil.ignore_patterns("__py*"))
    registry = copy / "kinds" / "registry.py"
    line = f"KINDS = ({', '.join(map(repr, kinds))},)".replace("'", '"')
    text, count = LINE.subn(line, registry.read_text())
    assert count == 1
    registry.write_text(text)
    return copy


# Runs pytest with one copy of dn2 after another, each in a child: what they import of other libraries is imported once.
IN_HOUSES = """
import json, os, sys
import faiss, hypothesis, onnx, openvino, pandas, pyarrow.parquet, pytest, safetensors, scipy.signal, sklearn.datasets
failed = []
for folder in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        sys.path.insert(0, folder)
        options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--import-mode=importlib"]
        sys.exit(pytest.main([*options, "--rootdir", folder, *sys.argv[2:]]))
    if os.waitpid(child, 0)[1]:
        failed.append(folder)
if failed:
    sys.exit(f"failed: {failed}")
"""


def check(houses: list[Path], *tests: object) -> None:
    """Run tests in copies of dn2."""
    folders = json.dumps([str(house.parent) for house in houses])
    done = subprocess.run(
        [sys.executable, "-c", IN_HOUSES, folders, *map(str, tests)],
        env={**os.environ, "PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-1_000:]


def files_of(house: Path) -> dict[str, bytes]:
    return {
        path.relative_to(house).as_posix(): path.read_bytes()
        for path in house.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_new_kind_is_one_folder_and_one_line(tmp_path: Path) -> None:
    house = other_house(tmp_path / "house", [*KINDS, "toy"])
    before, after = files_of(SOURCE), files_of(house)
    assert {name for name in after if name not in before} == {
        f"kinds/toy/{path.name}" for path in (TESTS / "kinds" / "toy" / "room").iterdir() if path.is_file()
    }
    assert [name for name in before if before[name] != after[name]] == ["kinds/registry.py"]
    # The contract of the others: they have not changed by a byte.
    check([house], CONTRACT, TESTS / "kinds" / "toy" / "commands.py", "-k", "toy")


def test_each_kind_does_without_all_others(tmp_path: Path) -> None:
    check([other_house(tmp_path / kind, [kind]) for kind in KINDS], CONTRACT)
