"""The whole story in under a minute, on real data that comes with scikit-learn."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

import dn2
from dn2.cli.progress import progress
from dn2.cli.show import evaluation_table, results_table
from dn2.errors import InputError
from dn2.results.evaluation import evaluate
from dn2.results.words import rate_in_words
from dn2.store.cache import Cache

DIGIT = 3
FALSE_ALARM_RATE = 0.05
REFERENCE_SHARE = 0.75
SCALE = 8
WRITTEN = {"normal", "incoming", "digits.dn2", "results.csv", "report.html"}


def run(folder: Path, console: Console) -> None:
    """Write handwritten digits as PNG files, fit on one of them, score all ten, show the results.

    folder : for the pictures, the model and the results; files of an earlier run are replaced.
    Raises InputError for a folder that holds other files."""
    existing = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    if strangers := {name for name in existing - WRITTEN if not name.startswith(".")}:
        raise InputError(
            f"{folder} holds {min(strangers)!r}, and the demo would write among it; give another folder with -o"
        )
    normal, incoming = write_digits(folder)
    console.print(f"[bold]1.[/] Normal is the digit {DIGIT}: {_count(normal)} pictures in {normal}")
    cache = Cache()
    with progress("embedding") as show:
        model = dn2.fit(normal, false_alarm_rate=FALSE_ALARM_RATE, cache=cache, progress=show)
    model.save(folder / "digits.dn2", overwrite=True)
    console.print(f"[bold]2.[/] Scoring {_count(incoming)} pictures of all ten digits in {incoming}\n")
    with progress("scoring") as show, _expecting_strangers():
        results = model.score(incoming, progress=show)
    results.to_csv(folder / "results.csv")
    results.to_html(folder / "report.html")
    results_table(results, console)
    console.print(
        f"\n{results.summary()}; all rows are in {folder / 'results.csv'}, and to look at in {folder / 'report.html'}\n"
    )
    truth = np.array([not row.item.startswith(f"{DIGIT}/") for row in results])
    scores, p_values = (np.array([getattr(row, name) for row in results]) for name in ("anomaly_score", "p_value"))
    console.print(f"[bold]3.[/] The truth is known here: {DIGIT} is normal, any other digit is not")
    evaluation_table(evaluate(scores, p_values, truth, model.false_alarm_rate), console)
    console.print(
        f"\nThe rate asked for, {rate_in_words(FALSE_ALARM_RATE)}, holds on average over reference sets; "
        "no threshold was set."
        f"\nNext: [bold]dn2 inspect {folder / 'digits.dn2'}[/], or your own: "
        "[bold]dn2 fit good_parts/ -o parts.dn2[/] and [bold]dn2 score parts.dn2 incoming/[/]"
    )


@contextmanager
def _expecting_strangers() -> Iterator[None]:
    """Keep back the warning that most of a batch is far out, which is what the demo shows."""
    logger = logging.getLogger("dn2")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def write_digits(folder: Path) -> tuple[Path, Path]:
    """Write scikit-learn's 1,797 digits as 64 x 64 PNG files.

    Returns the folder of reference pictures (the first three quarters of one digit), and the folder of all the rest,
    `incoming/<digit>/<number>.png`."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    normal, incoming = folder / "normal", folder / "incoming"
    places = np.flatnonzero(digits.target == DIGIT)
    reference = set(places[: int(REFERENCE_SHARE * len(places))].tolist())
    for number, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = (normal if number in reference else incoming / str(digit)) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((pixels * (255 / 16)).astype(np.uint8))
        picture.resize((8 * SCALE, 8 * SCALE), Image.Resampling.BICUBIC).save(path)
    return normal, incoming


def _count(folder: Path) -> str:
    return f"{sum(1 for _ in folder.rglob('*.png')):,}"
