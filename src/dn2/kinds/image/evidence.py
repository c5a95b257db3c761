"""Why a picture is strange: its regions; and why a group is: the members that pull it away from its neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

from dn2.arrays import Array
from dn2.results.checked import as_list, as_number, as_numbers, as_text, as_whole
from dn2.results.rows import Evidence, Neighbor, from_json, in_line

MEMBERS_SAID = 3
REGIONS_SAID = 3


@dataclass(frozen=True, slots=True)
class Member:
    """A picture of a group, as evidence.

    Parameters
    ----------
    item : str
        Its path within the group.
    share : float or None, default=None
        Its share of the group's anomaly score; the shares of all members add up to 1, and a negative one holds the
        group near its neighbors.
    error : str or None, default=None
        Why it could not be read.
    """

    item: str
    share: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class GroupEvidence(Evidence):
    """members : of a group, first the ones that pull it away most, then the unreadable ones."""

    file_columns: ClassVar[tuple[str, ...]] = ("members",)
    members: tuple[Member, ...]

    def as_record(self) -> dict[str, Any]:
        """See `Evidence`."""
        return {"members": [asdict(member) for member in self.members]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """See `Evidence`."""
        members = as_list(from_json(record["members"]))
        return cls(tuple(_member(**member) for member in members))

    def say(self, neighbors: tuple[Neighbor, ...], name: str) -> tuple[str, str]:
        """See `Evidence`."""
        pulling = [member for member in self.members[:MEMBERS_SAID] if member.share is not None]
        shares = ", ".join(f"{member.item} ({member.share:.0%})" for member in pulling)
        return name, f"{in_line(neighbors)}; pulled away by {shares}"

    def unreadable(self) -> Iterator[tuple[str, str]]:
        """See `Evidence`."""
        yield from ((member.item, member.error) for member in self.members if member.error is not None)


@dataclass(frozen=True, slots=True)
class Region:
    """A region of a picture that is strange, in pixels of the picture as it is shown upright.

    Parameters
    ----------
    box : tuple of int
        Left, top, right and bottom; the last two are the first pixels behind it.
    outline : tuple of (int, int)
        Corners, across and down.
    area : int
        Pixels within.
    share : float
        The same as a share of the picture.
    peak : float
        The highest value of the anomaly map within; 1 is usual.
    p_value : float
        Of the peak, among the highest values of the maps of normal pictures.
    nearest : str
        The reference item that has the nearest normal patch to that of the peak.
    nearest_box : tuple of float
        Where that patch lies in it: left, top, right and bottom, as shares of its sides.
    """

    box: tuple[int, int, int, int]
    outline: tuple[tuple[int, int], ...]
    area: int
    share: float
    peak: float
    p_value: float
    nearest: str
    nearest_box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class RegionEvidence(Evidence):
    """The regions of a picture, the strangest first.

    anomaly_map : what they were found in, (height, width) of its cells; size : (width, height) of the picture upright;
    None of both in evidence that was read from a file."""

    file_columns: ClassVar[tuple[str, ...]] = ("regions",)
    heading: ClassVar[str] = "strange regions, nearest normal patches (distance)"
    regions: tuple[Region, ...] = ()
    anomaly_map: Array | None = field(default=None, compare=False, repr=False)
    size: tuple[int, int] | None = field(default=None, compare=False)

    def as_record(self) -> dict[str, Any]:
        """See `Evidence`."""
        return {"regions": [asdict(region) for region in self.regions]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """See `Evidence`."""
        return cls(tuple(_region(**region) for region in as_list(from_json(record["regions"]))))

    def say(self, neighbors: tuple[Neighbor, ...], name: str) -> tuple[str, str]:
        """See `Evidence`."""
        said = [f"{100 * region.share:.2g} % {_place(region)}" for region in self.regions[:REGIONS_SAID]]
        more = len(self.regions) - len(said)
        regions = "; ".join([*said, *([f"{more:,} more"] if more else [])]) or "no region"
        return name, f"{regions}; like {in_line(neighbors)}"


def _member(item: Any, share: Any, error: Any) -> Member:
    return Member(as_text(item), None if share is None else as_number(share), None if error is None else as_text(error))


def _place(region: Region) -> str:
    left, top, right, bottom = region.box
    return f"at {left}, {top} ({right - left} x {bottom - top} px)"


def _region(
    box: Any, outline: Any, area: Any, share: Any, peak: Any, p_value: Any, nearest: Any, nearest_box: Any
) -> Region:
    left, top, right, bottom = map(as_whole, as_list(box))
    near_left, near_top, near_right, near_bottom = as_numbers(nearest_box)
    corners = (map(as_whole, as_list(corner)) for corner in as_list(outline))
    return Region(
        (left, top, right, bottom),
        tuple((across, down) for across, down in corners),
        as_whole(area),
        as_number(share),
        as_number(peak),
        as_number(p_value),
        as_text(nearest),
        (near_left, near_top, near_right, near_bottom),
    )
