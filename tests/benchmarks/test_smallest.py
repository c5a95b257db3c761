"""The smallest run of each benchmark, on few and made data: none stops running unnoticed."""

from __future__ import annotations

import ast
import contextlib
import importlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dn2
from small_models import networks_once

__all__ = ["networks_once"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
SCRIPTS = sorted(FOLDER.glob("*.py"))
OPTIONAL = {
    *("cleanlab", "efficientnet_lite_pytorch", "matplotlib", "onnx", "onnxscript", "pandas", "paho", "playwright"),
    *("pyarrow", "pyod", "sentence_transformers", "stumpy", "timm", "torch"),
}
# Where benchmarks keep what is committed.
KEPT = (FOLDER / "results", ROOT / "docs", ROOT / "tests" / "embed")


def functions(path: Path) -> set[str]:
    """Name the functions of a script."""
    return {one.name for one in ast.parse(path.read_text("utf-8")).body if isinstance(one, ast.FunctionDef)}


def imported(path: Path) -> set[str]:
    """Name the modules that a script imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


BENCHMARKS = [path for path in SCRIPTS if "main" in functions(path)]
MARKS = {"cluster": pytest.mark.cluster}  # which starts a cluster of Ray


@contextlib.contextmanager
def skipping_what_is_missing() -> Iterator[None]:
    """Skip a test whose benchmark needs what this installation does not have, and say what."""
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"{error.name} is not installed")
    except dn2.MissingExtra as error:
        pytest.skip(str(error))
    except SystemExit as error:
        if type(error).__name__ != "Missing":
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the embeddings of all runs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def apart(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep a benchmark, and what it starts, out of the user's cache, and what it changes away from other tests."""
    monkeypatch.setenv("DN2_CACHE", str(cache))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.syspath_prepend(str(FOLDER))
    environment, path, level = dict(os.environ), list(sys.path), logging.getLogger("dn2").level
    yield
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    logging.getLogger("dn2").setLevel(level)


def kept() -> dict[Path, tuple[int, int]]:
    """Return size and time of what is committed."""
    found = {path: path.stat() for folder in KEPT for path in folder.rglob("*") if path.is_file()}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}


RUNS = [pytest.param(path, marks=MARKS.get(path.stem, ()), id=path.stem) for path in BENCHMARKS]


@pytest.mark.benchmarks
@pytest.mark.parametrize("path", RUNS)
def test_the_smallest_run_prints_figures_and_keeps_nothing(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = kept()
    with skipping_what_is_missing():
        importlib.import_module(path.stem).main(["--smallest"])
    printed = capfd.readouterr().out
    _, *lines = printed.splitlines()  # the first names the machine
    assert any(re.search(r"\d", line) for line in lines or [printed])
    assert not re.search(r"\bnan\b", printed)
    assert kept() == before


def test_what_has_no_run_of_its_own_serves_a_benchmark() -> None:
    served = set().union(*map(imported, [*BENCHMARKS, FOLDER / "common.py"]))
    assert {path.stem for path in SCRIPTS} - {path.stem for path in BENCHMARKS} <= served


def test_a_result_is_kept_where_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("planted").main(["--smallest", "--output", str(tmp_path), "--planted", "7"])
    assert (tmp_path / "planted.txt").read_text("utf-8") == capsys.readouterr().out


def test_data_that_is_absent_ends_a_full_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    common, planted = importlib.import_module("common"), importlib.import_module("planted")
    monkeypatch.setattr(common, "DATA", tmp_path)
    with pytest.raises(common.Missing, match=r"list\.csv is absent; set DN2_DATA"):
        planted.main(["--output", str(tmp_path)])
