"""Pictures of items, of their neighbours and of the members of groups, for the script of a page to show."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from dn2.kinds.exchange import Pictures
from dn2.kinds.image.evidence import Member, Region
from dn2.kinds.image.patches.located import REGIONS_SHOWN
from dn2.kinds.image.pictures import MOST_PICTURES
from dn2.report.section import Section as Base
from dn2.report.shortening import Shortener, round_shown
from dn2.results.rows import Row
from dn2.results.words import rate_in_words

MEMBERS_SHOWN = 5
LONGEST_NAME = 160


class Section(Base):
    """Pictures of the most anomalous items and of their neighbours, and of the members that pull groups away."""

    def __init__(self, rows: Sequence[Row], pictures: Pictures | None = None) -> None:
        super().__init__(rows, pictures)
        self._short = Shortener(LONGEST_NAME)
        self._without_picture = 0

    def data(self, reference: Mapping[str, int]) -> dict[str, Any] | None:
        """See `dn2.report.section.Section`.  Pictures are JPEGs in base64, by place."""
        if self.pictures is None:
            return None
        chosen, neighbors = self._choose()
        located = self._located(chosen)
        self._without_picture = len(self.rows) - len(chosen)
        shown = {} if located is None else located["items"]
        names = [
            name
            for row in (self.rows[place] for place in chosen if place not in shown)
            for name in (row.item, *(_path(row, member) for member in _pulling_members(row)))
        ]
        pictures = _encode_pictures(self.pictures.of_items(names))
        near = _encode_pictures(self.pictures.of_reference(neighbors))
        members = [
            [
                [self._short(member.item), round_shown(member.share or 0), pictures.get(_path(row, member))]
                for member in _pulling_members(row)
            ]
            for row in self.rows
        ]
        return {
            "pictures": {place: pictures[name] for place in chosen if (name := self.rows[place].item) in pictures},
            "reference": {reference[name]: picture for name, picture in near.items()},
            "members": members if any(members) else None,
            "located": located,
        }

    def _located(self, chosen: Sequence[int]) -> dict[str, Any] | None:
        """Return where items are strange, by place; None where nothing tells."""
        rows = {self.rows[place].item: place for place in chosen if self.rows[place].regions is not None}
        if not rows:
            return None
        pictures: Any = self.pictures
        found = pictures.located([self.rows[place] for place in rows.values()])
        threshold, rate, colors = pictures.scale
        return {
            "threshold": round_shown(threshold),
            "rate": rate_in_words(rate),
            "colors": [[round_shown(value), *color] for value, color in colors],
            "regions": {place: [self._region(one) for one in self.rows[place].regions] for place in rows.values()},
            "items": {
                rows[name]: {
                    "picture": _encode(one.picture),
                    "size": one.size,
                    "map": _encode(one.map),
                    "crops": [
                        [_encode(crop.own), crop.box, _encode(crop.near), crop.near_size, crop.near_box, crop.mark]
                        for crop in one.crops
                    ],
                }
                for name, one in found.items()
            },
        }

    def _region(self, region: Region) -> list[Any]:
        shown = [round_shown(number) for number in (region.share, region.peak, region.p_value)]
        return [region.outline, region.box, region.area, *shown, self._short(region.nearest)]

    def left_out(self) -> list[str]:
        """See `dn2.report.section.Section`."""
        words = []
        if self._without_picture:
            words.append(
                f"Without a picture: {self._without_picture:,} of {len(self.rows):,} items. A page holds "
                f"{MOST_PICTURES:,} pictures, those of the most anomalous items and of their neighbours."
            )
        if self._short.count:
            words.append(f"Names of members shortened to {LONGEST_NAME} characters: {self._short.count:,}.")
        return words

    def _choose(self) -> tuple[list[int], list[str]]:
        """Choose the pictures of the page, the most anomalous first: places of items, and names of reference items."""
        chosen: list[int] = []
        reference: dict[str, None] = {}
        left = MOST_PICTURES
        for place in sorted(range(len(self.rows)), key=lambda place: -(self.rows[place].anomaly_score or 0)):
            row = self.rows[place]
            missing = [neighbor.item for neighbor in row.neighbors if neighbor.item not in reference]
            left -= 1 + len(missing) + len(_pulling_members(row))
            if row.regions is not None:  # a larger picture, its map, and two crops a region
                left -= 4 + 2 * min(REGIONS_SHOWN, len(row.regions))
            if left < 0:
                break
            chosen.append(place)
            reference.update(dict.fromkeys(missing))
        return chosen, list(reference)


def _pulling_members(row: Row) -> list[Member]:
    """List the members that pull a group away most, at most `MEMBERS_SHOWN` of them."""
    return [member for member in row.members or () if member.share is not None and member.share > 0][:MEMBERS_SHOWN]


def _path(row: Row, member: Member) -> str:
    return f"{row.item}/{member.item}"


def _encode_pictures(pictures: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(picture).decode() for name, picture in pictures.items()}


def _encode(picture: bytes | None) -> str | None:
    return None if picture is None else base64.b64encode(picture).decode()
