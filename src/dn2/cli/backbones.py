"""The commands about backbones alone: embeddings, and networks as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dn2.cli.common import (
    AnyBackboneOption,
    CacheOption,
    ColumnOption,
    IdOption,
    InputsArgument,
    KindName,
    KindOption,
    Precision,
    PrecisionOption,
    check_outputs,
    finish,
    note,
    open_cache,
    warn_unreadable,
)


def embed(
    inputs: InputsArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .npz or .parquet file.", show_default=False)],
    kind: KindOption = None,
    backbone: AnyBackboneOption = None,
    precision: PrecisionOption = Precision.auto,
    column: ColumnOption = None,
    id_column: IdOption = None,
    cache: CacheOption = True,
) -> None:
    """Write the embeddings of pictures or messages alone, not normalised."""
    from dn2.cli.progress import progress
    from dn2.embedding import embed_inputs
    from dn2.errors import InputError
    from dn2.fitting import find_kind, find_texts, refuse
    from dn2.presets import get_preset
    from dn2.store.vectors import writer_for

    write = writer_for(output)
    found = find_kind(inputs, kind, column)
    check_outputs((output,), inputs, found)
    with progress("embedding") as show:
        if found == KindName.text:
            refuse(found, {"precision": precision != Precision.auto})
            texts, rows = find_texts(inputs, backbone, column, id_column, open_cache(cache), show)
            reference = texts.reference(rows, show)
            names, vectors, unreadable = [one.name for one in reference.items], reference.vectors, reference.unreadable
        elif found == KindName.image:
            refuse(found, {"an id column": id_column is not None})
            network = backbone or get_preset("default").backbone
            of_images = embed_inputs(
                inputs, backbone=network, precision=precision, cache=open_cache(cache), progress=show
            )
            names, vectors, unreadable = [one.name for one in of_images.items], of_images.vectors, of_images.unreadable
        else:
            raise InputError(f"embed takes pictures and messages, and these inputs are of the kind {found}")
    write(output, names, vectors)
    note(f"{len(names):,} embeddings of {vectors.shape[1]} features written to {output}")
    warn_unreadable(unreadable)
    finish(unreadable)


def export(
    backbone: Annotated[str, typer.Argument(metavar="BACKBONE", help="timm/NAME.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.", show_default=False)],
) -> None:
    """Write a backbone of timm as ONNX, which needs no PyTorch to run."""
    import dn2

    error = dn2.export_onnx(backbone, output)
    note(f"{output} and {output.with_suffix('.json').name} written; embeddings differ from PyTorch's by {error:.1e}")
