"""The protocol on tables."""

from __future__ import annotations

from dataclasses import dataclass

from dn2.kinds.protocols import ComparedOptions, DrawnOptions, NearestOptions, Protocol


@dataclass(frozen=True, kw_only=True)
class TabularOptions(NearestOptions, DrawnOptions, ComparedOptions):
    """The options of the protocol on tables."""


TABULAR = Protocol(
    "tabular",
    "Tables, half of the normal rows as reference",
    "A folder of .npz files, or one: X, and y that is 1 for an anomaly.",
    TabularOptions,
    f"{__name__}.protocol:run",
)

PROTOCOLS = (TABULAR,)
