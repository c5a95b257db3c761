from __future__ import annotations

import base64
import hashlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dn2.errors import InputError
from dn2.neighbors.conformal import Calibration, last_rank
from dn2.report import contributions, results_page
from dn2.report.contributions import LONGEST_VALUE
from dn2.report.results_page import LONGEST_NAME, MOST_REFERENCE_SCORES, Map, sentence, thinned
from dn2.store.results import Results
from dn2.store.rows import Contribution, Member, Row
from small_report import ROWS, M, data_in, explained, many_rows, row, small_jpeg, surroundings, written

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u2028\u202e&lt;"


def test_the_sentence_says_what_was_asked_and_what_came_out() -> None:
    rows = [row("a", 2, 0.01), row("b", 1, 0.5), Row("c", error="broken")]
    assert sentence(Results(rows, 0.01, M), "image", "images") == (
        "2 images, 1 anomalous at 1 false alarm in 100; 1 could not be read"
    )
    assert sentence(Results(rows[:1], 0.05, M), "image", "images") == "1 image, 1 anomalous at 1 false alarm in 20"
    assert sentence(Results(rows[:2], 0.3, M), "group", "groups") == "2 groups, 1 anomalous at 30 false alarms in 100"
    assert sentence(Results(rows[:2], 0.005, M), "image", "images") == "2 images, 1 anomalous at 1 false alarm in 200"
    assert sentence(Results(rows[:2], 0.03, M), "image", "images") == "2 images, 1 anomalous at 3 false alarms in 100"
    unknown, together = Results(rows[:2], None, M), Results(rows[:2], None, M, false_discovery_rate=0.05)
    assert sentence(unknown, "image", "images") == "2 images, 1 anomalous, as the results file has it"
    assert sentence(together, "image", "images") == "2 images, 1 anomalous at a false-discovery rate of 5 %"
    assert sentence(Results([Row("c", error="broken")], 0.1, M), "image", "images") == (
        "0 images, 0 anomalous at 1 false alarm in 10; 1 could not be read"
    )


def test_the_columns_hold_the_rows(tmp_path: Path) -> None:
    rows = [row("x", 3.25, 0.01, "far", "near"), Row("y", error="cut off"), row("z", 0.5, 0.75, "near", "other")]
    data = written(tmp_path / "page.html", rows)
    items, reference = data["items"], data["reference"]
    assert (items["name"], items["score"], items["rank"]) == (["x", "z"], [3.25, 0.5], [1, 75])
    assert reference["name"] == ["far", "near", "other"]
    assert (items["starts"], items["near"], items["distance"]) == ([0, 2, 4], [0, 1, 1, 2], [1.0, 2.0, 1.0, 2.0])
    assert data["errors"] == [["y", "cut off"]]
    calibration = data["calibration"]
    assert (calibration["size"], calibration["rate"], calibration["rank"]) == (M, 0.05, 5)
    assert {1, 2, 5, 50} <= set(calibration["ranks"])
    assert calibration["ranks"] == sorted(set(calibration["ranks"]))
    by_hand = Calibration(np.arange(101.0, 200.0), M)
    assert calibration["thresholds"] == [by_hand.threshold(rank / (M + 1)) for rank in calibration["ranks"]]
    assert reference["scores"] == np.arange(101.0, 200.0).tolist()
    assert items["members"] is None
    assert data["map"] is None


@given(st.lists(st.integers(1, M + 1), min_size=1), st.floats(1 / (M + 1), 0.999))
def test_the_last_rank_decides_as_the_rate_does(ranks: list[int], rate: float) -> None:
    last = last_rank(rate, M)
    assert [rank <= last for rank in ranks] == [rank / (M + 1) <= rate for rank in ranks]


def test_what_was_decided_together_is_shown_as_it_was_decided(tmp_path: Path) -> None:
    rows = [row(str(rank), -rank, rank / (M + 1), rate=0.07) for rank in range(1, 20)]
    calibration = written(tmp_path / "page.html", rows, None)["calibration"]
    assert (calibration["rate"], calibration["rank"]) == (None, 7)
    calibration = written(tmp_path / "page.html", [row("a", 1, 0.5)], None)["calibration"]
    assert (calibration["rank"], calibration["ranks"][:2], calibration["thresholds"][0]) == (0, [0, 1], None)


def test_names_are_text_in_the_page_and_the_data_ends_where_it_should(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    rows = [row(HOSTILE, 2, 0.01, HOSTILE), Row(f"2{HOSTILE}", error=HOSTILE)]
    data = written(path, rows, notes=[HOSTILE], guarantee=[HOSTILE], many=HOSTILE)
    assert data["items"]["name"] == data["reference"]["name"] == [HOSTILE]
    assert data["errors"] == [[f"2{HOSTILE}", HOSTILE]]
    assert "<img" not in path.read_text("utf-8")
    assert "&lt;img src=x" in path.read_text("utf-8")


def test_the_most_anomalous_have_pictures_and_the_page_says_who_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_page, "MOST_PICTURES", 7)  # the two neighbours that all share, and five
    asked: list[list[str]] = []

    def pictures(names: list[str]) -> dict[str, bytes]:
        asked.append(names)
        return {name: small_jpeg() for name in names}

    path = tmp_path / "page.html"
    data = written(path, many_rows(20), pictures=pictures)
    best = sorted(range(20), key=lambda place: -data["items"]["score"][place])[:5]
    assert set(data["items"]["pictures"]) == {str(place) for place in best}
    assert asked == [[data["items"]["name"][place] for place in best]]
    assert set(data["reference"]["pictures"]) == {"0", "1"}
    assert base64.b64decode(data["reference"]["pictures"]["0"]) == small_jpeg(40)
    assert "Without a picture: 15 of 20 items" in path.read_text("utf-8")


def test_an_item_whose_file_is_gone_has_no_picture(tmp_path: Path) -> None:
    data = written(tmp_path / "page.html", many_rows(3), pictures=lambda names: {}, reference_pictures=lambda names: {})
    assert data["items"]["pictures"] == data["reference"]["pictures"] == {}


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


def test_members_that_pull_a_group_away_have_pictures_and_unreadable_ones_a_reason(tmp_path: Path) -> None:
    members = (*(Member(f"m{n}", 0.45 - n / 10) for n in range(7)), Member("bad", error="empty"))
    data = written(tmp_path / "page.html", [row("lot", 2, 0.01, "good", members=members)])
    (shown,) = data["items"]["members"]
    assert [name for name, _, _ in shown] == ["m0", "m1", "m2", "m3", "m4"]
    assert [share for _, share, _ in shown] == pytest.approx([0.45, 0.35, 0.25, 0.15, 0.05])
    assert all(base64.b64decode(picture) == small_jpeg() for _, _, picture in shown)
    assert data["errors"] == [["lot/bad", "empty"]]


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
    few = thinned(scores)
    assert len(few) == MOST_REFERENCE_SCORES
    assert (few[0], few[-1]) == (scores[0], scores[-1])
    assert set(np.diff(few)) <= {2.0, 3.0, 4.0}
    assert thinned(scores[:10]) is not None
    assert len(thinned(scores[:10])) == 10


def test_a_page_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        results_page.write_results_page(tmp_path / "page.html", Results([row("a", 1, 0.5)], 0.05, M), surroundings())
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_very_many_errors_are_counted_and_the_first_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_page, "MOST_ERRORS", 2)
    data = written(tmp_path / "page.html", [Row(f"item {n}", error="empty") for n in range(5)])
    assert ([name for name, _ in data["errors"]], data["lost"]) == (["item 0", "item 1"], 5)
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
    assert data_in(path)["words"]["many"] == "images"


def test_the_columns_that_make_rows_strange_are_named_once_and_point_to_their_rows(tmp_path: Path) -> None:
    rows = [
        explained(
            "a", 1, Contribution("seats", 0.75, 480, (7, 5)), Contribution("plan", 0.25, "basic", ("team", "team"))
        ),
        Row("lost", error="empty"),
        explained("copy", 0),
        explained("b", 2, Contribution("plan", 1.0, None, ("team", None))),
    ]
    data = written(tmp_path / "page.html", rows, **ROWS)
    assert data["items"]["pictures"] is data["reference"]["pictures"] is data["items"]["members"] is None
    assert data["columns"] == {
        "name": ["plan", "seats"],
        "items": [2, 0],
        "starts": [0, 1, 3],
        "column": [0, 1, 0],
        "share": [1.0, 0.75, 0.25],
        "value": [None, 480, "basic"],
        "near": [["team", None], [7, 5], ["team", "team"]],
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.1 + 0.2, 0.3),
        (1234567.891, 1234567.9),
        (5.0, 5),
        (True, True),
        (math.nan, None),
        (math.inf, "inf"),
        (2**60, "1152921504606846976"),
        ("2025-03-01T00:00:00", "2025-03-01"),
        ("2025-03-01T23:59:00", "2025-03-01 23:59:00"),
        (HOSTILE, HOSTILE),
        ("a" * LONGEST_VALUE, "a" * LONGEST_VALUE),
        ("a" * 60 + "b" * 60, "a" * 40 + " … " + "b" * 37),
    ],
)
def test_a_cell_of_a_table_is_shown_as(tmp_path: Path, value: object, shown: object) -> None:
    found = written(tmp_path / "page.html", [explained("a", 1, Contribution("x", 1.0, value, (value, 1)))], **ROWS)
    assert found["columns"]["value"] == [shown]
    assert found["columns"]["near"] == [[shown, 1]]
    assert "<img" not in (tmp_path / "page.html").read_text("utf-8")
    assert [type(one) for one in found["columns"]["value"]] == [type(shown)]


def test_long_names_of_columns_and_values_are_shortened_and_the_page_says_so(tmp_path: Path) -> None:
    rows = [explained("a", 1, Contribution("c" * 90, 1.0, "v" * 90, ("short", "n" * 90)))]
    (name,) = written(tmp_path / "page.html", rows, **ROWS)["columns"]["name"]
    assert len(name) == LONGEST_VALUE
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "Names of columns and values shortened to 80 characters: 3." in text


def test_the_most_anomalous_rows_are_explained_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contributions, "MOST_EXPLAINED", 3)
    path = tmp_path / "page.html"
    data = written(path, [explained(str(n), n, Contribution("x", 1.0, n, (0, 0))) for n in range(5)], **ROWS)
    assert (data["columns"]["items"], data["columns"]["value"]) == ([4, 3, 2], [4, 3, 2])
    assert "shown for the 3 most anomalous rows; a results file has them for all." in path.read_text("utf-8")


def test_a_page_of_vectors_has_neither_pictures_nor_columns_nor_notes_of_them(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    data = written(path, many_rows(5), **ROWS)
    assert data["columns"] is data["items"]["pictures"] is None
    assert '<p id="sources" class="quiet"></p>' in path.read_text("utf-8")
