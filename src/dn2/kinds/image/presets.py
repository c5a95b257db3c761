"""Named choices of backbone and number of neighbours, with what they cost and give (docs/backbones.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dn2.errors import InputError


@dataclass(frozen=True)
class Preset:
    """backbone : see `dn2.ImageEmbedder`; n_neighbors : the largest number k of neighbours that a score averages over;
    whiten : whether a large reference set is whitened; patches : the backbone of which the maps are taken; bank : how
    many patches are kept to compare with, of each pair of maps."""

    backbone: str
    n_neighbors: int
    whiten: bool = False
    patches: str = "lite0"
    bank: int = 2_000

    def for_groups(self) -> Preset:
        """Return the preset that is used where items are groups."""
        return replace(self, n_neighbors=max(self.n_neighbors, NEIGHBORS_OF_GROUPS))

    def neighbors_among(self, n: int) -> int:
        """Return the number of neighbours among n reference items: a tenth of them, but 2 to `n_neighbors`."""
        return min(self.n_neighbors, max(2, n // 10))

    def whitens_among(self, n: int, false_alarm_rate: float | None = None) -> bool:
        """Tell whether n reference items are whitened: if one half is large enough to learn from, and the other half
        supports the rate."""
        supported = false_alarm_rate is None or false_alarm_rate >= 1 / (n // 2 + 1)
        return self.whiten and n >= WHITEN_FROM and supported


PRESETS = {
    "fast": Preset("lite0-posterior@176", 5),
    "default": Preset("lite0", 2),
    "accurate": Preset(
        "lite1-posterior+lite2-posterior@192+lite2-posterior",
        10,
        whiten=True,
        patches="lite0+lite2@384",
        bank=4_000,
    ),
}

# Whitening helps where the normal items are of several kinds; few items are worth more as calibration.
WHITEN_FROM = 10_000

# Means of groups differ less than pictures do, and more neighbours tell them better (docs/groups.md).
NEIGHBORS_OF_GROUPS = 10


def get_preset(name: str) -> Preset:
    """Find a preset.  Raises InputError for an unknown name."""
    try:
        return PRESETS[name]
    except KeyError:
        raise InputError(f"the preset must be one of {', '.join(PRESETS)}, got {name!r}") from None
