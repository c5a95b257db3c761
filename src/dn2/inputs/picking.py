"""Some of the rows that were read, by their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dn2.inputs.label_columns import Labels


def picked(places: Sequence[int], *columns: Sequence[Any]) -> list[list[Any]]:
    """Return of each column what it has at some places."""
    return [[column[place] for place in places] for column in columns]


def errors_at(errors: Mapping[int, str], places: Sequence[int]) -> dict[int, str]:
    """Return the errors of the rows at some places, by their new places."""
    return {new: errors[place] for new, place in enumerate(places) if place in errors}


def labels_at(labels: Mapping[str, Labels], places: Sequence[int]) -> dict[str, Labels]:
    """Return what the rows at some places belong to, by column."""
    return {name: [column[place] for place in places] for name, column in labels.items()}
