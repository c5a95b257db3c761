"""A model after a change of what is normal: fresh normal items calibrate, and the others are neighbours alone."""

from __future__ import annotations

from dataclasses import replace

from dn2.arrays import Progress
from dn2.errors import InputError
from dn2.model.belonging import label, membership_of
from dn2.model.joining import Joining
from dn2.model.state import State
from dn2.neighbors.membership import NEIGHBOR, RETIRED, ROLES
from dn2.results.words import count_in_words
from dn2.system.interface import command


def recalibrated(now: State, joining: Joining, progress: Progress | None) -> State:
    """Return a model that fresh normal items calibrate: see `Model.recalibrate`.

    Raises InputError for series, and as `Joining.find` does; ReferenceTooSmall."""
    if now.detector.steps.windows is not None:
        raise InputError(
            f"{now.kind.many} are calibrated by what comes before: fit them anew, "
            f"{command('dn2 fit INPUT -o MODEL', 'dn2.fit')}"
        )
    found_items, belonging = joining.find(now, progress)
    new = now.kind.reference(found_items, progress)
    retired, told = ROLES[RETIRED], ROLES[NEIGHBOR]
    items = [item if item.role == told else item._replace(role=retired) for item in now.items]
    items += label(new.items, belonging, found_items)
    vectors = now.kind.recalled(now.detector, new)
    detector = now.detector.recalibrated(vectors, membership_of(items, now.rules))
    kind = new.kind.recalibrated(detector, items, new, progress)
    words = f"calibrated by {count_in_words(len(new.items), 'new item', 'new items')}"
    return replace(
        now,
        kind=kind,
        detector=detector,
        items=items,
        unreadable=new.unreadable,
        known=None,
        changes=(*now.changes, words),
    )
