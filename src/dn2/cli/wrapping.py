"""Texts broken into lines, for narrow columns."""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells

# Where a text may be broken, best first: between words, after the folders of a path, within a name.
PIECES = (re.compile(r"\s*\S+\s*"), re.compile(r"[^/\\]*[/\\]+|[^/\\]+"), re.compile(r"[^-_.,:;]*[-_.,:;]+|[^-_.,:;]+"))


def wrap(text: str, width: int, level: int = 0) -> str:
    """Break a text into lines of at most `width` cells; only longer words are broken, at the marks within them, and
    only longer parts of words anywhere."""
    if cell_len(text) <= width:
        return text
    if level == len(PIECES):
        return "\n".join(chop_cells(text, width))
    lines: list[str] = []
    for piece in PIECES[level].findall(text):
        if lines and cell_len(lines[-1]) + cell_len(piece.rstrip()) <= width:
            lines[-1] += piece
        else:
            lines += wrap(piece, width, level + 1).split("\n") if cell_len(piece.rstrip()) > width else [piece]
    return "\n".join(line.rstrip() for line in lines)


def share(width: int, first: int, second: int) -> tuple[int, int]:
    """Share a width between two columns, given their full widths: a narrow column gets its full width."""
    if first + second <= width:
        return first, second
    half = width // 2
    if first <= half:
        return first, width - first
    return (width - second, second) if second <= half else (half, width - half)
