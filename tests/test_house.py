"""The house rules of DESIGN.md that a program can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dn2

ROOT = Path(dn2.__file__).parent
MODULES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
LARGEST = 320
ON_TORCH = {"embed/export.py", "embed/sentences.py", "embed/timm_backbone.py", "embed/torch_network.py"}

# What each part of the house may import, besides itself.
NAMING = frozenset({"naming"})  # how texts are written, errors too
ERRORS = frozenset({"errors"}) | NAMING
EXTRAS = frozenset({"bounds", "extras", "printing", "processes"})  # files, libraries, terminals, processes: what holds
FOUNDATION = frozenset({"neighbors", "embed", "store", "inputs"})
BRIDGE = frozenset({"drawing", "embedding", "presets", "wording"})
PAGES = frozenset({"report"})  # which the bench does without
CORE = frozenset({"model", "state", "fitting", "kinds", "loading", "saved", "scoring", "evidence"})
USES = frozenset({"patches", "bench"})
FRONT = frozenset({"server", "cli"})
ALLOWED = (
    dict.fromkeys(ERRORS, NAMING)
    | dict.fromkeys(EXTRAS, ERRORS)
    | dict.fromkeys(FOUNDATION, ERRORS | EXTRAS)
    | dict.fromkeys(BRIDGE, ERRORS | EXTRAS | FOUNDATION)
    | dict.fromkeys(PAGES, ERRORS | EXTRAS | FOUNDATION | BRIDGE)
    | dict.fromkeys(CORE, ERRORS | EXTRAS | FOUNDATION | BRIDGE | PAGES | CORE)
    | dict.fromkeys(USES, ERRORS | EXTRAS | FOUNDATION | BRIDGE | CORE | USES)
    | dict.fromkeys(FRONT, ERRORS | EXTRAS | FOUNDATION | BRIDGE | PAGES | CORE | USES | FRONT)
)


def part_of(module: str) -> str:
    return module.removesuffix(".py").split("/")[0]


def imported(tree: ast.Module) -> Iterator[str]:
    """Give the dotted name of everything that is imported anywhere in a module, also in functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole way"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def public(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Give the public functions, classes and methods of a module."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, definitions) and not node.name.startswith("_"):
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, definitions) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


def test_the_modules_are_found() -> None:
    assert {"errors.py", "inputs/files.py", "model.py", "saved.py", "store/bundle.py", "cli/app.py"} <= MODULES.keys()


@pytest.mark.parametrize("module", [name for name in MODULES if name != "__init__.py"])
def test_imports_run_one_way(module: str) -> None:
    part = part_of(module)
    inside = [name.split(".") for name in imported(MODULES[module]) if name.split(".")[0] == "dn2"]
    parts = {name[1] for name in inside if len(name) > 1 and name[1] in ALLOWED}
    assert parts - {part} <= ALLOWED[part]
    # Anything else comes from the package itself, which only its users may ask.
    assert part in CORE | USES | FRONT or all(len(name) > 1 and name[1] in ALLOWED for name in inside)


def test_the_check_of_imports_finds_a_wrong_one() -> None:
    tree = ast.parse("def f():\n    from dn2.model import Model\n    import dn2.store.cache as c\n")
    assert list(imported(tree)) == ["dn2.model.Model", "dn2.store.cache"]
    assert "model" not in ALLOWED["store"]


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_has_a_docstring(module: str) -> None:
    assert ast.get_docstring(MODULES[module])
    assert [name for name, node in public(MODULES[module]) if not ast.get_docstring(node)] == []  # type: ignore[arg-type]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short(module: str) -> None:
    assert len((ROOT / module).read_text().splitlines()) <= LARGEST


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_unpickled_but_checkpoints(module: str) -> None:
    roots = {name.split(".")[0] for name in imported(MODULES[module])}
    allowed = {"pickle"} if module == "embed/lite.py" else {"torch"} if module in ON_TORCH else set()
    assert roots & {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "marshal", "shelve", "torch"} <= allowed
    said = " ".join([ast.unparse(MODULES[module]), *imported(MODULES[module])])
    assert not re.search(r"(?<!safetensors\.)torch\.load\b", said)
    arguments = [node.arg for node in ast.walk(MODULES[module]) if isinstance(node, ast.keyword)]
    assert "allow_pickle" not in arguments


@pytest.mark.parametrize("module", [name for name in MODULES if part_of(name) != "cli"])
def test_only_the_command_line_prints(module: str) -> None:
    calls = [node.func for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)]
    assert [call for call in calls if isinstance(call, ast.Name) and call.id == "print"] == []


def test_torch_is_never_imported() -> None:
    code = (
        "import importlib, pkgutil, sys, dn2\n"
        "names = [module.name for module in pkgutil.walk_packages(dn2.__path__, 'dn2.')]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(len(names), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(MODULES) - 1), "False"]
