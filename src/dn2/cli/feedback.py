"""The commands that take back what people said, and the versions of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dn2.cli import stopping
from dn2.cli.common import (
    INPUTS,
    CacheOption,
    JsonOption,
    ModelArgument,
    NamedBackboneOption,
    check_model_first,
    console,
    finish,
    load,
    note,
    quote_words,
    report_reference,
    say_next,
    warn_unreadable,
)
from dn2.results.words import count_in_words


def feedback(
    model: ModelArgument,
    verdicts: Annotated[
        Path,
        typer.Argument(
            metavar="VERDICTS",
            help="A table with the columns item and verdict (normal, defect or unsure), and perhaps path, audit, "
            "kind, part and per, as the page of dn2 score --report writes it.",
            show_default=False,
        ),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help=f"What the items were scored from; by default their files, as VERDICTS says. {INPUTS}",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    backbone: NamedBackboneOption = None,
    cache: CacheOption = True,
) -> None:
    """Take back what people said of scored items: false alarms become neighbours, defects a test."""
    from dn2.cli.progress import progress

    check_model_first("feedback", model, [str(verdicts)])
    loaded = load(model, cache=cache, backbone=backbone)
    with progress("listening") as show:
        heard = loaded.feedback(verdicts, inputs, progress=show)
    loaded.save(model)
    stopping.wrote(model)
    if as_json:
        print(json.dumps(heard.as_dict(), ensure_ascii=False))
    for words in heard.words():
        note(words)
    if heard.known:
        note(f"{count_in_words(len(heard.known), 'verdict was', 'verdicts were')} known before")
    if heard.lost:
        few = ", ".join(heard.lost[:5])
        note(f"not found, and left out: {count_in_words(len(heard.lost), 'item', 'items')}, such as {few}")
    report_reference(loaded, model)
    warn_unreadable(heard.unreadable)
    say_next(f"dn2 score {quote_words(model)} INPUT; dn2 undo {quote_words(model)} takes this back")
    finish([*heard.unreadable, *heard.lost])


def history(model: ModelArgument, as_json: JsonOption = False) -> None:
    """List the versions of a model: what was done to it, and when."""
    from dn2.cli.show import versions_table
    from dn2.store.versions import versions_of

    check_model_first("history", model, ())
    versions = versions_of(model)
    if as_json:
        for version in versions:
            print(json.dumps({"change": version.change, "at": version.at, "items": version.items}, ensure_ascii=False))
        return
    console().print(versions_table(versions))
    if len(versions) > 1:
        say_next(f"dn2 undo {quote_words(model)} goes one step back")


def undo(model: ModelArgument) -> None:
    """Take the last change of a model back: it is as it was before, to the bit."""
    from dn2.store.versions import undo as put_back
    from dn2.store.versions import versions_of

    check_model_first("undo", model, ())
    undone = versions_of(model)[-1]
    version = put_back(model)
    stopping.wrote(model)
    note(f"undone: {undone.change}; {count_in_words(version.items, 'reference item', 'reference items')} now")
