"""What the items of a model belong to: from what a person says, or from the rule that the model was fitted with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2.errors import InputError
from dn2.inputs.labels import check_all_labelled, is_kept, labels_by
from dn2.inputs.names import list_few
from dn2.kinds.exchange import Belonging, FoundItems, ReferenceItem
from dn2.neighbors.membership import ROLES, Membership, keys_of_texts
from dn2.system.interface import option

logger = logging.getLogger("dn2")

AS_AT_FIT = True  # in place of a rule: that of the model


@dataclass(frozen=True)
class Rules:
    """How a model tells what items belong to, as it was said at fit.

    part, per : a column, `folder` or a pattern; '' where each item was labelled; None where items belong to nothing."""

    part: str | None = None
    per: str | None = None

    @classmethod
    def of(cls, part: Any, per: Any) -> Rules:
        """Keep what may be applied again of what a person says."""
        return cls(*(None if said is None else said if is_kept(said) else "" for said in (part, per)))

    def check(self) -> None:
        """Raise ValueError unless these may come with a model."""
        for name, rule in vars(self).items():
            if rule is not None and not isinstance(rule, str):
                raise ValueError(f"{name} must be a rule, got {rule!r:.80}")

    def resolve(self, part: Any, per: Any) -> tuple[Any, Any]:
        """Return the rules to go by: those that are said, or else the model's; None where there are none.

        Raises InputError for a rule that the model has no use for."""
        return self._resolve("part", part, self.part), self._resolve("per", per, self.per)

    def required(self, rules: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return resolved rules.  Raises InputError where the model's items belong to something and none tells what."""
        for name, own, rule in zip(("part", "per"), (self.part, self.per), rules, strict=True):
            if own is not None and rule is None:
                raise InputError(f"{option(name)} was a list at fit: give one for the items that join, too")
        return rules

    def _resolve(self, name: str, said: Any, own: str | None) -> Any:
        if own is None and said is not None:
            raise InputError(
                f"the model was fitted without {option(name)}: fit it with {option(name)}, or leave it out here"
            )
        if said is None or said is AS_AT_FIT:
            if said is AS_AT_FIT and not own:
                raise InputError(f"{option(name)} was a list at fit: give one for these items, too")
            return own or None
        return said


def belonging_of(part: Any, per: Any, found_items: FoundItems) -> Belonging:
    """Return what found items belong to, as rules or labels say it; None for what is not said."""
    columns = getattr(found_items, "labels", {})
    names = list(found_items.names)
    said = (("part", part), ("per", per))
    return Belonging(*(None if rule is None else labels_by(rule, names, columns, name) for name, rule in said))


def belonging_of_reference(part: Any, per: Any, found_items: FoundItems) -> Belonging:
    """Return what items belong to that are to join a reference set.

    Raises InputError for readable items without a label, where others have one."""
    belonging = belonging_of(part, per, found_items)
    errors = getattr(found_items, "errors", {})
    readable = [place for place in range(len(found_items.names)) if place not in errors]
    names = [found_items.names[place] for place in readable]
    for name, labels, rule in (("part", belonging.part, part), ("per", belonging.per, per)):
        if labels is not None:
            check_all_labelled([labels[place] for place in readable], names, rule, name)
    return belonging


def warn_of_unlabelled(belonging: Belonging, found_items: FoundItems) -> None:
    """Say which items to score have no label."""
    ends = {"part": "are taken for items of parts that are new", "per": "are not decided"}
    for name, labels in (("part", belonging.part), ("per", belonging.per)):
        lacking = (
            []
            if labels is None
            else [item for item, label in zip(found_items.names, labels, strict=True) if label is None]
        )
        if lacking:
            few = list_few(lacking)
            n = len(found_items.names)
            logger.warning(
                "%s says nothing of %d of %d items, which %s: %s", option(name), len(lacking), n, ends[name], few
            )


def label(items: Sequence[ReferenceItem], belonging: Belonging, found_items: FoundItems) -> list[ReferenceItem]:
    """Note what reference items belong to; belonging : of all found items, by name."""
    if belonging.part is None and belonging.per is None:
        return list(items)
    places = {name: place for place, name in enumerate(found_items.names)}
    labelled = []
    for item in items:
        part, per = belonging.of(places[item.name])
        labelled.append(item._replace(part=part or "", per=per or ""))
    return labelled


def membership_of(items: Sequence[ReferenceItem], rules: Rules) -> Membership:
    """Return what reference items belong to, by key.  Raises ValueError for an item without a label."""
    parts = None if rules.part is None else [item.part for item in items]
    strata = None if rules.per is None else [item.per for item in items]
    if "" in (parts or ()) or "" in (strata or ()):
        raise ValueError("each reference item must have a label, where any has one")
    part, per = (None if labels is None else keys_of_texts(labels) for labels in (parts, strata))
    roles = np.array([ROLES.index(item.role) for item in items], np.uint8)
    return Membership(part, per, roles if roles.any() else None)
