"""The commands about backbones alone: embeddings, and networks as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dn2.cli import stopping
from dn2.cli.common import (
    CacheOption,
    ExcludeOption,
    InputsArgument,
    check_outputs,
    finish,
    note,
    note_cache,
    warn_unreadable,
)
from dn2.cli.stdin import with_stdin
from dn2.kinds.registry import find_kind_by_options


def embed(
    inputs: InputsArgument,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The .npz or .parquet to write.", show_default=False),
    ],
    exclude: ExcludeOption = None,
    cache: CacheOption = True,
    **options: Any,
) -> None:
    """Write the embeddings of pictures or messages alone, not normalised."""
    from dn2.cli.progress import progress
    from dn2.inputs.leaving_out import leaving_out
    from dn2.model import embedding
    from dn2.model.fitting import choose_kind
    from dn2.results.embeddings import writer_for

    write = writer_for(output)
    kind_asked = options.pop("kind", None)
    with with_stdin(inputs, kind_asked or find_kind_by_options(options)) as sources:
        with leaving_out(exclude, is_told=False):
            kind = choose_kind(sources, kind_asked, options)
        note_cache(cache, kind)
        check_outputs((output,), sources, kind, exclude)
        with progress("embedding") as show:
            reference = embedding.embed(sources, kind, cache, show, options, exclude or ())
    names, vectors, unreadable = [item.name for item in reference.items], reference.vectors, reference.unreadable
    write(output, names, vectors)
    stopping.wrote(output)
    note(f"{len(names):,} embeddings of {vectors.shape[1]} features written to {output}")
    warn_unreadable(unreadable)
    finish(unreadable)


def export(
    backbone: Annotated[
        str, typer.Argument(metavar="BACKBONE", help="A network of timm: timm/NAME.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .onnx to write.", show_default=False)
    ],
) -> None:
    """Write a network of timm as ONNX, which needs no PyTorch to run."""
    import dn2

    error = dn2.export_onnx(backbone, output)
    stopping.wrote(output)
    note(f"{output} and {output.with_suffix('.json').name} written; embeddings differ from PyTorch's by {error:.1e}")
