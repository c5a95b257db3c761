"""The protocol on messages."""

from __future__ import annotations

from dataclasses import dataclass

from dn2.kinds.protocols import CachedOptions, ComparedOptions, DrawnOptions, NearestOptions, Protocol


@dataclass(frozen=True, kw_only=True)
class MessagesOptions(NearestOptions, DrawnOptions, ComparedOptions, CachedOptions):
    """The options of the protocol on messages."""


TEXT = Protocol(
    "text",
    "Messages, normal ones as reference",
    "A folder of .csv and .jsonl files, or one: text, and label that is 1, spam or oos for an anomaly.",
    MessagesOptions,
    f"{__name__}.protocol:run",
)

PROTOCOLS = (TEXT,)
