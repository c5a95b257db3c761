"""The pages of the service in a browser: items judged by keyboard, a picture dropped, the model changed and back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dn2
from in_browser import IN_BROWSER, browser, violations
from serve_models import Process, png, saved_parts, serving

__all__ = ["browser", "saved_parts", "serving"]

pytestmark = IN_BROWSER

DROP = """async ([bytes, name]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  document.body.dispatchEvent(new DragEvent("dragover", { bubbles: true, cancelable: true, dataTransfer: data }));
  document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data }));
}"""


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open an address; at the end no request may have left for another, and no page may have complained."""
    pages: list[tuple[str, Any, list[str], list[str]]] = []

    def opened(address: str, path: str, **more: Any) -> Any:
        requests: list[str] = []
        complaints: list[str] = []
        page = browser.new_context(**more).new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        pages.append((address, page, requests, complaints))
        page.goto(address + path)
        page.wait_for_selector(".card:focus, #large[open], main:not(:has(#gallery))")
        return page

    yield opened
    for address, page, requests, complaints in pages:
        page.context.close()
        assert [url for url in requests if not url.startswith((f"{address}/", "data:", "blob:"))] == []
        assert [words for words in complaints if "status of 429" not in words] == []


def marked(page: Any) -> list[str]:
    """Return the pressed verdict of each card, in their order."""
    return [card.get_attribute("data-verdict") or "" for card in page.locator("#gallery .marks").element_handles()]


def test_a_queue_is_judged_by_keyboard_and_the_model_learns_and_forgets(
    serving: Callable[..., Process], visit: Callable[..., Any], saved_parts: Path, tmp_path: Path
) -> None:
    import httpx

    folder = tmp_path / "parts.dn2"
    shutil.copytree(saved_parts, folder)
    before = (folder / "model.json").read_bytes()
    process = serving(folder)
    files = [("file", (f"odd {seed}.png", png(700 + seed, strange=True))) for seed in range(4)]
    results = httpx.post(f"{process.address}/v1/score", files=files).json()["results"]
    assert [row["decision"] for row in results] == ["reject"] * 4

    page = visit(process.address, "/review/parts")
    assert "4 items wait for a verdict" in page.content()
    assert page.locator("h1").inner_text() == "parts: 4 items to judge"
    for keys in ("n", "j", "n", "j", "a", "ArrowRight", "d", "z", "u"):  # z takes the d back
        page.keyboard.press(keys)
    assert marked(page) == ["normal", "normal", "defect", "unsure"]
    page.keyboard.press("z")
    page.wait_for_load_state("networkidle")
    assert violations(page) == []

    page.goto(f"{process.address}/review/parts")  # a mark that was taken back waits again, the others do not
    assert marked(page) == [""]
    page.keyboard.press("n")
    page.wait_for_load_state("networkidle")
    page.evaluate(DROP, [list(png(800, strange=True)), "dropped.png"])
    page.wait_for_selector("#large[open]")
    assert "dropped.png" in page.locator("#large-name").inner_text()
    assert page.locator("#large-body .verdict").inner_text().startswith("anomalous")
    assert page.locator("#large-body img").count() >= 2  # its picture, and those of its nearest
    page.keyboard.press("Escape")

    page.goto(f"{process.address}/review/parts/model")
    page.get_by_role("button", name="Take 4 verdicts into the model").click()
    page.get_by_text("0 of 1 defects are flagged at 1 in 50, 1 before").first.wait_for()  # alike as they all are
    assert page.get_by_text("somebody").count() >= 4
    assert violations(page) == []
    (again,) = httpx.post(f"{process.address}/v1/score", files=files[:1]).json()["results"]
    assert again["decision"] == "accept"
    assert len(dn2.load(folder).history()) == 2

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Roll back").click()
    page.get_by_text("taken back: feedback").first.wait_for()
    assert (folder / "model.json").read_bytes() == before
    (back,) = httpx.post(f"{process.address}/v1/score", files=files[:1]).json()["results"]
    assert back["decision"] == "reject"
    page.goto(f"{process.address}/review")
    assert violations(page) == []


def test_a_verdict_that_cannot_be_kept_is_told(
    serving: Callable[..., Process], visit: Callable[..., Any], saved_parts: Path
) -> None:
    import httpx

    process = serving(saved_parts)
    httpx.post(f"{process.address}/v1/score", content=png(700, strange=True))
    page = visit(process.address, "/review/parts")
    page.route("**/verdict", lambda route: route.fulfill(status=429, json={"error": "come again"}))
    with page.expect_response("**/verdict"):
        page.keyboard.press("n")
    page.get_by_text("Not kept").wait_for()
    assert "come again" in page.locator("#served-said").inner_text()


def test_an_empty_queue_takes_a_dropped_picture(
    serving: Callable[..., Process], visit: Callable[..., Any], saved_parts: Path
) -> None:
    process = serving(saved_parts)
    page = visit(process.address, "/review/parts")
    assert page.get_by_role("heading", name="Nothing to judge").is_visible()
    assert violations(page) == []
    page.evaluate(DROP, [list(png(5)), "usual.png"])
    page.wait_for_selector("#large[open]")
    assert page.locator("#large-body .verdict").inner_text().startswith("normal")
    page.evaluate(DROP, [[1, 2, 3], "broken.png"])
    page.get_by_text("broken.png cannot be read").wait_for()
