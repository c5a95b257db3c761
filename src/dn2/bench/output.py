"""The files of a result: a table as CSV and Markdown, and a figure."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from dn2.bench.figure import draw
from dn2.bench.result import Result
from dn2.bench.table import to_csv, to_markdown
from dn2.errors import InputError
from dn2.results.drawing import import_figure
from dn2.results.writing import write_file


def check_output(output: Path) -> None:
    """Check, before the work, that figures can be drawn and that files can be written to a folder.

    Raises InputError for a folder that cannot be written; MissingExtra without matplotlib."""
    import_figure()
    existing = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(f"{output} cannot be written: {existing} is no folder that takes files; give another with -o")


def write(result: Result, folder: Path, name: str, figure: str) -> list[Path]:
    """Write `<name>.csv`, `.md` and the figure, `.png` or `.svg`, into a folder.

    Returns the files.  Raises InputError if they cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}") from error
    texts = {"csv": to_csv(result), "md": to_markdown(result)}
    for ending, text in texts.items():
        write_file(folder / f"{name}.{ending}", partial(_write_text, text))
    write_file(folder / f"{name}.{figure}", partial(draw, result, figure))
    return [folder / f"{name}.{ending}" for ending in (*texts, figure)]


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
