"""A model of vectors, in words that an inspector understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def say(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what the model is made of; about : what `Model.describe` returns."""
    detector = about["detector"]
    return [
        ("kind", f"vectors of {about['dimension']:,} numbers"),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("normalisation", detector["normalize"]),
        ("whitening", "partial, learnt" if detector["whiten"] else "none"),
    ]
