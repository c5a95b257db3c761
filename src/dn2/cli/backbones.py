"""The commands about embeddings, and networks as files: a backbone alone, or a model's whole decision."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dn2.cli import stopping
from dn2.cli.common import (
    CacheOption,
    ExcludeOption,
    InputsArgument,
    OnOption,
    check_outputs,
    finish,
    load,
    note,
    note_cache,
    quote_words,
    warn_unreadable,
)
from dn2.cli.stdin import with_stdin
from dn2.errors import InputError
from dn2.kinds.registry import find_kind_by_options


def embed(
    inputs: InputsArgument,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The .npz or .parquet to write.", show_default=False),
    ],
    exclude: ExcludeOption = None,
    on: OnOption = None,
    cache: CacheOption = True,
    **options: Any,
) -> None:
    """Write the embeddings of pictures or messages alone, not normalised."""
    from dn2.cli.progress import progress
    from dn2.inputs.leaving_out import leaving_out
    from dn2.model import embedding
    from dn2.model.fitting import choose_kind
    from dn2.results.embeddings import writer_for
    from dn2.system.workers import working

    write = writer_for(output)
    kind_asked = options.pop("kind", None)
    with with_stdin(inputs, kind_asked or find_kind_by_options(options)) as sources:
        with leaving_out(exclude, is_told=False):
            kind = choose_kind(sources, kind_asked, options)
        note_cache(cache, kind)
        check_outputs((output,), sources, kind, exclude)
        with working(on), progress("embedding") as show:
            reference = embedding.embed(sources, kind, cache, show, options, exclude or ())
    names, vectors, unreadable = [item.name for item in reference.items], reference.vectors, reference.unreadable
    write(output, names, vectors)
    stopping.wrote(output)
    note(f"{len(names):,} embeddings of {vectors.shape[1]} features written to {output}")
    warn_unreadable(unreadable)
    finish(unreadable)


def export(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="The folder to write; with --backbone the .onnx file.",
            show_default=False,
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="The folder of a model of pictures.", show_default=False),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A network alone, instead of a model: timm/NAME.", show_default=False),
    ] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(metavar="FORMAT", help="Write only onnx, or openvino. Default: both.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an export wrote there before.")] = False,
) -> None:
    """Write a model's whole decision as files that need no dn2 to run, or a network of timm as ONNX."""
    import dn2
    from dn2.networks.backbone import TIMM

    if model is not None and str(model).startswith(TIMM) and not model.exists():
        raise InputError(f"{model} is a network: dn2 export --backbone {model} -o {quote_words(output)}")
    if (model is None) == (backbone is None):
        raise InputError("give either a MODEL or a network with --backbone")
    if backbone is not None:
        if format is not None:
            raise InputError("--format is of a model's decision; a network alone is written as ONNX")
        if output.exists() and not force:
            raise InputError(f"{output} is there already; give another name, or --force to replace it")
        error = dn2.export_onnx(backbone, output)
        stopping.wrote(output)
        note(
            f"{output} and {output.with_suffix('.json').name} written; embeddings differ from PyTorch's by {error:.1e}"
        )
        return
    from dn2.model.exporting import check_target, summary

    assert model is not None
    check_target(output, force)
    about = load(model, cache=False, backbone=None).export(output, format=format, overwrite=force)
    stopping.wrote(output)
    note(f"{output}: {', '.join(about['files'])} and decision.json written")
    for line in summary(about):
        note(line)
