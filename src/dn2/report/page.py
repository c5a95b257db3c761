"""The skeleton of every page: one file with its styles and script, which makes no request."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from dn2.results.writing import choose_writer, write_file

MARK = re.compile(r"\{\{(\w+)\}\}")


ALONE, SERVED = "form-action 'none'", "connect-src 'self'; form-action 'self'"  # whom a page may call


def page_text(
    title: str,
    body: str,
    *,
    scripts: Sequence[str] = (),
    style: str = "",
    data: Mapping[str, Any] | None = None,
    later: Mapping[str, Any] | None = None,
    about: str = "",
    calls: str = ALONE,
) -> str:
    """Return a page as HTML.

    body : HTML; scripts : the texts of its scripts, in order; data : the data that they read; later : large data that
    they read once it is asked for.
    style : rules beside those of all pages; about : HTML for the end of the page; calls : `ALONE` or `SERVED`."""
    code = "\n".join(["", *scripts, ""])
    parts = {
        "title": html.escape(title),
        "allowed": base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        "style": read_part("style.css") + style,
        "body": body,
        "about": about,
        "data": _json(data or {}),
        "later": _json(later or {}),
        "script": code,
        "calls": calls,
    }
    return fill(read_part("page.html"), parts)


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all.  Raises InputError if the file cannot be written."""
    write_file(path, partial(_write, text))


def check_page(path: Path) -> None:
    """Check early that a page can be written.  Raises InputError."""
    choose_writer(path, {".html": None}, "a report")


def read_part(name: str) -> str:
    """Read a file of this package."""
    return (files("dn2.report") / name).read_text(encoding="utf-8")


def fill(template: str, parts: Mapping[str, str]) -> str:
    """Put HTML in place of the marks of a template."""
    return MARK.sub(lambda mark: parts[mark[1]], template)


def definitions(pairs: Sequence[tuple[str, str]]) -> str:
    """Write names and values as a list, escaped."""
    rows = (f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in pairs)
    return f"<dl>{''.join(rows)}</dl>"


def sentences(words: Sequence[str]) -> str:
    """Write sentences as a list, escaped."""
    return f"<ul>{''.join(f'<li>{html.escape(sentence)}</li>' for sentence in words)}</ul>"


def _json(data: Mapping[str, Any]) -> str:
    """Write data so that nothing in it can end the element that holds it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
