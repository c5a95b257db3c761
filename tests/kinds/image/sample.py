"""Handwritten zeros, among which a four is strange, by a network that embeds them in no time."""

from __future__ import annotations

from pathlib import Path

from kinds.samples import Sample
from small_models import places_of, write_backbone, write_digits


def make(folder: Path) -> Sample:
    """See `kinds.samples`."""
    zeros = places_of(0)
    write_digits(folder / "normal", zeros[:30])
    write_digits(folder / "more", zeros[30:36])
    write_digits(folder / "new", [*zeros[36:40], places_of(4)[0]])
    (folder / "new" / "damaged.png").write_bytes(b"no picture")
    options = {"backbone": write_backbone(folder)}
    strange = f"{places_of(4)[0]:04d}.png"
    return Sample(folder / "normal", folder / "more", folder / "new", strange, "damaged.png", options)
