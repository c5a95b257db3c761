"""The parts that reference items may belong to: a warning where items seem to, and a proposal to check."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dn2.inputs.part_names import labels_by_name, numbered, orders_of
from dn2.model.state import State
from dn2.model.words import findings_in_words
from dn2.neighbors.proposal import agreement, propose_parts
from dn2.neighbors.surroundings import Surroundings
from dn2.neighbors.suspicion import look_around
from dn2.results.cells import csv_line
from dn2.results.words import count_in_words
from dn2.results.writing import choose_writer, write_text
from dn2.system.interface import command, option

logger = logging.getLogger("dn2")

FEWEST_PARTS = 10
AGREEING, BEYOND_CHANCE = 0.5, 5.0  # neighbours of one name's part, as a share, and beside what it is by chance


@dataclass(frozen=True)
class ProposedParts:
    """A part for each reference item.

    parts : their names, (n,); by : what `part` takes to say the same, None where something else tells them.
    told_by : what tells them, in words."""

    parts: list[str]
    by: str | None
    told_by: str

    def in_words(self) -> str:
        """Say how many parts there are, and what tells them."""
        return (
            f"{count_in_words(len(set(self.parts)), 'part', 'parts')} of {len(self.parts):,} items, by {self.told_by}"
        )


def warn_of_parts(state: State) -> None:
    """Warn, where items or parts do not look as if they had been drawn one by one, with a guess and the way out."""
    suspicion, many = state.suspicion, state.kind.many
    if suspicion.repeats:
        logger.info(
            "%d of %d items are exact copies of others", suspicion.repeats, len(state.detector.leave_one_out.members)
        )
    if not suspicion.findings:
        return
    of_one = f"several {many} of one part" if state.rules.part is None else "are several parts one"
    logger.warning("%s: %s? The false-alarm rate does not hold then", findings_in_words(suspicion, many), of_one)
    if state.rules.part is not None:
        return
    by_name = _by_name(state)
    logger.warning(
        "say what belongs together: %s%s, with the file of parts that %s proposes for you to check",
        "" if by_name is None or by_name.by is None else f"{option('part', by_name.by)}, or ",
        option("part", "@parts.csv"),
        command("dn2 inspect MODEL --parts parts.csv", "model.propose_parts()"),
    )


def propose(state: State) -> ProposedParts:
    """Propose a part for each reference item: that which it has, or by names where these tell parts that neighbours
    share, or by distances."""
    if state.rules.part is not None:
        return ProposedParts([item.part for item in state.items], state.rules.part or None, "what the model was told")
    by_name = _by_name(state)
    if by_name is not None:
        return by_name
    orders = orders_of([item.name for item in state.items])
    labels = propose_parts(state.detector.reference, state.suspicion, orders)
    return ProposedParts(numbered(labels.tolist()), None, "how near they lie to each other")


def check_parts_file(path: Path) -> None:
    """Raise InputError, before the work, unless parts can be written to this file."""
    choose_writer(path, {".csv": None}, "a file of parts")


def write_parts(state: State, proposed: ProposedParts, path: Path) -> None:
    """Write a line for each reference item: its name, and its part."""
    rows = [("item", "part"), *zip((item.name for item in state.items), proposed.parts, strict=True)]
    write_text(path, lambda file: file.writelines(map(csv_line, rows)))


def _by_name(state: State) -> ProposedParts | None:
    """Return the parts by name that nearest neighbours share most, if they share any."""
    near = look_around(Surroundings.of(state.detector.reference))
    best, best_share = None, AGREEING
    if near is None:
        return None
    for by, labels in labels_by_name([item.name for item in state.items]):
        parts, which = np.unique(labels, return_inverse=True)
        if len(parts) < FEWEST_PARTS:
            continue
        share, chance = agreement(near, which)
        if share > best_share and share >= BEYOND_CHANCE * chance:
            best, best_share = ProposedParts(labels, by, f"names, as by {option('part', by)}"), share
    return best
