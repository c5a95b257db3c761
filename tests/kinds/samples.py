"""What each kind brings to the contract that all of them keep: `tests/kinds/KIND/sample.py` makes it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sample:
    """Inputs of a kind, small.

    normal, more : two sets of normal items; queries : others, of which `strange` is the most anomalous, and
    `unreadable` cannot be read.  options : what to fit with; series_like : rows are found, and not given."""

    normal: Any
    more: Any
    queries: Any
    strange: str
    unreadable: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def sample_of(kind: str, folder: Path) -> Sample:
    """Make the sample of a kind; what are files lies below a folder."""
    made: Sample = importlib.import_module(f"kinds.{kind}.sample").make(folder)
    return made
