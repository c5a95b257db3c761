"""Plates made up: photos of a brushed plate with four holes and a mark, some with a defect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 320, 240
HOLES = ((40, 40), (280, 40), (40, 200), (280, 200))


def plate(seed: int, defect: str = "") -> Image.Image:
    """Make up a photo of a plate; defect : scratch, hole, stain, dent, or none."""
    rng = np.random.default_rng(seed)
    lines = rng.normal(0, 7, (HEIGHT, 1)) + rng.normal(0, 3, (HEIGHT, WIDTH))
    light = 150 + np.linspace(-18, 18, WIDTH) * rng.uniform(0.7, 1.3) + rng.uniform(-8, 8)
    picture = Image.fromarray((lines + light).clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    pen = ImageDraw.Draw(picture)
    closed = HOLES[rng.integers(4)] if defect == "hole" else None
    for across, down in HOLES:
        if (across, down) != closed:
            pen.ellipse((across - 11, down - 11, across + 11, down + 11), 45, 90)
    pen.rectangle((120, 28, 200, 52), outline=95, width=2)
    across, down = rng.uniform(90, 230), rng.uniform(80, 160)
    if defect == "scratch":
        turned, length = rng.uniform(0.3, 1.2), rng.uniform(30, 60)
        end = across + length * np.cos(turned), down + length * np.sin(turned)
        pen.line((across, down, *end), 215, 2)
    if defect in ("stain", "dent"):
        side, shade = (26, 105) if defect == "stain" else (9, 70)
        mask = Image.new("L", picture.size)
        ImageDraw.Draw(mask).ellipse((across - side, down - side * 0.7, across + side, down + side * 0.7), 180)
        picture.paste(shade, mask=mask.filter(ImageFilter.GaussianBlur(side / 4)))
    moved = tuple(rng.integers(-2, 3, 2).tolist())
    return picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, moved[0], 0, 1, moved[1]), fillcolor=150)


def write_plates(folder: Path, *, normal: int = 200, good: int = 30, of_each: int = 3) -> None:
    """Write plates/, the good ones to learn from, and new_plates/, some of which have a defect."""
    (folder / "plates").mkdir()
    for number in range(normal):
        plate(number).save(folder / "plates" / f"plate_{number:03d}.png")
    new = {"good": [""] * good} | {defect: [defect] * of_each for defect in ("scratch", "hole", "stain", "dent")}
    for place, (name, defects) in enumerate(new.items()):
        (folder / "new_plates" / name).mkdir(parents=True)
        for number, defect in enumerate(defects):
            plate(10_000 + 100 * place + number, defect).save(folder / "new_plates" / name / f"{number:02d}.png")
