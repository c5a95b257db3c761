"""How far a run is: who is told, and what a notebook shows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dn2
from dn2.system import progress as progress_module
from dn2.system.progress import in_notebook, shown

REFERENCE = np.random.default_rng(0).normal(size=(40, 3))
NEW = np.random.default_rng(1).normal(size=(12, 3))

Displayed = list[tuple[str, str]]


class ZMQInteractiveShell:
    """Named as the shell of a notebook's kernel is."""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Displayed:
    """Make this process look like a notebook's kernel; what it displays, as `new` or `update`, in plain text."""
    displayed: Displayed = []

    class Handle:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            assert raw
            displayed.append(("update", data["text/plain"]))
            assert "<script" not in data["text/html"]

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        assert data["text/html"].startswith("<progress value=")
        displayed.append(("new", data["text/plain"]))
        return Handle()

    shell, module = ModuleType("IPython"), ModuleType("IPython.display")
    shell.get_ipython = ZMQInteractiveShell  # type: ignore[attr-defined]
    module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return displayed


@pytest.fixture
def at_once(notebook: Displayed, monkeypatch: pytest.MonkeyPatch) -> Displayed:
    """Show a bar in a notebook from the second step on, and each step of it: one takes a second."""
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: float(next(ticks)))
    return notebook


def test_a_script_shows_nothing_unless_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert not in_notebook()
    for silent in (None, False):
        with shown(silent, "scoring") as tell:
            assert tell is None
    calls: list[tuple[int, int]] = []
    with shown(lambda done, total: calls.append((done, total)), "scoring") as tell:
        assert tell is not None
        tell(1, 2)
    assert calls == [(1, 2)]
    dn2.fit(REFERENCE).score(NEW)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("wrong", [True, 1, "yes"])
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(dn2.InputError, match=r"progress must be a function of \(done, total\), False for silence"):
        dn2.fit(REFERENCE, progress=wrong)


def test_a_notebook_shows_a_bar_and_removes_it_at_the_end(at_once: Displayed) -> None:
    with shown(None, "scoring") as tell:
        assert tell is not None
        for done in (10, 20, 40):
            tell(done, 100)
    assert at_once == [
        ("new", "scoring: 20 of 100, 10/s, 8 s left"),  # the start-up until the first call is not counted
        ("update", "scoring: 40 of 100, 15/s, 4 s left"),
        ("update", ""),
    ]


def test_a_second_stretch_of_work_is_timed_anew(at_once: Displayed) -> None:
    with shown(None, "fitting") as tell:
        assert tell is not None
        for done in (50, 100, 0, 4):
            tell(done, 100)
    assert at_once[1] == ("update", "fitting: 4 of 100, 4/s, 24 s left")


def test_a_bar_is_gone_after_an_error(at_once: Displayed) -> None:
    def interrupted() -> None:
        with shown(None, "scoring") as tell:
            assert tell is not None
            tell(1, 4)
            tell(2, 4)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert at_once[-1] == ("update", "")


def test_a_quick_run_shows_nothing_in_a_notebook(notebook: Displayed) -> None:
    dn2.fit(REFERENCE).score(NEW)
    assert notebook == []


def named(word: str) -> dict[str, Any]:
    return {"id": [f"{word} {number}" for number in range(40)], "x": np.random.default_rng(2).normal(size=40)}


def named_model() -> dn2.Model:
    return dn2.fit(named("old"), id_column="id", progress=False)


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (lambda model, **more: dn2.fit(REFERENCE, **more), "fitting"),
        (lambda model, **more: dn2.score_self(np.arange(400.0) % 17, window=10, **more), "scoring"),
        (lambda model, **more: model.score(NEW, **more), "scoring"),
        (lambda model, **more: model.evaluate(NEW[:6], NEW[6:], **more), "scoring"),
        (lambda model, **more: named_model().add(named("new"), **more), "adding"),
    ],
)
def test_every_run_asks_alike(
    run: Callable[..., Any], word: str, monkeypatch: pytest.MonkeyPatch, at_once: Displayed
) -> None:
    model = dn2.fit(REFERENCE, progress=False)
    asked: list[tuple[Any, str]] = []
    real = shown

    def spy(progress: Any, what: str) -> Any:
        asked.append((progress, what))
        return real(progress, what)

    for home in ("dn2.model.fitting", "dn2.model.model", "dn2.model.scorer", "dn2.model.evaluating"):
        monkeypatch.setattr(f"{home}.shown", spy)
    run(model)
    run(dn2.fit(REFERENCE, progress=False), progress=False)
    assert (None, word) in asked
    assert (False, word) in asked
    assert at_once == [] or at_once[-1] == ("update", "")


def test_a_terminal_of_ipython_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = ModuleType("IPython")
    shell.get_ipython = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert not in_notebook()


def test_a_shell_made_after_a_notebooks_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = ModuleType("IPython")
    shell.get_ipython = type("Shell", (ZMQInteractiveShell,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert in_notebook()


def test_asking_does_not_import_ipython() -> None:
    code = "import sys; from dn2.system.progress import in_notebook; print(in_notebook(), 'IPython' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
