"""Limits on what a stranger may send, and refusals."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one request, and all that wait together, may take.

    body : bytes of a request; items : of a request; fields : of a form beside its files.
    waiting : requests that may wait for a model; together : bytes of all requests that are held.
    seconds : that a request may take to arrive."""

    body: int = 64 * MIB
    items: int = 1_000
    fields: int = 2_000
    waiting: int = 128
    together: int = 512 * MIB
    seconds: float = 30.0


class Refused(Exception):
    """A request that is not answered: its HTTP status, why, and the seconds after which it may come again."""

    def __init__(self, status: int, why: str, retry_after: int | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.retry_after = status, why, retry_after
