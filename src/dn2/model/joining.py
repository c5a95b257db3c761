"""Items that are to join a reference set: found, named, and told what they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from dn2.arrays import Progress
from dn2.errors import InputError
from dn2.inputs.label_columns import labelling
from dn2.inputs.leaving_out import leaving_out
from dn2.inputs.memory import rename
from dn2.kinds.exchange import Belonging, FoundItems
from dn2.model.belonging import belonging_of_reference
from dn2.model.scoring import find_items
from dn2.model.state import State
from dn2.system.naming import identity


class Joining(NamedTuple):
    """What a person says of items that are to join: see `Model.add`."""

    inputs: Any
    names: Iterable[str] | None
    part: Any
    per: Any
    exclude: str | Sequence[str]
    mask: Any

    def find(self, now: State, progress: Progress | None) -> tuple[FoundItems, Belonging]:
        """Return the items, and what they belong to.

        Raises InputError for a name that the model has already, and for items of which it is not said what they belong
        to, where those of the model belong to something."""
        rules = now.rules.resolve(self.part, self.per)
        with leaving_out(self.exclude), labelling(*rules):
            found_items = find_items(now.kind, self.inputs, progress)
        found_items = found_items if self.names is None else rename(found_items, self.names)
        found_items = now.kind.masked(found_items, self.mask)
        belonging = belonging_of_reference(*now.rules.required(rules), found_items)
        identities = {identity(item.name) for item in now.items}
        if taken := [name for name in found_items.names if identity(name) in identities]:
            raise InputError(
                f"the model has an item {taken[0]!r} already ({len(taken)} such names in all); "
                "remove it first or give the new one another name"
            )
        return found_items, belonging
