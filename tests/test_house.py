"""The house rules of DESIGN.md that a program can check."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import dn2

ROOT = Path(dn2.__file__).parent
MODULES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
LARGEST = 320
# Checkpoints of a known digest; and what processes of one command on a cluster give each other.
PICKLING = {"networks/lite.py", "scale/cluster.py", "scale/worker.py"}
ON_TORCH = {f"networks/{name}.py" for name in ("export", "timm", "timm_maps", "torch", "torch_maps", "torch_sentences")}

# The floors of the house, from the ground up: a module imports from its own room and from the floors below.
FLOORS = (
    {"errors", "arrays", "extras", "system"},
    {"neighbors", "networks", "store"},
    {"inputs", "results"},
    {"bench"},
    {"kinds"},
    {"model"},
    {"report", "scale", "monitor"},
    {"serve"},
    {"kinds/*/page", "kinds/*/bench"},
    {"cli"},
    {"__main__"},
)
ONE_ROOM = {"errors", "arrays", "extras", "system"}  # of which the errors write out names, and the others raise errors
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    """Return the room of a module: its folder, or a role of a kind that stands above the kind."""
    first, *others = module.removesuffix(".py").split("/")
    if first == "kinds" and len(others) > 1 and others[1] in ("page", "bench"):
        return f"kinds/*/{others[1]}"
    return first


def kind_of(module: str) -> str | None:
    """Return the kind whose folder a module lies in."""
    parts = module.split("/")
    return parts[1] if parts[0] == "kinds" and len(parts) > 2 else None


def inside(module: str) -> set[str]:
    """Return the modules of dn2 that a module imports anywhere, also in functions and for type checkers."""
    found = set()
    for name in imported(MODULES[module]):
        if name.split(".")[0] == "dn2":
            path = "/".join(name.split(".")[1:])
            candidates = (f"{path}.py", f"{path}/__init__.py", f"{path.rpartition('/')[0]}.py")
            found.add(next((one for one in candidates if one in MODULES), "__init__.py"))
    return found - {"__init__.py"}


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
    assert {"errors.py", "inputs/files.py", "model/model.py", "store/bundle.py", "cli/app.py"} <= MODULES.keys()
    assert {module for module in MODULES if "/" not in module} <= {
        "__init__.py",
        "__main__.py",
        "arrays.py",
        "errors.py",
        "extras.py",
    }


@functools.cache
def graph() -> dict[str, set[str]]:
    """Return what each module imports of dn2."""
    return {module: inside(module) for module in MODULES if module != "__init__.py"}


def goes_down(module: str, other: str) -> bool:
    """Tell whether a module may import another: of its own room, or from a floor below, and of no other kind."""
    room, beneath = room_of(module), room_of(other)
    own = room == beneath or {room, beneath} <= ONE_ROOM
    of_kind = kind_of(other) in (None, kind_of(module)) or FLOOR_OF[room] > FLOOR_OF["kinds"]
    return of_kind and (own or FLOOR_OF[beneath] < FLOOR_OF[room])


def test_imports_run_one_way() -> None:
    assert [(one, other) for one, others in graph().items() for other in others if not goes_down(one, other)] == []


def test_imports_run_in_no_circle() -> None:
    assert len(list(TopologicalSorter(graph()).static_order())) == len(graph())


def test_no_module_but_the_registry_names_a_kind() -> None:
    from dn2.kinds.registry import KINDS

    assert {kind_of(module) for module in MODULES} - {None} == set(KINDS)
    for module in MODULES:
        if kind_of(module) is None and module not in ("kinds/registry.py", "__init__.py"):
            assert {kind_of(other) for other in inside(module)} == {None} or not inside(module), module
            if module in ("networks/lite.py", "report/bench_page.py"):  # an input of a network, a part of a page
                continue
            texts = {node.value for node in ast.walk(MODULES[module]) if isinstance(node, ast.Constant)}
            assert not texts & set(KINDS), f"{module} names {texts & set(KINDS)}"


def test_the_check_of_imports_finds_a_wrong_one() -> None:
    tree = ast.parse("def f():\n    from dn2.model import Model\n    import dn2.store.cache as c\n")
    assert list(imported(tree)) == ["dn2.model.Model", "dn2.store.cache"]
    assert FLOOR_OF["model"] > FLOOR_OF["store"]


def test_everything_public_has_a_docstring() -> None:
    assert [module for module, tree in MODULES.items() if not ast.get_docstring(tree)] == []
    definitions = [(module, name, node) for module, tree in MODULES.items() for name, node in public(tree)]
    assert [(module, name) for module, name, node in definitions if not ast.get_docstring(node)] == []  # type: ignore[arg-type]


def test_modules_are_short() -> None:
    lengths = {module: len((ROOT / module).read_text().splitlines()) for module in MODULES}
    assert {module: length for module, length in lengths.items() if length > LARGEST} == {}


def test_nothing_is_unpickled_but_checkpoints() -> None:
    unsafe = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "marshal", "shelve", "torch"}
    for module, tree in MODULES.items():
        roots = {name.split(".")[0] for name in imported(tree)}
        allowed = {"pickle"} if module in PICKLING else {"torch"} if module in ON_TORCH else set()
        assert roots & unsafe <= allowed, module
        code = " ".join([ast.unparse(tree), *imported(tree)])
        assert not re.search(r"(?<!safetensors\.)torch\.load\b", code), module
        assert "allow_pickle" not in [node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)], module


def test_only_the_command_line_prints() -> None:
    for module, tree in MODULES.items():
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        names = {call.id for call in calls if isinstance(call, ast.Name)}
        assert "print" not in names or room_of(module) == "cli", module


def test_torch_is_never_imported() -> None:
    code = (
        "import importlib, pkgutil, sys, dn2\n"
        "names = [module.name for module in pkgutil.walk_packages(dn2.__path__, 'dn2.')]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(len(names), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(MODULES) - 1), "False"]
