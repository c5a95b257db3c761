"""`dn2 evaluate`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from dn2.cli import stopping
from dn2.cli.common import (
    CacheOption,
    ExcludeOption,
    JsonOption,
    MaskOption,
    ModelArgument,
    NamedBackboneOption,
    OnOption,
    PlotOption,
    WarnRateOption,
    check_model_first,
    check_outputs,
    check_plot,
    console,
    finish,
    load,
    note,
    warn_unreadable,
)
from dn2.cli.stdin import STDIN, with_stdin
from dn2.errors import InputError


def evaluate(
    model: ModelArgument,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="In place of --normal and --anomalous, a labelled data set of pictures: laid out as MVTec AD, MVTec "
            "AD 2, BTech, VisA, KolektorSDD or KolektorSDD2, as folders of normal and anomalous pictures, or a "
            "manifest of Lookout for Vision. Its test pictures are scored, or all where it has no split.",
            show_default=False,
        ),
    ] = None,
    normal: Annotated[
        list[str] | None,
        typer.Option(metavar="INPUT", help="Items known to be normal. Repeat it for several.", show_default=False),
    ] = None,
    anomalous: Annotated[
        list[str] | None,
        typer.Option(metavar="INPUT", help="Items known to be anomalous. Repeat it for several.", show_default=False),
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Masks, which show where the defects are, for a model with --patches: each at its picture's path or "
            "as much of the end of it as there is, with _mask, _GT, _label or nothing after the name. Default: those "
            "of DATA.",
            show_default=False,
        ),
    ] = None,
    mask: MaskOption = None,
    category: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which category of DATA, of several.", show_default=False)
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="The folder with the pictures that a manifest names. Default: the manifest's own.",
            show_default=False,
        ),
    ] = None,
    warn_rate: WarnRateOption = None,
    exclude: ExcludeOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
    backbone: NamedBackboneOption = None,
    on: OnOption = None,
    cache: CacheOption = True,
) -> None:
    """Measure a model on items of which it is known whether they are anomalous, and where."""
    from dn2.cli.progress import progress
    from dn2.cli.show import evaluation_table
    from dn2.system.workers import working

    given = [*([] if data is None else [data]), *(normal or ()), *(anomalous or ())]
    check_model_first("evaluate", model, given, "--normal INPUT --anomalous INPUT")
    check_plot(plot)
    if STDIN in (normal or ()) and STDIN in (anomalous or ()):
        raise InputError("- stands for stdin, which can be read once; give it once")
    loaded = load(model, cache=cache, backbone=backbone)
    rate, kind = loaded.state.rate(None, warn_rate), loaded.kind.name
    with with_stdin(normal or (), kind) as good, with_stdin(anomalous or (), kind) as bad:
        check_outputs((plot,), (*good, *bad, *([] if data is None else [data])), kind, exclude)
        with working(on), progress("scoring") as show:
            scores = loaded.score_known(
                good or None,
                bad or None,
                data=data,
                category=category,
                images=images,
                masks=masks,
                mask=mask,
                exclude=exclude or (),
                progress=show,
            )
    evaluation = scores.evaluate(rate, warn_rate)
    if plot is not None:
        from dn2.report.plots import plot_evaluation

        plot_evaluation(scores.scores, scores.is_anomalous, loaded.calibration.threshold(rate), rate, plot)
        stopping.wrote(plot)
        note(f"written: {plot}")
    if as_json:
        figures = asdict(evaluation)
        print(json.dumps({name: figure for name, figure in figures.items() if figure is not None}))
    else:
        evaluation_table(evaluation, console())
    warn_unreadable(scores.unreadable)
    finish(scores.unreadable)
