"""Makes the pictures of the pages in README and docs from a real run of the demo.

Run: make screenshots
"""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

DEMO = Path("dn2-demo")
IMAGES = Path(__file__).parent / "images"
COLORS = 128


def main() -> None:
    """Open the demo's report and take pictures of it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, width, height, scheme in (
            ("report", 1280, 1040, "light"),
            ("report-dark", 1280, 900, "dark"),
            ("report-phone", 390, 844, "light"),
        ):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto((DEMO / "report.html").absolute().as_uri())
            page.wait_for_selector("html[data-ready]")
            take(page, IMAGES / f"{name}.png")
            if name == "report":
                page.locator(".card").first.click()
                take(page, IMAGES / "report-large.png")
        browser.close()


def take(page: Page, path: Path) -> None:
    """Take a picture of what the window shows; few colours are enough, and small."""
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
