"""What people said of scored items: from a file, as the page of results writes it, or from memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dn2.errors import InputError
from dn2.inputs.tables import read_table
from dn2.system.naming import identity

NORMAL, DEFECT, UNSURE = "normal", "defect", "unsure"
VERDICTS = (NORMAL, DEFECT, UNSURE)
ALSO_NORMAL = ("false alarm", "false_alarm")
TRUE, FALSE = ("true", "1", "yes"), ("", "false", "0", "no")
LONGEST_KIND = 200  # characters


class Verdict(NamedTuple):
    """What a person said of a scored item.

    Parameters
    ----------
    item : str
        Its name, as in the results.
    verdict : str
        `normal`, `defect` or `unsure`; `false alarm` is normal, too.
    path : str, default=''
        The file that it was read from; empty where that is not known, or it came from memory.
    audit : bool, default=False
        Whether it was drawn at random for a person to judge, see `Model.score`.
    kind : str, default=''
        Of a defect, its kind, such as `scratch`.
    part, per : str, default=''
        What it belongs to, where the model's rules do not tell.

    Examples
    --------
    >>> import dn2
    >>> dn2.Verdict("part 7.png", "defect", kind="scratch")
    Verdict(item='part 7.png', verdict='defect', path='', audit=False, kind='scratch', part='', per='')
    """

    item: str
    verdict: str
    path: str = ""
    audit: bool = False
    kind: str = ""
    part: str = ""
    per: str = ""


def verdicts_of(given: Any) -> list[Verdict]:
    """Return verdicts, each item once.

    given : a file with the columns item and verdict, and perhaps path, audit, kind, part and per; a dict of verdicts by
    item; or a list of `Verdict`, or of tuples like it.
    Raises InputError for another form, another verdict, and two of one item that differ."""
    if isinstance(given, (str, os.PathLike)):
        found = _read(given)
    elif isinstance(given, Mapping):
        found = [_checked(f"of {item!r}", item, verdict) for item, verdict in given.items()]
    elif isinstance(given, Iterable):
        found = [_of_tuple(number, one) for number, one in enumerate(given, 1)]
    else:
        raise InputError(f"verdicts come as a file, a dict or a list, got {type(given).__name__}")
    if not found:
        raise InputError("there are no verdicts: mark items on the page of results, and write them as a file")
    once: dict[str, Verdict] = {}
    for verdict in found:
        known = once.setdefault(identity(verdict.item), verdict)
        if known.verdict != verdict.verdict:
            raise InputError(
                f"an item has one verdict, and {verdict.item!r} is said to be both {known.verdict} and "
                f"{verdict.verdict}; leave one of them out"
            )
    return list(once.values())


def _read(path: str | os.PathLike[str]) -> list[Verdict]:
    table = read_table([os.fspath(path)], text=Verdict._fields, verbatim=Verdict._fields, only=Verdict._fields)
    if lacking := [name for name in Verdict._fields[:2] if name not in table.columns]:
        raise InputError(
            f"{path}: verdicts have the columns item and verdict, and perhaps path, audit, kind, part and per; "
            f"{lacking[0]} is missing"
        )
    if table.errors:
        row = min(table.errors)
        raise InputError(f"{path}: {table.names[row]} cannot be read: {table.errors[row]}")
    columns = [table.columns.get(name) for name in Verdict._fields]
    rows = [["" if column is None else column[row] or "" for column in columns] for row in range(len(table.names))]
    return [_checked(f"in row {number:,} of {path}", *row) for number, row in enumerate(rows, 1)]


def _of_tuple(number: int, one: Any) -> Verdict:
    if not isinstance(one, tuple) or not 2 <= len(one) <= len(Verdict._fields):
        raise InputError(f"verdict {number:,} must be a dn2.Verdict, or (item, verdict), got {one!r:.100}")
    return _checked(f"{number:,}", *one)


def _checked(
    where: str, item: Any, verdict: Any, path: Any = "", audit: Any = False, kind: Any = "", *labels: Any
) -> Verdict:
    if not isinstance(item, str) or not item:
        raise InputError(f"the verdict {where} must name an item, got {item!r:.100}")
    said = str(verdict).strip().lower()
    said = NORMAL if said in ALSO_NORMAL else said
    if said not in VERDICTS:
        raise InputError(f"the verdict {where} must be {', '.join(VERDICTS)}, got {verdict!r:.100}")
    flag = str(audit).strip().lower()
    if flag not in TRUE + FALSE:
        raise InputError(f"audit of the verdict {where} must be true, false or empty, got {audit!r:.100}")
    shown = " ".join(str(kind).split())[:LONGEST_KIND]
    return Verdict(item, said, os.fspath(path), flag in TRUE, shown, *map(str, labels))
