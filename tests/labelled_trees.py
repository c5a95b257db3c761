"""Data sets of tiny pictures, laid out as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (6, 4)  # width, height


def picture(path: Path, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 90).save(path)
    return path


def mask(path: Path, white: int = 255, size: tuple[int, int] = SIZE, empty: bool = False) -> Path:
    """Save a mask whose upper left pixel is a defect."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.zeros(size[::-1], np.uint8)
    numbers[0, 0] = 0 if empty else white
    Image.fromarray(numbers).save(path)
    return path


def mvtec(folder: Path) -> None:
    for name in ("train/good/000", "train/good/001", "test/good/000", "test/bent/000", "test/bent/001", "test/cut/000"):
        picture(folder / f"{name}.png")
    for name in ("bent/000", "bent/001", "cut/000"):
        mask(folder / "ground_truth" / f"{name}_mask.png")


def mvtec_2(folder: Path) -> None:
    for name in ("train/good/000_regular", "validation/good/000_regular", "test_public/good/000_regular"):
        picture(folder / f"{name}.png")
    for light in ("regular", "shift_1"):
        picture(folder / f"test_public/bad/003_{light}.png")
        mask(folder / f"test_public/ground_truth/bad/003_{light}_mask.png")
    picture(folder / "test_private/000_regular.png")


def btech(folder: Path, mask_ending: str) -> None:
    for name in ("train/ok/0000", "test/ok/0000", "test/ko/0000"):
        picture(folder / f"{name}.bmp")
    mask(folder / f"ground_truth/ko/0000.{mask_ending}")


def visa(root: Path) -> None:
    rows, annotations = ["object,split,label,image,mask"], ["image,label,mask"]
    for name, split in (("Normal/0000", "train"), ("Normal/0001", "test"), ("Anomaly/000", "test")):
        image = f"candle/Data/Images/{name}.JPG"
        picture(root / image)
        label, mask_path = ("normal", "") if "Normal" in name else ("anomaly", "candle/Data/Masks/Anomaly/000.png")
        rows.append(f"candle,{split},{label},{image},{mask_path}")
        annotations.append(f"{image},{'normal' if label == 'normal' else chr(34) + 'melt,spot' + chr(34)},{mask_path}")
    mask(root / "candle/Data/Masks/Anomaly/000.png", white=1)
    (root / "split_csv").mkdir()
    (root / "split_csv/1cls.csv").write_text("\n".join([*rows, "pcb1,train,normal,pcb1/Data/Images/Normal/0.JPG,"]))
    (root / "candle/image_anno.csv").write_text("\n".join(annotations))


def kolektor(folder: Path) -> None:
    for part in ("kos01", "kos02"):
        for side in range(2):
            picture(folder / part / f"Part{side}.jpg")
            mask(folder / part / f"Part{side}_label.bmp", empty=(part, side) != ("kos02", 1))


def kolektor_2(folder: Path) -> None:
    for split, name, empty in (("train", 10000, True), ("train", 10001, False), ("test", 20000, True)):
        picture(folder / split / f"{name}.png")
        mask(folder / split / f"{name}_GT.png", empty=empty)
