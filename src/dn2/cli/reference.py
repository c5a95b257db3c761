"""The commands that make a model and change its reference set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dn2.cli.common import (
    AnyBackboneOption,
    CacheOption,
    ColumnOption,
    IdOption,
    InputsArgument,
    KindOption,
    MemoryOption,
    ModelArgument,
    NamedBackboneOption,
    Normalize,
    Precision,
    PrecisionOption,
    PresetName,
    RateOption,
    Storage,
    TimeOption,
    ValueOption,
    WindowOption,
    finish,
    load,
    note,
    open_cache,
    report_reference,
)
from dn2.errors import InputError
from dn2.naming import identity

if TYPE_CHECKING:
    from dn2.model import Model


def fit(
    inputs: InputsArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="MODEL", help="The model's folder.", show_default=False)
    ],
    kind: KindOption = None,
    preset: Annotated[
        PresetName, typer.Option(help="Backbone and number of neighbours, where they are not given.")
    ] = PresetName.default,
    backbone: AnyBackboneOption = None,
    neighbors: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of nearest items that a score averages over. Default: the preset's, fewer for few items; "
            "10 for groups, or if contaminated; 1 for series.",
            show_default=False,
        ),
    ] = None,
    false_alarm_rate: RateOption = None,
    normalize: Annotated[
        Normalize | None, typer.Option(help="Feature normalisation. Default: the backbone's best.", show_default=False)
    ] = None,
    precision: PrecisionOption = Precision.auto,
    index: Annotated[
        str,
        typer.Option(
            help="How the nearest are found: exact; kdtree or kmeans-tree, exact, too; approximate; kmeans:C, C "
            "centroids in place of the items; auto: by the size of the set."
        ),
    ] = "auto",
    recall: Annotated[float, typer.Option(help="Share of the nearest that an approximate search is to find.")] = 0.999,
    storage: Annotated[
        Storage, typer.Option(help="How embeddings are kept. Default: float32, or what the memory allows.")
    ] = Storage.auto,
    memory: MemoryOption = None,
    whiten: Annotated[
        bool | None,
        typer.Option(
            help="Let directions in which near items differ much count for less. Default: with the preset accurate, "
            "from 10,000 items on.",
            show_default=False,
        ),
    ] = None,
    contaminated: Annotated[
        bool, typer.Option("--contaminated", help="Anomalies are among the items: set them aside.")
    ] = False,
    drop: Annotated[
        float | None, typer.Option(help="Share to set aside. Default: estimated.", show_default=False)
    ] = None,
    first_neighbors: Annotated[
        int | None,
        typer.Option(
            min=1, help="Neighbours of the stage that sets aside. Default: many. 2 is the paper's.", show_default=False
        ),
    ] = None,
    groups: Annotated[bool, typer.Option("--groups", help="Each subfolder is one item: a group of pictures.")] = False,
    column: ColumnOption = None,
    id_column: IdOption = None,
    drop_column: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column not to compare; repeat for several.", show_default=False),
    ] = None,
    time: TimeOption = None,
    value: ValueOption = None,
    window: WindowOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a model that is there already.")] = False,
    cache: CacheOption = True,
) -> None:
    """Learn what normal looks like from normal items."""
    import dn2
    from dn2.cli.progress import progress
    from dn2.store.bundle import check_target

    check_target(output, force)
    with progress("fitting") as show:
        model = dn2.fit(
            inputs,
            kind=kind,
            preset=preset,
            backbone=backbone,
            n_neighbors=neighbors,
            false_alarm_rate=false_alarm_rate,
            normalize=normalize,
            precision=precision,
            index=index,
            recall=recall,
            storage=storage,
            memory_limit=memory,
            whiten=whiten,
            contaminated=contaminated,
            drop=drop,
            first_neighbors=first_neighbors,
            groups=groups,
            column=column,
            id_column=id_column,
            drop_columns=drop_column or (),
            time=time,
            values=value or (),
            window=window,
            cache=open_cache(cache),
            progress=show,
        )
    model.save(output, overwrite=force)
    report_reference(model, output)
    finish(model.unreadable)


def add(
    model: ModelArgument, inputs: InputsArgument, backbone: NamedBackboneOption = None, cache: CacheOption = True
) -> None:
    """Add normal items to a model."""
    from dn2.cli.progress import progress

    loaded = load(model, cache=cache, backbone=backbone)
    before = len(loaded.items)
    with progress("adding") as show:
        loaded.add(inputs, progress=show)
    loaded.save(model)
    note(f"{len(loaded.items) - before:,} items added")
    report_reference(loaded, model)
    finish(loaded.unreadable)


def remove(
    model: ModelArgument,
    items: Annotated[list[str], typer.Argument(metavar="ITEM", help="Names as inspect --items lists them.")],
    backbone: NamedBackboneOption = None,
) -> None:
    """Take items out of a model, as if it never had them."""
    loaded = load(model, cache=False, backbone=backbone)
    before = len(loaded.items)
    loaded.remove(_as_named(loaded, items))
    loaded.save(model)
    note(f"{before - len(loaded.items):,} items removed")
    report_reference(loaded, model)


def readmit(
    model: ModelArgument,
    items: Annotated[list[str], typer.Argument(metavar="ITEM", help="Names as inspect --aside lists them.")],
    backbone: NamedBackboneOption = None,
) -> None:
    """Take items back that fit --contaminated set aside."""
    loaded = load(model, cache=False, backbone=backbone)
    before = len(loaded.set_aside)
    loaded.readmit(_as_named(loaded, items))
    loaded.save(model)
    note(f"{before - len(loaded.set_aside):,} items taken back")
    report_reference(loaded, model)


def _as_named(model: Model, shown: Sequence[str]) -> list[str]:
    """Return the names of items that are given as commands show them; one that is shown as no item is left as it is.

    Raises InputError where several items are shown alike."""
    from dn2.printing import printable

    names: dict[str, list[str]] = {}
    for item in model.items:
        for way in {identity(item.name), identity(printable(item.name))}:
            names.setdefault(way, []).append(item.name)
    found = [names.get(identity(one), [one]) for one in shown]
    if alike := next((several for several in found if len(several) > 1), None):
        raise InputError(
            f"{len(alike)} items are shown alike, {alike[0]!r} and {alike[1]!r}; in Python their names tell them apart"
        )
    return [name for (name,) in found]
