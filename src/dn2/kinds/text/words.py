"""A model of messages, in words that an inspector understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def say(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what the model is made of; about : what `Model.describe` returns."""
    embedder = about["embedder"]
    window = "" if embedder["window"] is None else f", {embedder['window']} tokens at once"
    column = "" if about["column"] is None else f", the column {about['column']}"
    identifier = "" if about["id_column"] is None else f", named by {about['id_column']}"
    return [
        ("kind", f"messages{column}{identifier}"),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("backbone", f"{embedder['backbone']} ({embedder['dimension']} features{window})"),
    ]
