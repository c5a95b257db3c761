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
MOST_AUDITED = 300  # pictures of items that are to be judged unseen by score
MOST_LARGE = 100  # large pictures of items, each beside its nearest normal one
READ_AT_ONCE = 8
# What large pictures may take of the file, in characters; of a page with many rows less.
LARGE_CHARACTERS, LEAST_CHARACTERS, CHARACTERS_A_ROW = 15_000_000, 4_000_000, 80
LONGEST_NAME = 160


class Section(Base):
    """Pictures of the most anomalous items and of their neighbours, and of the members that pull groups away."""

    def __init__(self, rows: Sequence[Row], pictures: Pictures | None = None) -> None:
        super().__init__(rows, pictures)
        self._short = Shortener(LONGEST_NAME)
        self._without_picture = 0
        self._chosen: list[int] = []
        self._places: Mapping[str, int] = {}

    def data(self, reference: Mapping[str, int]) -> dict[str, Any] | None:
        """See `dn2.report.section.Section`.  Pictures are JPEGs in base64, by place."""
        if self.pictures is None:
            return None
        chosen, neighbors = self._choose()
        self._chosen, self._places = chosen, reference
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

    def later(self) -> dict[str, Any] | None:
        """Return large pictures by place, of the first that were chosen and of the nearest normal item of each."""
        if self.pictures is None:
            return None
        items: dict[int, str] = {}
        reference: dict[int, str] = {}
        left = max(LEAST_CHARACTERS, LARGE_CHARACTERS - CHARACTERS_A_ROW * len(self.rows))
        audits = [place for place in self._chosen if self.rows[place].audit]
        others = [place for place in self._chosen if not self.rows[place].audit]
        wanted = [*audits[: MOST_LARGE // 2], *others][:MOST_LARGE]
        for first in range(0, len(wanted), READ_AT_ONCE):
            rows = {self.rows[place].item: place for place in wanted[first : first + READ_AT_ONCE]}
            near = {row.neighbors[0].item for place in rows.values() if (row := self.rows[place]).neighbors}
            near = {name for name in near if self._places[name] not in reference}
            own = _encode_pictures(self.pictures.large_of_items(list(rows)))
            normal = _encode_pictures(self.pictures.large_of_reference(sorted(near)))
            left -= sum(map(len, (*own.values(), *normal.values())))
            if left < 0:
                break
            items |= {rows[name]: picture for name, picture in own.items()}
            reference |= {self._places[name]: picture for name, picture in normal.items() if picture}
        return {"items": items, "reference": reference}

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
        """Choose the pictures of the page, of audits and then the most anomalous first: places of items, and names of
        reference items."""
        chosen: list[int] = []
        reference: dict[str, None] = {}
        left = MOST_PICTURES
        audits = [place for place, row in enumerate(self.rows) if row.audit]
        others = [place for place, row in enumerate(self.rows) if not row.audit]
        others.sort(key=lambda place: -(self.rows[place].anomaly_score or 0))
        for place in (*audits[:MOST_AUDITED], *others):
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
