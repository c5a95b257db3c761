"""A kind of data is one folder and one line: added, all that dn2 does has it; taken away, nothing else misses it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dn2
from dn2.kinds.registry import KINDS

SOURCE = Path(dn2.__file__).parent
TESTS = Path(__file__).parents[1]
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


def run(house: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a copy of dn2."""
    environment = {**os.environ, "PYTHONPATH": f"{house.parent}{os.pathsep}{TESTS}", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, *command], cwd=house.parent, env=environment, capture_output=True, text=True, check=False
    )


def check_contract(house: Path, kind: str = "") -> None:
    """Run the contract of a kind, by default of all, of a copy of dn2."""
    done = run(
        house, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "-c", os.devnull, "--import-mode=importlib",
        "--rootdir", str(house.parent), str(TESTS / "kinds" / "test_contract.py"), "-k", kind,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4_000:]


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
    check_contract(house, "toy")  # the others have not changed by a byte
    folder = tmp_path / "house"
    (folder / "normal.colors").write_text("\n".join(f"#00{green:02x}00" for green in range(190, 230)))
    (folder / "new.colors").write_text("#00c800\n#ff0000\n")
    help_ = run(house, "-m", "dn2", "fit", "--help").stdout
    assert "Colours" in help_
    assert "--shade" in help_
    fitted = run(house, "-m", "dn2", "fit", "normal.colors", "-o", "c.dn2", "--shade", "0.5")
    assert fitted.returncode == 0, fitted.stderr
    scored = run(house, "-m", "dn2", "score", "c.dn2", "new.colors", "--report", "r.html")
    assert scored.returncode == 0, scored.stderr
    assert re.search(r"new\.colors:2 .* yes .*most by red", scored.stdout)
    assert "new.colors:2" in (folder / "r.html").read_text()
    refused = run(house, "-m", "dn2", "fit", "normal.colors", "-o", "d.dn2", "--kind", "toy", "--window", "9")
    assert refused.returncode == 2
    assert "--window belongs to the kind series, and the items here are of the kind toy" in refused.stderr


@pytest.mark.parametrize("gone", KINDS)
def test_without_one_kind_all_others_are_as_before(gone: str, tmp_path: Path) -> None:
    check_contract(other_house(tmp_path / "house", [kind for kind in KINDS if kind != gone]))
