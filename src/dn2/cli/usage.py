"""The message about a command line that cannot be understood."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from dn2.cli.common import quote_words
from dn2.cli.help import example_of

UNKNOWN_COMMAND = re.compile(r"No such command '([^']*)'")
CHOICES, LEAST = re.compile(r"is not one of (.*)"), re.compile(r"(?:greater than or equal to |x>=)(\d+)")

# What other programs call a command.
MEANT = dict.fromkeys(("predict", "detect", "infer", "classify", "run"), "score")
MEANT |= dict.fromkeys(("train", "learn", "build"), "fit") | dict.fromkeys(("test", "benchmark"), "evaluate")
MEANT |= dict.fromkeys(("info", "show", "describe"), "inspect") | dict.fromkeys(("delete", "rm"), "remove")


def words_of(error: Any) -> str:
    """Say in one line what is wrong with a command line, and the right form; error : click's."""
    words = _plain(error.format_message().rstrip("."), getattr(error, "param", None))
    context = getattr(error, "ctx", None)
    if context is None:
        return f"{words}; see: dn2 --help"
    path, missing = context.command_path, getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter" and missing is not None:
        example = _with_output(context) if missing.name == "output" else example_of(context.info_name)
        return f"{words}; write it as: {example}; see: {path} --help" if example else f"{words}; see: {path} --help"
    return f"{words}; see: {path} --help"


def _plain(words: str, parameter: Any) -> str:
    """Say in our words what click, or a library of typer's, says in its own."""
    if (found := UNKNOWN_COMMAND.match(words)) and found[1] in MEANT:
        return f"there is no command {found[1]!r}; dn2 {MEANT[found[1]]} is meant, it seems"
    if parameter is None or not words.startswith("Invalid value"):
        return words
    name = max(parameter.opts, key=len)
    given = _given(parameter.opts)
    got = "" if given is None else f", got {given!r:.80}"
    if "valid integer" in words:
        return f"{name} must be a whole number{got}"
    if least := LEAST.search(words):
        return f"{name} must be at least {least[1]}{got}"
    if "valid number" in words or "valid float" in words:
        share = _share_of(given or "")
        return f"{name} must be a number{got}" + ("" if share is None else f"; write {share:g}")
    if choices := CHOICES.search(words):
        return f"{name} must be one of {choices[1]}{got}"
    return words


def _given(flags: Sequence[str]) -> str | None:
    """Return the value that the command line gives to a flag; None if it is not found."""
    for word, following in pairwise([*sys.argv, ""]):
        name, is_joined, value = word.partition("=")
        if name in flags:
            return value if is_joined else following
    return None


def _share_of(text: str) -> float | None:
    """Return the share that a percentage stands for; None for any other text."""
    try:
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else None
    except ValueError:
        return None


def _with_output(context: Any) -> str:
    """Write out a command that lacks -o."""
    inputs = list(context.params.get("inputs") or ())
    if context.info_name != "fit" or not inputs:
        return example_of(context.info_name)
    if len(inputs) > 1 and inputs[-1].endswith(".dn2"):
        return f"dn2 fit {quote_words(*inputs[:-1])} -o {quote_words(inputs[-1])}"
    name = Path(inputs[0].lstrip("@")).stem
    return f"dn2 fit {quote_words(*inputs)} -o {quote_words(f'{name}.dn2' if name.isidentifier() else 'model.dn2')}"
