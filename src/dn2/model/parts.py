"""The parts that reference items may belong to: a warning where items seem to, and a proposal to check."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dn2.inputs.part_names import labels_by_name, numbered, orders_of
from dn2.model.state import State
from dn2.model.words import findings_in_words
from dn2.neighbors.proposal import agreement, near_of_some, propose_parts
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

    parts : their names, (n,); by : what `part` takes to say the same, None where distances tell them."""

    parts: list[str]
    by: str | None

    def in_words(self) -> str:
        """Say how many parts there are, and what tells them."""
        told = "how near they lie to each other" if self.by is None else f"names, as by {option('part', self.by)}"
        return f"{count_in_words(len(set(self.parts)), 'part', 'parts')} of {len(self.parts):,} items, by {told}"


def warn_of_parts(state: State) -> None:
    """Warn, where items do not look as if they had been drawn one by one, with a guess and the way out."""
    suspicion = state.suspicion
    if suspicion.repeats:
        logger.info("%d of %d items are exact copies of others", suspicion.repeats, state.calibration.sample_size)
    if not suspicion.findings:
        return
    found, many = findings_in_words(suspicion, state.kind.many), state.kind.many
    logger.warning("%s: several %s of one part? The false-alarm rate does not hold then", found, many)
    by_name = _by_name(state)
    logger.warning(
        "say what belongs together: %s%s, with the file of parts that %s proposes for you to check",
        "" if by_name is None or by_name.by is None else f"{option('part', by_name.by)}, or ",
        option("part", "@parts.csv"),
        command("dn2 inspect MODEL --parts parts.csv", "model.propose_parts()"),
    )


def propose(state: State) -> ProposedParts:
    """Propose a part for each reference item, by their names where these tell parts that neighbours share."""
    by_name = _by_name(state)
    if by_name is not None:
        return by_name
    orders = orders_of([item.name for item in state.items])
    return ProposedParts(numbered(propose_parts(state.detector.reference, state.suspicion, orders).tolist()), None)


def check_parts_file(path: Path) -> None:
    """Raise InputError, before the work, unless parts can be written to this file."""
    choose_writer(path, {".csv": None}, "a file of parts")


def write_parts(state: State, proposed: ProposedParts, path: Path) -> None:
    """Write a line for each reference item: its name, and its part."""
    rows = [("item", "part"), *zip((item.name for item in state.items), proposed.parts, strict=True)]
    write_text(path, lambda file: file.writelines(map(csv_line, rows)))


def _by_name(state: State) -> ProposedParts | None:
    """Return the parts by name that nearest neighbours share most, if they share any."""
    near = near_of_some(state.detector.reference)
    best, best_share = None, AGREEING
    if near is None:
        return None
    for by, labels in labels_by_name([item.name for item in state.items]):
        parts, which = np.unique(labels, return_inverse=True)
        if len(parts) < FEWEST_PARTS:
            continue
        share, chance = agreement(near, which)
        if share > best_share and share >= BEYOND_CHANCE * chance:
            best, best_share = ProposedParts(labels, by), share
    return best
