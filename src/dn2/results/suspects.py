"""Suspects of a contaminated reference set, for a person to judge."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dn2.results.rows import Neighbor


@dataclass(frozen=True, slots=True)
class Suspect:
    """A reference item that looks anomalous.

    Parameters
    ----------
    item : str
        Its name.
    is_aside : bool
        Whether it is set aside; else it stays in the reference set, for it may be a kind of normal items.
    anomaly_score : float
        Its mean squared distance to the neighbours; higher is more anomalous.
    neighbors : tuple of Neighbor
        The nearest reference items that are no suspects, nearest first.
    """

    item: str
    is_aside: bool
    anomaly_score: float
    neighbors: tuple[Neighbor, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON."""
        return asdict(self) | {"neighbors": [asdict(neighbor) for neighbor in self.neighbors]}
