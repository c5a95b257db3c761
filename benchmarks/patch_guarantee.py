"""Patches: how many pictures of new good tiles are flagged, and have any region, at the rates asked for.

Run: python benchmarks/patch_guarantee.py

In each draw, a random part of the good magnetic tiles, with all photos of each, is the reference; the other good tiles
are new.  Defects are drawn into few pictures only: what they tell does not enter the rate.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from unittest import mock

import numpy as np

import dn2
from common import Run, begin, prepare_torch
from dn2.arrays import Array, Numbers
from dn2.kinds.image.patches import finding
from dn2.kinds.image.patches.kind import PatchKind

RATES = (0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Sizes:
    """How much is measured: draws, and tiles of a reference set."""

    draws: int = 40
    tiles: int = 110
    preset: str = "default"
    resolution: int = 256
    bank: int | None = None


SMALLEST = Sizes(draws=1, tiles=6, resolution=64, bank=20)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rates got, of a new tile's photo, with their standard errors over draws."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    prepare_torch()
    report = run.report("patch_guarantee")
    with run.unpacked("magnetic_tile/magnetic_tile.zip") as folder:
        listed = csv.DictReader(run.need("magnetic_tile/split.csv").read_text("utf-8").splitlines())
        good = [row for row in listed if row["label"] == "0"]
        paths = np.array([str(folder / row["image"]) for row in good])
        tiles = np.array([row["tile_group"] for row in good])
        rng, cache = np.random.default_rng(0), dn2.Cache()
        names = np.unique(tiles)
        got = [
            draw(run, paths, tiles, np.isin(tiles, rng.permutation(names)[: run.sizes.tiles]), cache)
            for _ in range(run.sizes.draws)
        ]
    report.say(f"{run.sizes.tiles} of {len(names)} good tiles, whole, are the reference in {run.sizes.draws} draws")
    report.say(f"{'':<34}" + "".join(f"{f'asked {rate:g}':>20}" for rate in RATES))
    for name, rates in zip(("flagged", "with any region", "either"), np.moveaxis(np.array(got), 1, 0), strict=True):
        mean, error = rates.mean(axis=0), rates.std(axis=0, ddof=min(1, len(rates) - 1)) / np.sqrt(len(rates))
        cells = [f"{a:.3f} +- {b:.3f}" for a, b in zip(mean, error, strict=True)]
        report.say(f"  {name:<32}" + "".join(f"{cell:>20}" for cell in cells))
        if name != "either":
            report.claim(bool((mean <= np.array(RATES) + 3 * error).all()), f"{name}: more often than asked")
    report.save()


def draw(run: Run[Sizes], paths: Array, tiles: Array, reference: Array, cache: dn2.Cache) -> Numbers:
    """Fit on some tiles and score the others: of their photos the shares that are flagged, have a region, have either,
    averaged within tiles, at each rate, (3, rates)."""
    with mock.patch.multiple(finding, LEAST_PLANTED=20, MOST_PLANTED=20):
        model = dn2.fit(
            paths[reference].tolist(),
            part=tiles[reference].tolist(),
            patches=True,
            preset=run.sizes.preset,
            resolution=run.sizes.resolution,
            bank=run.sizes.bank,
            cache=cache,
            progress=False,
        )
    kind = model.kind
    assert isinstance(kind, PatchKind)
    assert kind.learnt is not None
    new = ~reference
    results = model.score(paths[new].tolist(), part=tiles[new].tolist(), progress=False)
    p_values = np.array([row.p_value for row in results])
    peaks = np.array([row.evidence.anomaly_map.max() for row in results], np.float64)
    of_maps = kind.learnt.map_calibration.p_value(peaks)
    shares = []
    for rate in RATES:
        flagged, regions = p_values <= rate, of_maps <= rate
        shares.append([_by_tile(one, tiles[new]) for one in (flagged, regions, flagged | regions)])
    return np.array(shares).T


def _by_tile(flags: Array, tiles: Array) -> float:
    return float(np.mean([flags[tiles == tile].mean() for tile in np.unique(tiles)]))


if __name__ == "__main__":
    main()
