"""The page of scored items: what it holds of any kind of data."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dn2 import kinds
from dn2.errors import InputError
from dn2.kinds.registry import KINDS, room_of
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.rates import last_rank
from dn2.report import results_page
from dn2.report.around import Map
from dn2.report.results_page import LONGEST_NAME, MOST_REFERENCE_SCORES, thin_scores
from dn2.report.section import Section
from dn2.results.rows import Row
from small_report import M, data_in, many_rows, row, written

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u2028\u202e&lt;"


def test_the_columns_hold_the_rows(tmp_path: Path) -> None:
    rows = [row("x", 3.25, 0.01, "far", "near"), Row("y", error="cut off"), row("z", 0.5, 0.75, "near", "other")]
    data = written(tmp_path / "page.html", rows)
    items, reference = data["items"], data["reference"]
    calibration = data["calibration"]
    values = calibration["values"]
    assert (items["name"], items["score"]) == (["x", "z"], [3.25, 0.5])
    assert [values[rank - 1] for rank in items["rank"]] == [0.01, 0.75]
    assert reference["name"] == ["far", "near", "other"]
    assert (items["starts"], items["near"], items["distance"]) == ([0, 2, 4], [0, 1, 1, 2], [1.0, 2.0, 1.0, 2.0])
    assert data["errors"] == [["y", "cut off"]]
    assert (calibration["rate"], values[calibration["rank"] - 1]) == (0.05, 0.05)
    stops = [values[rank - 1] for rank in calibration["ranks"]]
    assert {0.01, 0.02, 0.05, 0.5} <= set(stops)
    said = dict(zip(stops, zip(calibration["rates"], calibration["decided"], strict=True), strict=True))
    assert said[0.01] == ("1 in 100", " at 1 false alarm in 100")
    assert said[0.03] == ("3 in 100", " at 3 false alarms in 100")
    assert said[0.05] == ("1 in 20", " at 1 false alarm in 20")
    assert stops == sorted(set(stops))
    by_hand = Calibration(np.arange(101.0, 200.0), M)
    assert calibration["thresholds"] == [by_hand.threshold(stop) for stop in stops]
    assert calibration["expected"] == pytest.approx([2 * stop for stop in stops])
    assert reference["scores"] == np.arange(101.0, 200.0).tolist()
    assert data["map"] is None
    assert calibration["warn"] is None
    assert data["parts"] == []


def test_parts_are_listed_and_what_has_no_p_value_is_not_decided(tmp_path: Path) -> None:
    rows = [row("x", 3.0, 0.01), Row("y", 2.0, None, per="new")]
    parts = [replace(row("b", 1.0, 0.5), items=2), replace(row("a", 3.0, 0.013), items=1)]
    data = written(tmp_path / "page.html", rows, parts=parts)
    values = data["calibration"]["values"]
    assert data["items"]["rank"] == [values.index(0.01) + 1, None]
    assert data["parts"] == [["a", 1, 3.0, values.index(0.013) + 1, []], ["b", 2, 1.0, values.index(0.5) + 1, []]]


def test_the_rate_to_warn_at_stands_beside_the_slider(tmp_path: Path) -> None:
    rows = [row("x", 195.0, 0.01, decision="reject"), row("y", 160.0, 0.1, decision="warn"), row("z", 1, 0.9)]
    rows[2] = replace(rows[2], decision="accept")
    by_hand = Calibration(np.arange(101.0, 200.0), M)
    for rate, words in ((0.2, " at 1 in 5"), (None, "")):  # without one, as the results file has it
        calibration = written(tmp_path / "page.html", rows, warn_rate=rate)["calibration"]
        warn, up_to = calibration["warn"], rate or 0.1
        assert calibration["values"][warn["rank"] - 1] == up_to
        assert (warn["threshold"], warn["words"]) == (by_hand.threshold(up_to), words)
        assert warn["expected"] == pytest.approx(3 * up_to)


@given(st.lists(st.integers(1, M + 1), min_size=1), st.floats(1 / (M + 1), 0.999))
def test_the_last_rank_decides_as_the_rate_does(ranks: list[int], rate: float) -> None:
    last = last_rank(rate, M)
    assert [rank <= last for rank in ranks] == [rank / (M + 1) <= rate for rank in ranks]


def test_what_was_decided_together_is_shown_as_it_was_decided(tmp_path: Path) -> None:
    rows = [row(str(rank), -rank, rank / (M + 1), rate=0.07) for rank in range(1, 20)]
    calibration = written(tmp_path / "page.html", rows, None)["calibration"]
    assert (calibration["rate"], calibration["values"][calibration["rank"] - 1]) == (None, 0.07)
    asked = calibration["ranks"].index(calibration["rank"])
    assert calibration["rates"][asked] == "as it was decided"
    assert calibration["decided"][asked] == ", as the results file has it"
    calibration = written(tmp_path / "page.html", [row("a", 1, 0.5)], None)["calibration"]
    assert (calibration["rank"], calibration["ranks"][:2], calibration["thresholds"][0]) == (0, [0, 1], None)


def test_names_are_text_in_the_page_and_the_data_ends_where_it_should(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    rows = [row(HOSTILE, 2, 0.01, HOSTILE), Row(f"2{HOSTILE}", error=HOSTILE)]
    data = written(path, rows, notes=[HOSTILE], guarantee=[HOSTILE], nouns=(HOSTILE, HOSTILE))
    assert data["items"]["name"] == data["reference"]["name"] == [HOSTILE]
    assert data["errors"] == [[f"2{HOSTILE}", HOSTILE]]
    assert "<img" not in path.read_text("utf-8")
    assert "&lt;img src=x" in path.read_text("utf-8")


def test_long_names_are_cut_in_the_middle_and_the_page_says_so(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    name = "a" * 150 + "b" * 150
    data = written(path, [row(name, 1, 0.5, "near"), row("a" * LONGEST_NAME, 0.5, 0.6)])
    cut, whole = data["items"]["name"]
    assert len(cut) == LONGEST_NAME
    assert cut.startswith("a" * 80 + " … ")
    assert cut.endswith("b" * 77)
    assert whole == "a" * LONGEST_NAME
    assert "Names shortened to 160 characters: 1." in path.read_text("utf-8")


def test_the_map_fills_its_square_and_names_places_among_the_readable(tmp_path: Path) -> None:
    rows = [Row("broken", error="x"), row("a", 1, 0.5), row("b", 2, 0.1)]
    drawn = Map(np.array([[0.0, 5.0], [4.0, 5.0]]), np.array([[2.0, 6.0], [1.0, 7.0]]), [1, 2], "Shown are some.")
    found = written(tmp_path / "page.html", rows, map=drawn)["map"]
    assert found == {
        "reference": [[0, 0], [1000, 0]],
        "queries": [[500, 500], [250, 1000]],
        "items": [0, 1],
        "note": "Shown are some.",
    }


def test_very_many_reference_scores_are_thinned_out_evenly() -> None:
    scores = np.arange(3.0 * MOST_REFERENCE_SCORES)
    few = thin_scores(scores)
    assert len(few) == MOST_REFERENCE_SCORES
    assert (few[0], few[-1]) == (scores[0], scores[-1])
    assert set(np.diff(few)) <= {2.0, 3.0, 4.0}
    assert thin_scores(scores[:10]) is not None
    assert len(thin_scores(scores[:10])) == 10


def test_a_page_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        written(tmp_path / "page.html", [row("a", 1, 0.5)])
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_very_many_errors_are_counted_and_the_first_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_page, "MOST_ERRORS", 2)
    data = written(tmp_path / "page.html", [Row(f"item {n}", error="empty") for n in range(5)])
    assert [name for name, _ in data["errors"]] == ["item 0", "item 1"]
    assert data["words"]["lost"] == "; 5 could not be read"
    assert "Of what could not be read the first 2 are listed." in (tmp_path / "page.html").read_text("utf-8")


def test_half_a_surrogate_in_a_name_does_not_stop_the_page(tmp_path: Path) -> None:
    assert written(tmp_path / "page.html", [row("\ud800", 1, 0.5)])["items"]["name"] == ["\ud800"]


def test_only_the_script_that_came_with_dn2_may_run(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    written(path, many_rows(3))
    text = path.read_text("utf-8")
    (allowed,) = re.findall(r"script-src 'sha256-([^']+)'", text)
    code = text.rpartition("<script>")[2].partition("</script>")[0]
    assert base64.b64decode(allowed) == hashlib.sha256(code.encode()).digest()


def test_a_page_names_no_address_and_forbids_every_request(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    written(path, many_rows(3))
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert "http" not in text
    assert "default-src 'none'" in text
    assert data_in(path)["words"]["many"] == "items"


def test_a_kind_without_a_section_has_a_page_of_names_scores_and_neighbors(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    data = written(path, many_rows(5))
    assert data["kind"] is None
    assert '<p id="sources" class="quiet"></p>' in path.read_text("utf-8")


def test_a_section_brings_its_data_its_script_its_style_and_what_it_leaves_out(tmp_path: Path) -> None:
    asked = []

    class Toy(Section):
        def data(self, reference: Mapping[str, int]) -> dict[str, Any]:
            asked.append(dict(reference))
            return {"lengths": [len(row.item) for row in self.rows]}

        def left_out(self) -> list[str]:
            return ["Toys have no pictures."]

        @classmethod
        def script(cls) -> str:
            return "mount(() => ({ text: () => 'toys' }));"

        @classmethod
        def style(cls) -> str:
            return ".toy { color: red; }"

    path = tmp_path / "page.html"
    rows = [row("abc", 1, 0.5, "far", "near"), Row("lost", error="empty"), row("d", 1, 0.5, "near")]
    assert written(path, rows, section=Toy)["kind"] == {"lengths": [3, 1]}
    assert asked == [{"far": 0, "near": 1}]
    text = path.read_text("utf-8")
    assert "Toys have no pictures." in text
    assert ".toy { color: red; }" in text
    code = text.rpartition("<script>")[2].partition("</script>")[0]
    assert code.rstrip().endswith("mount(() => ({ text: () => 'toys' }));")
    assert base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() in text


def test_a_folder_of_a_kind_is_all_that_its_page_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "__init__.py": "",
        "page.py": "from dn2.report.section import Section as Base\n\n\nclass Section(Base):\n"
        "    def data(self, reference):\n        return {'count': len(self.rows)}\n",
        "page.js": "mount(() => ({ text: () => 'toys' }));\n",
        "page.css": ".toy { color: red; }\n",
    }
    (tmp_path / "toy").mkdir()
    for name, text in files.items():
        (tmp_path / "toy" / name).write_text(text)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    try:
        section = room_of("toy", "page").Section
        assert written(tmp_path / "page.html", many_rows(3), section=section)["kind"] == {"count": 3}
        text = (tmp_path / "page.html").read_text("utf-8")
        assert files["page.js"] in text
        assert files["page.css"] in text
        assert room_of("vector", "page") is None
    finally:
        for name in [name for name in sys.modules if name.startswith("dn2.kinds.toy")]:
            del sys.modules[name]


def test_the_pages_name_no_kind() -> None:
    files = [path for path in Path(results_page.__file__).parent.iterdir() if path.is_file()]
    assert len(files) > 10
    said = "".join(path.read_text("utf-8") for path in files)
    assert [kind for kind in KINDS if f"kinds.{kind}" in said or f"kinds/{kind}" in said] == []
