"""Makes the pictures of the pages in README and docs: from a real run of the demo, and from made-up data.

Run: make screenshots
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import dn2
from made_invoices import invoices, with_errors
from made_messages import messages, with_strangers
from made_plates import write_plates
from made_series import pump, with_anomalies

DEMO = Path("dn2-demo")
IMAGES = Path(__file__).parent / "images"
PORT = "8765"
SERVICE = f"http://127.0.0.1:{PORT}"
COLORS = 128
FINE_COLORS = 256  # where colours say how much


def main() -> None:
    """Open the demo's report, those of invoices, messages, a series and plates, and a service's queue, and take
    pictures of them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, width, height, scheme in (
            ("report", 1280, 1040, "light"),
            ("report-dark", 1280, 900, "dark"),
            ("report-phone", 390, 844, "light"),
        ):
            page = opened(browser, DEMO / "report.html", width, height, scheme)
            take(page, IMAGES / f"{name}.png")
            if name == "report":
                page.locator(".card").first.click()
                take(page, IMAGES / "report-large.png")
        take_table_report(browser)
        take_text_report(browser)
        take_series_report(browser)
        take_patches_report(browser)
        take_queue(browser)
        browser.close()


def take_table_report(browser: Browser) -> None:
    """Take pictures of the report of invoices, and of one of them."""
    with tempfile.TemporaryDirectory() as folder:
        write_table_report(Path(folder, "report.html"))
        page = opened(browser, Path(folder, "report.html"), 1280, 900)
        take(page, IMAGES / "table_report.png")
        page.locator(".card", has_text="inv-2018").click()
        take(page, IMAGES / "table_report-large.png")


def take_text_report(browser: Browser) -> None:
    """Take a picture of the report of messages."""
    with tempfile.TemporaryDirectory() as folder:
        model = dn2.fit(messages(600, seed=0, first=1), column="body", id_column="ticket")
        model.score(with_strangers(messages(200, seed=1, first=2_001))).to_html(Path(folder, "report.html"))
        page = opened(browser, Path(folder, "report.html"), 1280, 900)
        take(page, IMAGES / "text_report.png")


def take_series_report(browser: Browser) -> None:
    """Take a picture of the most anomalous interval in the report of a pump."""
    with tempfile.TemporaryDirectory() as folder:
        model = dn2.fit(pump(4_000, seed=0), time="time", window=60)
        new = with_anomalies(pump(1_600, seed=1, start="2024-04-01"))
        model.score(new).to_html(Path(folder, "report.html"))
        page = opened(browser, Path(folder, "report.html"), 1280, 900)
        page.locator(".card").first.click()
        take(page, IMAGES / "series_report.png")


def take_patches_report(browser: Browser) -> None:
    """Take pictures of the report of plates, and of one that lacks a hole."""
    with tempfile.TemporaryDirectory() as folder:
        write_plates(Path(folder))
        model = dn2.fit(str(Path(folder, "plates")), patches=True)
        model.score(str(Path(folder, "new_plates"))).to_html(Path(folder, "report.html"))
        page = opened(browser, Path(folder, "report.html"), 1280, 900)
        take(page, IMAGES / "patches_report.png", FINE_COLORS)
        page.locator(".card", has_text="hole/02").click()
        take(page, IMAGES / "patches_report-large.png", FINE_COLORS)


def take_queue(browser: Browser) -> None:
    """Take a picture of the page on which what a service flags is judged."""
    with tempfile.TemporaryDirectory() as folder:
        write_plates(Path(folder))
        dn2.fit(str(Path(folder, "plates")), patches=True).save(Path(folder, "plates.dn2"))
        command = [sys.executable, "-m", "dn2", "serve", "plates.dn2", "--port", PORT]
        service = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
        assert service.stderr is not None
        assert "served at" in service.stderr.readline()
        for path in sorted(Path(folder, "new_plates").rglob("*.png")):
            named = urllib.parse.urlencode({"name": path.relative_to(folder).as_posix()})
            urllib.request.urlopen(f"{SERVICE}/v1/score?{named}", path.read_bytes()).close()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{SERVICE}/review/plates")
        page.wait_for_selector("html[data-ready]")
        take(page, IMAGES / "queue.png", FINE_COLORS)
        service.terminate()
        service.communicate()


def opened(browser: Browser, path: Path, width: int, height: int, scheme: str = "light") -> Page:
    """Open a page, and wait for its script."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(path.absolute().as_uri())
    page.wait_for_selector("html[data-ready]")
    return page


def write_table_report(path: Path) -> None:
    """Score 300 invoices, some with an error each, and write the page."""
    model = dn2.fit(invoices(1_000, seed=0, first=1), id_column="invoice")
    model.score(with_errors(invoices(300, seed=1, first=2_001))).to_html(path)


def take(page: Page, path: Path, colors: int = COLORS) -> None:
    """Take a picture of what the window shows; few colours are enough, and small."""
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(colors, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
