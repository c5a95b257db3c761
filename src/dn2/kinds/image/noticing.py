"""What a person should know of pictures that were read, in a line each."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from dn2.kinds.image.pipeline import EmbeddedPicture
from dn2.networks.opaque import LARGEST, NOTHING_SEEN, Seen
from dn2.results.words import count_in_words
from dn2.system.interface import command

logger = logging.getLogger("dn2")

# Where no number is larger than this share of what 16 bits hold, they are most likely of 14 bits or fewer.
SMALL_SHARE = 1 / 4


Noticed = tuple[str, Seen]  # the name of an item, and what was seen in a picture of it


def noticed(name: str, picture: EmbeddedPicture) -> list[Noticed]:
    """Return what was noticed of a picture, or of the members of a group; name : of the item."""
    return [(name, one.seen) for one in picture.members or [picture] if one.seen != NOTHING_SEEN]


def tell(seen: Sequence[Noticed]) -> None:
    """Warn of what is worth a word."""
    for words in filter(None, (_depth(seen), _over_white(seen), _pages(seen), _transparent(seen))):
        logger.warning(words)


def _depth(noticed: Sequence[Noticed]) -> str:
    deep = {name: seen.highest for name, seen in noticed if seen.highest is not None and not seen.is_said}
    if not deep or (highest := max(deep.values())) > SMALL_SHARE * LARGEST:
        return ""
    bits = max(8, highest.bit_length())
    return (
        f"no value above {highest:,} of {LARGEST:,} in {_pictures(deep)} of more than 8 bits, nearly black to dn2; if "
        f"it is data of {bits} bits, fit with {_white(2**bits - 1)}; {_white(LARGEST)} says that it is as dark as that"
    )


def _over_white(noticed: Sequence[Noticed]) -> str:
    over = {name: seen for name, seen in noticed if seen.is_said and (seen.highest or 0) > seen.white}
    if not over:
        return ""
    highest, white = max(seen.highest or 0 for seen in over.values()), max(seen.white for seen in over.values())
    return f"values up to {highest:,} in {_pictures(over)}, and what is above {white:,} is read as white"


def _pages(noticed: Sequence[Noticed]) -> str:
    paged = {name: seen.further_pages for name, seen in noticed if seen.further_pages}
    if not paged:
        return ""
    files, has = ("1 file", "has") if len(paged) == 1 else (f"{len(paged):,} files", "have")
    pages = count_in_words(sum(paged.values()), "further page or frame", "further pages or frames")
    total = "" if len(paged) == 1 else " in all"
    return f"{files} {has} {pages}{total} that are not read; each file is its first page: {next(iter(paged))}"


def _transparent(noticed: Sequence[Noticed]) -> str:
    clear = [name for name, seen in noticed if seen.is_transparent]
    if not clear:
        return ""
    return f"nothing to see in {_pictures(clear)}: all of it is transparent, which is white to dn2: {clear[0]}"


def _pictures(names: Iterable[str]) -> str:
    return count_in_words(len(list(names)), "picture", "pictures")


def _white(value: int) -> str:
    return command(f"--white {value}", f"white={value}")
