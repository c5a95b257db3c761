"""What a person needs to judge items on a page: whole names, files, the items of audits, and the command."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from typing import Any

from dn2.model.state import State
from dn2.report.shortening import round_shown
from dn2.results.context import Context
from dn2.results.rows import Row
from dn2.system.naming import absolute, path_of_text, path_to_text, without_keys, writable

VERDICTS = "verdicts.csv"


def marking_data(
    rows: Sequence[Row], shown: Sequence[str], paths: Sequence[str] | None, command: str
) -> dict[str, Any]:
    """Return what the page's script writes into the file of verdicts.

    rows : the items on the page; shown : their names there; paths : the file of each, empty where it has none; None
    where that is unknown.  command : what takes the file.
    A file is the place of a text among `texts`, followed by the item's name where the file ends in that."""
    names = [writable(row.item) for row in rows]
    texts: dict[str, int] = {}
    files: list[list[int] | int | None] = []
    for name, path in zip(names, paths or [""] * len(rows), strict=True):
        begins = path.removesuffix(name) if name else path
        place = texts.setdefault(begins, len(texts)) if path else None
        files.append(place if place is None or begins != path else [place])
    contents = json.dumps([names, [round_shown(row.anomaly_score or 0) for row in rows]])
    return {
        "digest": hashlib.sha256(contents.encode()).hexdigest()[:32],
        "whole": {place: name for place, (name, one) in enumerate(zip(names, shown, strict=True)) if name != one},
        "texts": list(texts),
        "files": files if texts else None,
        "audits": [place for place, row in enumerate(rows) if row.audit],
        "command": command,
        "file": VERDICTS,
    }


def command_of(state: State) -> str:
    """Return the command that takes verdicts back into a model."""
    model = "MODEL" if state.origin is None else shlex.quote(without_keys(path_to_text(state.origin.folder)))
    return f"dn2 feedback {model} {VERDICTS}"


def paths_of(context: Context) -> Sequence[str] | None:
    """Return the absolute path of each row's file, empty where it has none; None where that is unknown."""
    if context.paths is None:
        return None
    known: dict[str, str] = {"": ""}
    for path in context.paths:
        if path not in known:
            known[path] = path_to_text(absolute(path_of_text(path)))
    return [known[path] for path in context.paths]
