"""The options of messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dn2.kinds.options import CleaningOptions, option


@dataclass(frozen=True, kw_only=True)
class TextOptions(CleaningOptions):
    """The options of messages."""

    heading: ClassVar[str] = "Messages"

    backbone: str | None = option(
        None,
        "The language model: minilm, the name or folder of another, characters for none, or one joined with "
        "characters. Default: minilm+characters where it is installed, else characters.",
        metavar="NAME",
        embeds=True,
    )
    precision: str = option(
        "f32",
        "The arithmetic of the language model. With f32 a model moves between machines; auto takes the fastest here.",
        choices=("auto", "f32", "bf16"),
        embeds=True,
    )
    column: str | None = option(
        None,
        "The column that holds the messages. Default: the only one of text.",
        metavar="COLUMN",
        tells=True,
        embeds=True,
    )
    id_column: str | None = option(None, "The column that names the messages.", metavar="COLUMN", embeds=True)
