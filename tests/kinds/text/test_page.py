"""What messages say, on a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from dn2.kinds.text.evidence import MessageEvidence, Wording
from dn2.kinds.text.page import LONGEST_MESSAGE, Section
from dn2.report import shortening
from dn2.results.rows import Row
from small_report import row, written


def message(name: str, score: float, text: str, new_words: tuple[str, ...] = ()) -> Row:
    evidence = MessageEvidence(Wording(text, new_words, ("where is my order", "order lost")))
    return row(name, score, 0.01, "near 1", "near 2", evidence=evidence)


def test_words_that_are_new_are_marked_and_neighbors_quoted_once(tmp_path: Path) -> None:
    rows = [
        message("t-1", 1, "where is it", ("it",)),
        Row("lost", error="no text"),
        message("t-2", 2, "WINNER claim order NOW", ("WINNER", "claim", "NOW")),
    ]
    data = written(tmp_path / "page.html", rows, section=Section)
    assert data["kind"] == {
        "items": [1, 0],  # the most anomalous first, by their places among those that could be read
        "value": [["", "WINNER", " ", "claim", " order ", "NOW", ""], ["where is ", "it", ""]],
        "reference": {"0": "where is my order", "1": "order lost"},
    }


def test_a_page_without_a_message_has_nothing_to_show(tmp_path: Path) -> None:
    assert written(tmp_path / "page.html", [row("a", 1, 0.5)], section=Section)["kind"] is None


def test_a_page_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortening, "MOST_EXPLAINED", 2)
    rows = [message(str(n), n, "word " * LONGEST_MESSAGE if n == 3 else "word") for n in range(4)]
    data = written(tmp_path / "page.html", rows, section=Section)
    assert data["kind"]["items"] == [3, 2]
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "What they say is shown for the 2 most anomalous messages" in text
    assert "Messages shortened to 600 characters: 1." in text
