"""Greens, among which a red is strange."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinds.samples import Sample


def make(folder: Path) -> Sample:
    """See `kinds.samples`."""
    rng = np.random.default_rng(0)

    def write(name: str, count: int, *others: str) -> Path:
        greens = rng.integers([0, 180, 0], [40, 255, 40], (count, 3))
        path = folder / f"{name}.colors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*("#" + bytes(green.tolist()).hex() for green in greens), *others]))
        return path

    normal, more = write("normal", 40), write("more", 5)
    return Sample(normal, more, write("new", 3, "#ff0000", "red"), "new.colors:4", "new.colors:5", {"shade": 0.5})
