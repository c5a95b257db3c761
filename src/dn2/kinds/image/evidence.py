"""Why a group of pictures is strange: the members that pull it away from its neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from dn2.results.checked import as_list, as_number, as_text
from dn2.results.rows import Evidence, Neighbor, from_json, in_line

MEMBERS_SAID = 3


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


def _member(item: Any, share: Any, error: Any) -> Member:
    return Member(as_text(item), None if share is None else as_number(share), None if error is None else as_text(error))
