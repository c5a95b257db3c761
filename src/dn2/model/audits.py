"""Audits: items that are put before a person whatever their scores, drawn at random."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from dn2.errors import InputError
from dn2.model.state import State
from dn2.neighbors.checks import is_whole
from dn2.results.rows import Row
from dn2.system.interface import option

LEAST = 2  # one item in so many


def check_audit(now: State, audit: Any) -> None:
    """Raise InputError unless audits are of one item in so many, and of a kind whose rows are items."""
    if audit is None:
        return
    if not is_whole(audit) or audit < LEAST:
        raise InputError(
            f"{option('audit')} must be a whole number of at least {LEAST}, such as 50 for one item in 50, "
            f"got {audit!r}"
        )
    if now.detector.steps.windows is not None:
        raise InputError(
            f"{option('audit')} draws items, and the rows of {now.kind.many} are intervals, which scores choose: "
            "leave it out"
        )


def drawn(rows: Sequence[Row], digests: Iterable[str], audit: int, salt: int) -> list[Row]:
    """Draw the rows that a person is to judge: each, or each part, with probability 1 / audit.

    digests : of the files of the readable items, empty for a kind that does not record them.
    salt : the seed of the model.  The same content under the same name, or the same part, is drawn again or again not,
    so that scoring once more draws nothing else."""
    contents = iter(digests)
    key = hashlib.blake2b(f"audit {salt}".encode(), digest_size=16).digest()

    def is_drawn(row: Row, digest: str) -> bool:
        unit = f"part {row.part}" if row.part is not None else f"item {digest} {row.item}"
        number = hashlib.blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
        return int.from_bytes(number, "big") * audit < 1 << 64

    return [row if row.error is not None else replace(row, audit=is_drawn(row, next(contents, ""))) for row in rows]
