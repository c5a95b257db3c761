"""Makes the pictures of the pages in README and docs: from a real run of the demo, and from invoices made up.

Run: make screenshots
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import dn2

DEMO = Path("dn2-demo")
IMAGES = Path(__file__).parent / "images"
COLORS = 128
PLANS = {"basic": 9.0, "team": 19.0, "business": 32.0, "enterprise": 45.0}


def main() -> None:
    """Open the demo's report and one of invoices, and take pictures of them."""
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
        browser.close()


def take_table_report(browser: Browser) -> None:
    """Take pictures of the report of invoices, and of one of them."""
    with tempfile.TemporaryDirectory() as folder:
        write_table_report(Path(folder, "report.html"))
        page = opened(browser, Path(folder, "report.html"), 1280, 900)
        page.locator("#items-title").evaluate("title => title.scrollIntoView()")
        take(page, IMAGES / "table_report.png")
        page.locator(".card", has_text="inv-2018").click()
        take(page, IMAGES / "table_report-large.png")


def opened(browser: Browser, path: Path, width: int, height: int, scheme: str = "light") -> Page:
    """Open a page, and wait for its script."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(path.absolute().as_uri())
    page.wait_for_selector("html[data-ready]")
    return page


def write_table_report(path: Path) -> None:
    """Score 300 invoices, some with an error each, and write the page."""
    new = invoices(300, seed=1, first=2_001)
    new.loc[17, "amount"] *= 100  # a point lost
    new.loc[58, "country"] = "XK"
    new.loc[104, ["plan", "seats"]] = ["basic", 480]
    new.loc[163, "delay"] = 214.0
    new.loc[221, "amount"] = np.nan
    new.loc[270, "seats"] = 0
    dn2.fit(invoices(1_000, seed=0, first=1), id_column="invoice").score(new).to_html(path)


def invoices(count: int, *, seed: int, first: int) -> pandas.DataFrame:
    """Make up invoices of a service that is paid by the seat."""
    rng = np.random.default_rng(seed)
    plan = rng.choice(list(PLANS), count, p=[0.4, 0.3, 0.2, 0.1])
    seats = np.maximum(1, np.rint(rng.lognormal(np.array([list(PLANS).index(one) for one in plan]) + 1, 0.5))).astype(
        int
    )
    price = np.array([PLANS[one] for one in plan])
    discount = np.where(seats >= 50, 0.9, 1)
    return pandas.DataFrame(
        {
            "invoice": [f"inv-{number:04d}" for number in range(first, first + count)],
            "plan": plan,
            "seats": seats,
            "amount": np.round(seats * price * discount * rng.choice([1.0, 1.19, 1.2], count), 2),
            "country": rng.choice(["DE", "FR", "AT", "ES", "IT", "PL"], count, p=[0.35, 0.2, 0.1, 0.15, 0.12, 0.08]),
            "delay": np.round(rng.gamma(3, 4, count)),
        }
    )


def take(page: Page, path: Path) -> None:
    """Take a picture of what the window shows; few colours are enough, and small."""
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
