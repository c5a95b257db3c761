"""Makes the pictures of README from a real run of the demo.

Run: python docs/make_pictures.py  (after `make demo`)
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

DEMO = Path("dn2-demo")
SHOWN = 6
SIDE, GAP, LINE = 96, 16, 18
RED, GREY, BLACK = "#b3261e", "#5f6368", "#202124"


def main() -> None:
    """Draw the digits most surely anomalous, each above the two normal ones nearest to it."""
    results = pd.read_csv(DEMO / "results.csv").sort_values("anomaly_score", ascending=False)
    results["digit"] = results["item"].str.split("/").str[0]
    picked = results[results["is_anomaly"]].groupby("digit", sort=False).head(1).head(SHOWN)
    normal = results[~results["is_anomaly"]].tail(1)
    columns = pd.concat([picked, normal])
    left = 128
    width = left + len(columns) * (SIDE + GAP) + GAP
    height = GAP + 3 * (SIDE + GAP) + 5 * LINE
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for line, words in enumerate(("scored", "nearest normal", "second nearest")):
        draw.text((GAP, row_top(line) + SIDE / 2), words, BLACK, font(13), anchor="lm")
    for number, row in enumerate(columns.to_dict("records")):
        x = left + number * (SIDE + GAP)
        frame = RED if row["is_anomaly"] else GREY
        place(sheet, DEMO / "incoming" / row["item"], x, row_top(0), frame)
        draw.text((x, row_top(0) + SIDE + 3), f"score {row['anomaly_score']:.3f}", BLACK, font(12))
        verdict = "anomaly" if row["is_anomaly"] else "normal"
        draw.text((x, row_top(0) + SIDE + 3 + LINE), f"p {row['p_value']:.3f}  {verdict}", frame, font(12))
        for rank, neighbor in enumerate(json.loads(row["neighbors"]), 1):
            place(sheet, DEMO / "normal" / neighbor["item"], x, row_top(rank), GREY)
            draw.text((x, row_top(rank) + SIDE + 3), f"distance {neighbor['distance']:.2f}", GREY, font(12))
    target = Path(__file__).parent / "images" / "evidence.png"
    sheet.quantize(64).save(target, optimize=True)
    print(target)


def row_top(row: int) -> int:
    """Return the top of a row of pictures in pixels."""
    return GAP + row * (SIDE + GAP) + (2 * LINE + 4 if row else 0) + (LINE if row == 2 else 0)


def place(sheet: Image.Image, path: Path, x: int, y: int, frame: str) -> None:
    """Paste a picture with a frame."""
    sheet.paste(Image.open(path).resize((SIDE, SIDE)).convert("RGB"), (x, y))
    ImageDraw.Draw(sheet).rectangle((x - 1, y - 1, x + SIDE, y + SIDE), outline=frame, width=2)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font."""
    return ImageFont.load_default(size)


if __name__ == "__main__":
    main()
