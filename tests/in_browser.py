"""Pages in Debian's Chromium: how tests open them, and what no page may do.  `make test-browser` installs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: `make test-browser`")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: `make test-browser`")
CHROMIUM = shutil.which("chromium")
IN_BROWSER = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's Chromium: `make test-browser`"),
    pytest.mark.xdist_group("browser"),  # all in one process, which runs the demo once
]

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Open a file; at the end no request may have left, and the page may have complained of nothing."""
    contexts: list[Any] = []
    requests: list[str] = []
    complaints: list[str] = []

    def opened(
        path: Path, width: int = 1440, height: int = 900, scheme: str = "light", script: str = "", **more: Any
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **more)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        if script:
            page.add_init_script(script)
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert complaints == []


def names_shown(page: Any) -> list[str]:
    shown: list[str] = page.locator(".card .name").all_text_contents()
    return shown


def move_slider(page: Any, to: int) -> None:
    page.locator("#rate").evaluate(
        "(slider, to) => { slider.value = to; slider.dispatchEvent(new Event('input')); }", to
    )
    wait_until(page, f"state.stop === {to}")
    settle(page)


def choose(page: Any, control: str, option: str) -> None:
    page.locator(control).select_option(option)
    settle(page)


def wait_until(page: Any, expression: str) -> None:
    """Ask again and again until it is so; Playwright's own way evaluates texts in the page, which forbids that."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {expression}")


def settle(page: Any) -> None:
    """Wait until what was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def violations(page: Any) -> list[tuple[str, Any]]:
    found = axe.Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"]) for one in found if one["impact"] in ("serious", "critical")]
