"""What `import dn2` offers, and what it costs."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

import dn2

HEAVY = ("faiss", "numpy", "openvino", "PIL", "rich", "safetensors", "scipy", "sklearn", "typer")


def modules_after(code: str) -> set[str]:
    code = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_the_exported_members_are_those_of_all() -> None:
    from dn2 import __all__ as names

    star: dict[str, object] = {}
    exec("from dn2 import *", star)
    assert sorted(set(star) - {"__builtins__"}) == sorted(names)
    assert list(names) == sorted(names)
    assert [name for name in dir(dn2) if not name.startswith("_")] == list(names)


def test_what_type_checkers_see_is_what_is_exported() -> None:
    tree = ast.parse(inspect.getsource(dn2))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == dn2._HOMES
    assert sorted(seen) == sorted(dn2.__all__)


@pytest.mark.parametrize("name", dn2.__all__)
def test_every_member_is_documented_and_lives_where_it_is_imported_from(name: str) -> None:
    member = getattr(dn2, name)
    assert member.__doc__
    assert member.__module__ == dn2._HOMES[name]
    assert member.__name__ == name


@pytest.mark.parametrize("name", [name for name in dn2.__all__ if isinstance(getattr(dn2, name), type)])
def test_every_public_method_is_documented(name: str) -> None:
    methods = [
        (attribute, value)
        for attribute, value in vars(getattr(dn2, name)).items()
        if not attribute.startswith("_") and (callable(value) or isinstance(value, property))
    ]
    # scikit-learn makes the set_..._request methods.
    assert [a for a, value in methods if not value.__doc__ and not a.endswith("_request")] == []


def test_all_errors_have_one_root() -> None:
    errors = [getattr(dn2, name) for name in dn2.__all__]
    errors = [error for error in errors if isinstance(error, type) and issubclass(error, Exception)]
    assert len(errors) >= 8
    assert all(issubclass(error, dn2.Dn2Error) for error in errors)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'dn2' has no attribute 'nothing'"):
        dn2.nothing  # noqa: B018


def test_importing_dn2_loads_nothing_heavy() -> None:
    assert not modules_after("import dn2").intersection(HEAVY)


def test_the_commands_are_known_before_anything_heavy_is_loaded() -> None:
    loaded = modules_after("import dn2.cli.app")
    assert "dn2.cli.app" in loaded
    assert not loaded.intersection({"faiss", "numpy", "openvino", "PIL", "scipy", "sklearn"})


def test_what_only_some_models_need_is_loaded_by_those() -> None:
    loaded = modules_after("import dn2.model.fitting, dn2.kinds.image.kind, dn2.kinds.text.kind")
    assert "dn2.neighbors.detector" in loaded
    assert not loaded.intersection(
        {"pandas", "scipy.signal", "scipy.sparse", "scipy.special", "scipy.stats", "sklearn"}
    )
