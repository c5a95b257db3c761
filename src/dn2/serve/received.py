"""The body of a request: pictures as they are or in a form, and everything else as JSON."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from dn2.model.answering import Asked
from dn2.model.state import State
from dn2.serve.limits import Limits, Refused
from dn2.system.naming import encodable, writable

LONGEST_NAME = 1_000  # characters of a name or a label
LABELS = ("part", "per")
MOST_VALUES = 2_000_000  # of JSON: each takes far more memory than its text, and time in which nothing else is done
FORM, JSON = "multipart/form-data", "application/json"

SMALL = 1 << 16  # bytes of a body that is read at once

T = TypeVar("T")
_reading = threading.Lock()


class _InMemory(MultiPartParser):
    """A parser of forms that writes no file: bodies are limited."""

    spool_max_size = 1 << 40


async def read_asked(request: Request, now: State, limits: Limits, default_name: str) -> Asked:
    """Read what a request asks about, for a model.

    default_name : of an item that has none.  Raises Refused."""
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query = request.query_params
    if form == JSON:
        body = await request.body()
        return await aside(len(body), lambda: checked(_of_json(parse_json(body)), now, limits, default_name))
    if form == FORM:
        asked = await _read_form(request, limits)
    else:
        labels = ([query[name]] if name in query else None for name in LABELS)
        asked = Asked([await request.body()], [query.get("name", "")], *labels)
    return checked(asked, now, limits, default_name)


async def aside(size: int, read: Callable[[], T]) -> T:
    """Read a body, a large one in a thread, so that others are answered meanwhile, and one at a time for its memory."""
    if size <= SMALL:
        return read()

    def alone() -> T:
        with _reading:
            return read()

    return await run_in_threadpool(alone)


def parse_json(body: bytes) -> Any:
    """Parse JSON.  Raises Refused, also for numbers that JSON does not have, very many values, and deep nesting."""
    if body.count(b",") > MOST_VALUES:
        raise Refused(413, f"JSON must have at most {MOST_VALUES:,} values and commas; send fewer items at once")
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body must be JSON: {str(error) or 'it is nested too deeply':.300}") from error


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


async def _read_form(request: Request, limits: Limits) -> Asked:
    parser = _InMemory(request.headers, request.stream(), max_files=limits.items, max_fields=limits.fields)
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError, UnicodeDecodeError) as error:
        raise Refused(400, f"the form cannot be read: {getattr(error, 'message', error)}") from error
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        if strange := [name for name, _ in fields if name not in LABELS]:
            raise Refused(422, f"the fields of a form are its files, part and per, got {strange[0]!r:.100}")
        labels = ([value for name, value in fields if name == label] or None for label in LABELS)
        return Asked([await file.read() for file in files], [file.filename or "" for file in files], *labels)
    finally:
        await form.close()


def _of_json(body: Any) -> Asked:
    if not isinstance(body, dict):
        raise Refused(422, f"the body must be an object with items or columns, got {_named(body)}")
    if unknown := sorted(set(body) - {"items", "columns", "names", *LABELS}):
        raise Refused(422, f"the body has items or columns, names, part and per, and no {unknown[0]!r:.100}")
    if ("items" in body) == ("columns" in body):
        raise Refused(422, "the body must have either items or columns")
    labels = [body.get(name) for name in LABELS]
    if "columns" in body:
        columns = body["columns"]
        are_columns = isinstance(columns, dict) and all(isinstance(cells, list) for cells in columns.values())
        if not are_columns or not columns or len({len(cells) for cells in columns.values()}) != 1:
            raise Refused(422, "columns must be an object of lists of one length, by name")
        if body.get("names") is not None:
            raise Refused(422, "names are of items; rows that come as columns are numbered")
        return Asked(columns, None, *labels)
    items = body["items"]
    if not isinstance(items, list):
        raise Refused(422, f"items must be a list, got {_named(items)}")
    names = body.get("names")
    return Asked(items, [""] * len(items) if names is None else names, *labels)


def checked(asked: Asked, now: State, limits: Limits, default_name: str) -> Asked:
    """Return what is asked about with a name for each item.  Raises Refused for what the model cannot compare."""
    n = len(next(iter(asked.items.values()))) if isinstance(asked.items, Mapping) else len(asked.items)
    if not n:
        raise Refused(422, "nothing is asked about: send at least one item")
    if n > limits.items and now.detector.steps.windows is None:
        raise Refused(413, f"a request must have at most {limits.items:,} items, got {n:,}")
    for what in (("names", asked.names), ("part", asked.part), ("per", asked.per)):
        _check_texts(*what, n)
    if isinstance(asked.items, Mapping):
        if now.kind.sent_as != "json":
            raise Refused(422, f"the model compares {now.kind.many}, which have no columns: send the bytes of pictures")
        for cells in asked.items.values():
            _check_cells(cells)
        return Asked(asked.items, None, asked.part, asked.per)
    items = _grouped(asked.items, now)
    names = [default_name if n == 1 else f"{default_name}/{number}" for number in range(1, n + 1)]
    said = asked.names or [""] * n
    names = [writable(own)[:LONGEST_NAME] or usual for own, usual in zip(said, names, strict=True)]
    if len(items) < n:  # the pictures of one group
        labels = [None if own is None else own[:1] for own in (asked.part, asked.per)]
        return Asked(items, [default_name], *labels)
    for item in items:
        check_item(item, now)
    return Asked(items, names, asked.part, asked.per)


def _grouped(items: Sequence[Any], now: State) -> Sequence[Any]:
    """Return items as the model compares them: all pictures of a request are one group, where it compares groups."""
    are_files = all(isinstance(item, bytes) for item in items)
    return [tuple(items)] if now.kind.sent_as == "files" and are_files else items


def check_item(item: Any, now: State) -> None:
    """Raise Refused for an item that no model of its kind compares."""
    if now.kind.sent_as != "json":
        if not isinstance(item, (bytes, tuple)):
            raise Refused(415, f"the model compares {now.kind.many}: send the bytes of pictures, or a form of files")
        return
    if isinstance(item, bytes):
        raise Refused(415, f"the model compares {now.kind.many}: send them as {JSON}")
    forms, words = _form_of(now)
    if not isinstance(item, forms):
        raise Refused(422, f"the model compares {now.kind.many}: send each as {words}, got {_named(item)}")
    _check_cells(item.values() if isinstance(item, dict) else item if isinstance(item, list) else [item])


def _form_of(now: State) -> tuple[tuple[type, ...], str]:
    """Return the types that an item has in JSON, and how they are called; any other could be taken for a column."""
    if now.kind.columns:
        return (dict,), "an object of its columns"
    if now.kind.takes_texts:
        return (str, dict), "a text"
    return (list,), "a list of numbers"


def _check_cells(cells: Any) -> None:
    for cell in cells:
        if isinstance(cell, (dict, list)):
            raise Refused(422, f"a value must be a text, a number, true, false or null, got {_named(cell)}")
        if isinstance(cell, str) and cell != encodable(cell):
            raise Refused(422, "a text holds half a character: send whole ones")
        is_far = not math.isfinite(cell) if isinstance(cell, float) else isinstance(cell, int) and abs(cell) >= 1 << 63
        if is_far:
            raise Refused(422, "a number is too large")


def _check_texts(name: str, texts: Any, n: int) -> None:
    if texts is None:
        return
    fits = isinstance(texts, list) and all(isinstance(one, str) and len(one) <= LONGEST_NAME for one in texts)
    if not fits or len(texts) != n:
        raise Refused(422, f"{name} must be a list of {n:,} texts of at most {LONGEST_NAME:,} characters, one an item")
    if name in LABELS:
        _check_cells(texts)


def _named(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
