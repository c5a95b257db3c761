"""The protocol on series."""

from __future__ import annotations

from dataclasses import dataclass

from dn2.kinds.options import option
from dn2.kinds.protocols import ComparedOptions, NearestOptions, Protocol


@dataclass(frozen=True, kw_only=True)
class PointsOptions(NearestOptions, ComparedOptions):
    """The options of the protocol on series."""

    reference: int = option(
        0,
        "The first N points are normal and the reference. Default: none, each series is its own.",
        metavar="N",
        minimum=0,
    )


SERIES = Protocol(
    "series",
    "Series, points as queries",
    "A folder of .npz or .csv files, or one: GROUP/NAME/values with GROUP/NAME/anomaly, or columns of numbers with "
    "anomaly or label.",
    PointsOptions,
    f"{__name__}.protocol:run",
)

PROTOCOLS = (SERIES,)
