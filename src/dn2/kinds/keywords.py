"""The options of all kinds for type checkers, made of their dataclasses by `make keywords`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict


class FitOptions(TypedDict, total=False):
    """What `dn2.fit` may be asked, of any kind."""

    neighbors: int | None
    false_alarm_rate: float | None
    index: str | None
    recall: float | None
    storage: Literal["auto", "float32", "float16", "uint8"] | None
    memory: str | int | None
    part: str | Sequence[Any] | None
    per: str | Sequence[Any] | None
    confidence: float | None
    smooth: bool | None
    seed: int | None
    contaminated: bool | None
    drop: float | None
    first_neighbors: int | None
    preset: Literal["fast", "default", "accurate"] | None
    backbone: str | None
    precision: Literal["auto", "f32", "bf16"] | None
    white: int | None
    normalize: Literal["none", "unit", "root-unit"] | None
    whiten: bool | None
    patches: bool | None
    resolution: str | int | None
    light: Literal["even", "as-is"] | None
    bank: int | None
    mask: str | Sequence[Any] | None
    rotations: int | None
    groups: bool | None
    column: str | None
    id_column: str | None
    decimal: Literal[".", ","] | None
    thousands: Literal[".", ",", "space", "apostrophe"] | None
    date_order: Literal["day", "month"] | None
    drop_columns: str | Sequence[str]
    numeric: str | Sequence[str]
    categorical: str | Sequence[str]
    date: str | Sequence[str]
    time: str | None
    values: str | Sequence[str]
    window: int | None


class SelfOptions(TypedDict, total=False):
    """What `dn2.score_self` may be asked."""

    neighbors: int | None
    false_alarm_rate: float | None
    index: str | None
    recall: float | None
    storage: Literal["auto", "float32", "float16", "uint8"] | None
    memory: str | int | None
    decimal: Literal[".", ","] | None
    thousands: Literal[".", ",", "space", "apostrophe"] | None
    date_order: Literal["day", "month"] | None
    id_column: str | None
    time: str | None
    values: str | Sequence[str]
    window: int | None
