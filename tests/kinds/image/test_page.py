"""Pictures on a page: whose there are, and what is said of the others."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dn2.inputs.items import Item
from dn2.kinds.exchange import ReferenceItem
from dn2.kinds.image import page as image_page
from dn2.kinds.image.evidence import GroupEvidence, Member
from dn2.kinds.image.pictures import ItemPictures
from dn2.store.packed import PackedBytes
from small_report import SmallPictures, data_in, many_rows, row, small_jpeg, written_images


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


def test_large_pictures_are_those_of_audits_and_of_the_most_anomalous_within_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = many_rows(40)
    order = sorted(range(40), key=lambda place: -(rows[place].anomaly_score or 0))
    drawn = sorted(order[-3:])
    for place in drawn:
        rows[place] = replace(rows[place], audit=True)
    large = {one.item: bytes(3_000) for one in rows} | {rows[order[1]].item: b""}  # 4,000 characters each
    pictures = SmallPictures(large=lambda names: {name: large[name] for name in names})
    monkeypatch.setattr(image_page, "LARGE_CHARACTERS", 80_000)
    monkeypatch.setattr(image_page, "LEAST_CHARACTERS", 0)
    monkeypatch.setattr(image_page, "CHARACTERS_A_ROW", 100)
    path = tmp_path / "page.html"
    kind = written_images(path, rows, pictures)["kind"]
    assert set(map(str, drawn)) <= kind["pictures"].keys()
    later = data_in(path, "later")
    best = [place for place in order if place not in drawn]
    # Eight at once: 16 of them take less than 76,000 characters, and 24 more.
    assert {int(place) for place in later["items"]} == {*drawn, *best[:13]}
    assert later["items"][str(order[1])] == ""  # its small picture shows all of it
    assert later["reference"].keys() == {"0"}  # the one that is nearest to all


def test_a_large_picture_is_of_the_file_that_was_read_then(tmp_path: Path) -> None:
    for name, size in (("large", (2_000, 1_000)), ("small", (100, 150)), ("changed", (900, 900))):
        Image.new("L", size, 90).save(tmp_path / f"{name}.png")
    names = ["large", "small", "changed", "gone", "memory"]
    files = [Item(name, tmp_path / f"{name}.png", in_memory=name == "memory") for name in names]
    digests = {name: hashlib.sha256((tmp_path / f"{name}.png").read_bytes()).hexdigest() for name in names[:3]}
    reference = [ReferenceItem(name, str(tmp_path / f"{name}.png"), digest) for name, digest in digests.items()]
    Image.new("L", (900, 900), 91).save(tmp_path / "changed.png")
    pictures = ItemPictures(PackedBytes.of([]), reference, files, None)
    own, normal = pictures.large_of_items(names), pictures.large_of_reference(names)
    assert (own.keys(), normal.keys()) == ({"large", "small", "changed"}, {"large", "small"})
    assert Image.open(io.BytesIO(own["large"])).size == (1_200, 600)
    assert (own["small"], normal["small"]) == (b"", b"")
