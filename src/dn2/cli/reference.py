"""The commands that make a model and change its reference set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dn2.cli import stopping
from dn2.cli.common import (
    CacheOption,
    ExcludeOption,
    InputsArgument,
    JoiningOption,
    MaskOption,
    ModelArgument,
    NamedBackboneOption,
    OnOption,
    PerOption,
    check_model_first,
    finish,
    load,
    note,
    note_cache,
    quote_words,
    report_reference,
    say_next,
)
from dn2.cli.stdin import with_stdin
from dn2.errors import InputError
from dn2.kinds.registry import find_kind_by_options
from dn2.results.words import count_in_words
from dn2.system.naming import identity

if TYPE_CHECKING:
    from dn2.model.model import Model


def fit(
    inputs: InputsArgument,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="MODEL", help="The folder to write the model to.", show_default=False),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a model that is there already.")] = False,
    exclude: ExcludeOption = None,
    on: OnOption = None,
    cache: CacheOption = True,
    **options: Any,
) -> None:
    """Learn from normal items what normal looks like, and write it as a model."""
    import dn2
    from dn2.cli.progress import progress
    from dn2.inputs.leaving_out import leaving_out
    from dn2.model.fitting import choose_kind
    from dn2.store.bundle import check_target

    check_target(output, force)
    kind_asked = options.pop("kind", None)
    with with_stdin(inputs, kind_asked or find_kind_by_options(options)) as sources:
        with leaving_out(exclude, is_told=False):
            kind = choose_kind(sources, kind_asked, options)
        note_cache(cache, kind)
        with progress("fitting") as show:
            model = dn2.fit(sources, kind=kind, cache=cache, exclude=exclude or (), on=on, progress=show, **options)
    model.save(output, overwrite=force)
    stopping.wrote(output)
    report_reference(model, output)
    say_next(f"dn2 score {quote_words(output)} INPUT")
    finish(model.unreadable)


def add(
    model: ModelArgument,
    inputs: InputsArgument,
    part: JoiningOption = None,
    per: PerOption = None,
    mask: MaskOption = None,
    exclude: ExcludeOption = None,
    backbone: NamedBackboneOption = None,
    cache: CacheOption = True,
) -> None:
    """Add normal items to the reference set of a model."""
    from dn2.cli.progress import progress

    check_model_first("add", model, inputs)
    loaded = load(model, cache=cache, backbone=backbone)
    before = len(loaded.items)
    with with_stdin(inputs, loaded.kind.name) as sources, progress("adding") as show:
        loaded.add(sources, part=part, per=per, mask=mask, exclude=exclude or (), progress=show)
    _save(loaded, model, _items(len(loaded.items) - before) + " added")
    finish(loaded.unreadable)


def recalibrate(
    model: ModelArgument,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="NORMALS",
            help="Normal items of now, drawn as new ones come, not by their scores.",
            show_default=False,
        ),
    ],
    part: JoiningOption = None,
    per: PerOption = None,
    mask: MaskOption = None,
    exclude: ExcludeOption = None,
    backbone: NamedBackboneOption = None,
    cache: CacheOption = True,
) -> None:
    """Let fresh normal items calibrate a model, once the camera, the light or the supplier is another."""
    from dn2.cli.progress import progress

    check_model_first("recalibrate", model, inputs)
    loaded = load(model, cache=cache, backbone=backbone)
    before = len(loaded.items)
    with with_stdin(inputs, loaded.kind.name) as sources, progress("calibrating") as show:
        loaded.recalibrate(sources, part=part, per=per, mask=mask, exclude=exclude or (), progress=show)
    _save(loaded, model, _items(len(loaded.items) - before) + " joined, and only they calibrate")
    finish(loaded.unreadable)


def remove(
    model: ModelArgument,
    items: Annotated[
        list[str] | None,
        typer.Argument(metavar="ITEM", help="Names of items, as dn2 inspect --items lists them.", show_default=False),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="A part, all of whose items go. Repeat it for several.", show_default=False),
    ] = None,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="Let nothing of them remain: not in earlier versions of the model, which all go, nor in the cache. "
            "Items of verdicts can be forgotten, too.",
        ),
    ] = False,
    backbone: NamedBackboneOption = None,
) -> None:
    """Take items out of a model, which is then as if it never had them."""
    if not items and not part:
        raise InputError("nothing to remove: name items, or a part with --part")
    check_model_first("remove", model, items or ())
    loaded = load(model, cache=False, backbone=backbone)
    before = len(loaded.items)
    loaded.remove(_resolve_names(loaded, items or ()), part=part or (), forget=forget)
    gone = " removed" if not forget else " removed, and all that was named forgotten, with the earlier versions"
    _save(loaded, model, _items(before - len(loaded.items)) + gone)


def readmit(
    model: ModelArgument,
    items: Annotated[
        list[str], typer.Argument(metavar="ITEM", help="Names of items, as dn2 inspect --aside lists them.")
    ],
    backbone: NamedBackboneOption = None,
) -> None:
    """Take back items that fit --contaminated set aside as probable anomalies."""
    check_model_first("readmit", model, items)
    loaded = load(model, cache=False, backbone=backbone)
    before = len(loaded.set_aside)
    loaded.readmit(_resolve_names(loaded, items))
    _save(loaded, model, _items(before - len(loaded.set_aside)) + " taken back")


def _save(loaded: Model, path: Path, change: str) -> None:
    """Save a changed model, and say what has changed and how its reference set is now."""
    from dn2.model.parts import warn_of_parts

    loaded.save(path)
    stopping.wrote(path)
    note(change)
    report_reference(loaded, path)
    warn_of_parts(loaded.state)


def _resolve_names(model: Model, shown: Sequence[str]) -> list[str]:
    """Return the names of items, given as commands show them; any other name is returned unchanged.

    Raises InputError where several items are shown alike."""
    from dn2.system.printing import printable

    names: dict[str, list[str]] = {}
    for item in model.items:
        for way in {identity(item.name), identity(printable(item.name))}:
            names.setdefault(way, []).append(item.name)
    candidates = [names.get(identity(shown_name), [shown_name]) for shown_name in shown]
    if same_shown := next((several for several in candidates if len(several) > 1), None):
        raise InputError(
            f"{len(same_shown)} items are shown alike, {same_shown[0]!r} and {same_shown[1]!r}; in Python their names "
            "tell them apart"
        )
    return [item_name for (item_name,) in candidates]


def _items(count: int) -> str:
    return count_in_words(count, "item", "items")
