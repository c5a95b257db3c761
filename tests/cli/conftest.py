"""What the tests of the command line share."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from dn2.cli import main
from small_models import (
    folder,
    lots,
    networks_once,
    own_cache,
    saved,
    saved_lots,
    saved_unsorted,
    small_shards,
    unsorted,
    world,
)

__all__ = [
    "folder",
    "lots",
    "networks_once",
    "own_cache",
    "saved",
    "saved_lots",
    "saved_unsorted",
    "small_shards",
    "unsorted",
    "world",
]


class Done(NamedTuple):
    """How a command ended: its exit status, and what it wrote."""

    status: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def dn2_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `dn2` in this process, as its entry point does."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["dn2", *map(str, arguments)])
        monkeypatch.setattr(os, "_exit", sys.exit)
        monkeypatch.setattr(logging.root, "handlers", [])  # pytest's; the command makes its own
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, *capsys.readouterr())

    return run
