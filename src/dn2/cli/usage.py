"""The message about a command line that cannot be understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dn2.cli.common import quote_words
from dn2.cli.help import example_of


def words_of(error: Any) -> str:
    """Say in one line what is wrong with a command line, and the right form; error : click's."""
    words = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return f"{words}; see: dn2 --help"
    path, missing = context.command_path, getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter" and missing is not None:
        example = _with_output(context) if missing.name == "output" else example_of(context.info_name)
        return f"{words}; write it as: {example}; see: {path} --help" if example else f"{words}; see: {path} --help"
    return f"{words}; see: {path} --help"


def _with_output(context: Any) -> str:
    """Write out a command that lacks -o."""
    inputs = list(context.params.get("inputs") or ())
    if context.info_name != "fit" or not inputs:
        return example_of(context.info_name)
    if len(inputs) > 1 and inputs[-1].endswith(".dn2"):
        return f"dn2 fit {quote_words(*inputs[:-1])} -o {quote_words(inputs[-1])}"
    name = Path(inputs[0].lstrip("@")).stem
    return f"dn2 fit {quote_words(*inputs)} -o {quote_words(f'{name}.dn2' if name.isidentifier() else 'model.dn2')}"
