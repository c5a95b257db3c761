"""The commands about backbones alone: embeddings, and networks as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dn2.cli.common import (
    BackboneOption,
    CacheOption,
    InputsArgument,
    Precision,
    PrecisionOption,
    finish,
    note,
    open_cache,
    warn_unreadable,
)


def embed(
    inputs: InputsArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .npz or .parquet file.", show_default=False)],
    backbone: BackboneOption = "lite0",
    precision: PrecisionOption = Precision.auto,
    cache: CacheOption = True,
) -> None:
    """Write the embeddings alone, not normalised."""
    from dn2.cli.progress import progress
    from dn2.embedding import embed_inputs
    from dn2.store.vectors import writer_for

    write = writer_for(output)
    with progress("embedding") as show:
        embedded = embed_inputs(inputs, backbone=backbone, precision=precision, cache=open_cache(cache), progress=show)
    write(output, [item.name for item in embedded.items], embedded.vectors)
    note(f"{len(embedded.items):,} embeddings of {embedded.vectors.shape[1]} features written to {output}")
    warn_unreadable(embedded.unreadable)
    finish(embedded.unreadable)


def export(
    backbone: Annotated[str, typer.Argument(metavar="BACKBONE", help="timm/NAME.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.", show_default=False)],
) -> None:
    """Write a backbone of timm as ONNX, which needs no PyTorch to run."""
    import dn2

    error = dn2.export_onnx(backbone, output)
    note(f"{output} and {output.with_suffix('.json').name} written; embeddings differ from PyTorch's by {error:.1e}")
