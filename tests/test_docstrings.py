"""Docstrings of the public names: their examples run, and tell of every parameter."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import dn2

# What dn2's own parts call of the embedders.
INNER = {"embed", "embed_all", "embed_one", "embed_pictures", "held_by_model", "join", "set_params"}
INNER |= {"picture_of", "recall"}
WITH_EXAMPLES = {
    "Model",
    "KNNDetector",
    "ImageEmbedder",
    "TextEmbedder",
    "Cache",
    "Results.at",
    "fit",
    "load",
    "score_self",
}


def documented() -> Iterator[tuple[str, Any]]:
    """Give all public functions, classes and methods."""
    for name in dn2.__all__:
        thing = getattr(dn2, name)
        if inspect.isclass(thing) and issubclass(thing, Exception):
            continue
        yield name, thing
        for method, value in vars(thing).items() if inspect.isclass(thing) else ():
            function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            own = not method.startswith("_") and method not in INNER and not method.endswith("_request")
            if own and inspect.isfunction(function):
                yield f"{name}.{method}", getattr(thing, method)


@pytest.mark.parametrize(("name", "thing"), [pytest.param(*one, id=one[0]) for one in documented()])
def test_every_parameter_has_an_entry_and_examples_run(name: str, thing: Callable[..., Any]) -> None:
    text = inspect.getdoc(thing) or ""
    section = re.search(r"Parameters\n-+\n(.*?)(?=\n\n\w+\n-+\n|\Z)", text, re.DOTALL)
    entries = re.findall(r"^(\w[\w, ]*) :|^\*\*(\w+) :|^(\w+)$", section[1] if section else "", re.MULTILINE)
    told = {one for entry in entries for part in entry if part for one in part.split(", ")}
    wanted = {one for one in inspect.signature(thing).parameters if one != "self"}
    if name != "Model":  # which fit and load make
        assert wanted <= told
    examples = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert examples.examples or name not in WITH_EXAMPLES
    failures: list[str] = []
    doctest.DocTestRunner(verbose=False).run(examples, out=failures.append)
    assert not failures, "".join(failures)
