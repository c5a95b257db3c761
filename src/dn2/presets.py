"""Named choices of backbone and number of neighbours, with what they cost and give (docs/backbones.md)."""

from __future__ import annotations

from dataclasses import dataclass

from dn2.errors import InputError


@dataclass(frozen=True)
class Preset:
    """backbone : see `dn2.ImageEmbedder`; n_neighbors : number k of neighbours that a score averages over, at most."""

    backbone: str
    n_neighbors: int

    def neighbors_among(self, n: int) -> int:
        """Return the number of neighbours among n reference items: a tenth of them is enough, two are the fewest."""
        return min(self.n_neighbors, max(2, n // 10))


PRESETS = {
    "fast": Preset("lite0-posterior@176", 5),
    "default": Preset("lite0", 2),
    "accurate": Preset("lite1-posterior+lite2-posterior@192+lite2-posterior", 10),
}

# Where anomalies may be among the reference items, a few of them left over must not decide.
NEIGHBORS_IF_CONTAMINATED = 10


def get_preset(name: str) -> Preset:
    """Find a preset.  Raises InputError for an unknown name."""
    try:
        return PRESETS[name]
    except KeyError:
        raise InputError(f"the preset must be one of {', '.join(PRESETS)}, got {name!r}") from None
