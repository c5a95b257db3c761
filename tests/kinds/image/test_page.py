"""Pictures on a page: whose there are, and what is said of the others."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import pytest

from dn2.kinds.image import page as image_page
from dn2.kinds.image.evidence import GroupEvidence, Member
from small_report import SmallPictures, many_rows, row, small_jpeg, written_images


def test_the_most_anomalous_have_pictures_and_the_page_says_who_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_page, "MOST_PICTURES", 7)  # the two neighbours that all share, and five
    asked: list[Sequence[str]] = []

    def pictures(names: Sequence[str]) -> dict[str, bytes]:
        asked.append(names)
        return {name: small_jpeg() for name in names}

    path = tmp_path / "page.html"
    data = written_images(path, many_rows(20), SmallPictures(pictures))
    best = sorted(range(20), key=lambda place: -data["items"]["score"][place])[:5]
    assert set(data["kind"]["pictures"]) == {str(place) for place in best}
    assert asked == [[data["items"]["name"][place] for place in best]]
    assert set(data["kind"]["reference"]) == {"0", "1"}
    assert base64.b64decode(data["kind"]["reference"]["0"]) == small_jpeg(40)
    assert data["kind"]["members"] is None
    assert "Without a picture: 15 of 20 items" in path.read_text("utf-8")


def test_an_item_whose_file_is_gone_has_no_picture(tmp_path: Path) -> None:
    gone = SmallPictures(lambda names: {}, lambda names: {})
    data = written_images(tmp_path / "page.html", many_rows(3), gone)
    assert data["kind"] == {"pictures": {}, "reference": {}, "members": None, "located": None}


def test_members_that_pull_a_group_away_have_pictures_and_unreadable_ones_a_reason(tmp_path: Path) -> None:
    members = (*(Member(f"m{n}", 0.45 - n / 10) for n in range(7)), Member("bad", error="empty"))
    rows = [row("lot", 2, 0.01, "good", evidence=GroupEvidence(members)), row("plain", 1, 0.5, "good")]
    data = written_images(tmp_path / "page.html", rows)
    shown, none = data["kind"]["members"]
    assert [name for name, _, _ in shown] == ["m0", "m1", "m2", "m3", "m4"]
    assert [share for _, share, _ in shown] == pytest.approx([0.45, 0.35, 0.25, 0.15, 0.05])
    assert all(base64.b64decode(picture) == small_jpeg() for _, _, picture in shown)
    assert none == []
    assert data["errors"] == [["lot/bad", "empty"]]


def test_long_names_of_members_are_cut_and_counted(tmp_path: Path) -> None:
    rows = [row("lot", 2, 0.01, "good", evidence=GroupEvidence((Member("m" * 161, 1.0),)))]
    data = written_images(tmp_path / "page.html", rows)
    assert len(data["kind"]["members"][0][0][0]) == 160
    assert "Names of members shortened to 160 characters: 1." in (tmp_path / "page.html").read_text("utf-8")
