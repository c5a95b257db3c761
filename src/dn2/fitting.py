"""Making a model."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dn2.embed.embedder import ImageEmbedder
from dn2.embed.texts import TextEmbedder, choose_text_backbone
from dn2.embedding import Progress
from dn2.errors import InputError
from dn2.inputs.tables import read_table
from dn2.inputs.texts import TextRows
from dn2.inputs.vectors import read_vectors
from dn2.kinds.guess import KINDS, guess_kind
from dn2.kinds.images import Images
from dn2.kinds.kind import Found, Kind
from dn2.kinds.series import Series
from dn2.kinds.series_rows import read_series
from dn2.kinds.tables import Tables
from dn2.kinds.texts import Texts
from dn2.kinds.vectors import Vectors
from dn2.model import Model
from dn2.neighbors.checks import check_normalization
from dn2.neighbors.choice import choose_storage, parse_index
from dn2.neighbors.conformal import DEFAULT_RATE, attainable_rate
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.groups import Pooling
from dn2.neighbors.plan import Plan
from dn2.presets import NEIGHBORS_IF_CONTAMINATED, Preset, get_preset
from dn2.scoring import score_reference
from dn2.store.cache import Cache
from dn2.store.results import Results

logger = logging.getLogger("dn2")


def fit(
    inputs: Any,
    *,
    kind: str | None = None,
    preset: str = "default",
    backbone: str | None = None,
    n_neighbors: int | None = None,
    false_alarm_rate: float | None = None,
    normalize: str | None = None,
    precision: str = "auto",
    index: str = "auto",
    recall: float = 0.999,
    storage: str = "auto",
    memory_limit: str | int | None = None,
    whiten: bool | None = None,
    contaminated: bool = False,
    drop: float | None = None,
    first_neighbors: int | None = None,
    groups: bool = False,
    column: str | None = None,
    id_column: str | None = None,
    drop_columns: Collection[str] = (),
    time: str | None = None,
    values: Collection[str] = (),
    window: int | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Model:
    """Learn what normal looks like from normal items.

    inputs : a folder, files, a glob, `@list.txt`, or several of these; a table also as a frame of pandas or polars,
        messages also as a column of one or an array of texts, (n,), vectors also as an array, (n, d), series also as
        one, (n,) or (n, columns).
    kind : `image`, `series`, `table`, `text` or `vector`; by default it is guessed from the inputs.
    preset : `fast`, `default` or `accurate`: a backbone and a number of neighbours, unless these are given.
    backbone : `lite0`, `lite1`, `lite2`, `timm/NAME`, the path of an ONNX file, or several joined by +;
        precision : `auto`, `f32` or `bf16`.  For messages see `TextEmbedder`; by default `minilm+characters`, or
        `characters` without the extra `text`.
    n_neighbors : number k of neighbours that a score averages over; by default the preset's, or 10 for groups, but
        no more than a tenth of the items (and 2 at least); 10 if the items are contaminated, 1 with centroids and for
        series.
    false_alarm_rate : share of normal items that may be flagged; by default 0.01, or the smallest that the items
        support, 1 / (n + 1), if that is larger.
    normalize : `none`, `unit` or `root-unit`; by default what measures best with the backbone, none for vectors.  At
        unit length distances rank as cosines do.  Not for tables, nor for messages.
    index, recall, storage : how the items are searched and kept; see `KNNDetector`.
    memory_limit : such as `4GB`, how much memory the process may hold that is not the system's page cache: decides on
        the storage, and what does not fit is refused with the size needed.
    whiten : see `KNNDetector`; by default the preset's choice where there are 10,000 pictures or more, none of them
        contaminated, and half of them support the rate.  Not for groups, nor for tables.
    contaminated : whether anomalies are among the items and are to be set aside; drop : their share, by default
        estimated; first_neighbors : see `KNNDetector`.
    groups : whether each subfolder is one item, a group of pictures without order.
    column : of a table or JSON Lines, the one that holds messages; given, items are messages unless `kind` says
        otherwise.
    id_column, drop_columns : of a table, the column that names its rows, or the series that they belong to, and those
        that are not to be compared.
    time, values, window : of series, the column of stamps, without which rows come one step after the other; the
        columns of values, by default all others of numbers; and how many points a window has, by default 200 or a
        quarter of the longest series.  Given, items are windows of series unless `kind` says otherwise.
    cache : where embeddings are kept by content, None for nowhere; progress : called with (done, total).
    Items that cannot be read are left out; `Model.unreadable` lists them.
    Raises InputError if nothing is found or readable, or for options that do not go with the kind of items;
    ReferenceTooSmall, BackboneError."""
    of_series = {
        "a column of stamps": time is not None,
        "a column of values": len(values) > 0,
        "a window": window is not None,
    }
    kind = find_kind(inputs, kind, column, series=any(of_series.values()))
    of_texts = {"a column of messages": column is not None}
    of_images = {"precision": precision != "auto", "groups": groups, "preset": preset != "default"}
    of_columns = {"an id column": id_column is not None}
    of_tables = {"a column to drop": len(drop_columns) > 0}
    of_vectors = {"normalize": normalize is not None, "whiten": bool(whiten)}
    of_networks = {"backbone": backbone is not None}
    detector = KNNDetector(
        2 if n_neighbors is None else n_neighbors,
        false_alarm_rate=false_alarm_rate,
        normalize=normalize or "none",
        index=index,
        recall=recall,
        storage=storage,
        memory_limit=memory_limit,
        whiten=bool(whiten),
        contaminated=contaminated,
        drop=drop,
        first_neighbors=first_neighbors,
    )
    chosen = get_preset(preset).for_groups() if groups else get_preset(preset)
    if kind == "image":
        refuse(kind, {**of_tables, **of_columns, **of_texts, **of_series})
        if groups and whiten:
            raise InputError("groups are not whitened: leave out whiten, or groups")
        embedder = ImageEmbedder(backbone or chosen.backbone, precision=precision, cache=cache)
        method = normalize or embedder.normalize
        check_normalization(method)
        images = Images(embedder, Pooling.of(method) if groups else None)
        # The members of groups are normalised before they are pooled.
        detector.set_params(normalize="none" if groups else method)
        by_preset = whiten is None and not contaminated and not groups
        return _fit(images, images.find(inputs), detector, chosen, n_neighbors, by_preset, progress)
    if kind == "table":
        refuse(kind, {**of_images, **of_networks, **of_vectors, **of_texts, **of_series})
        table = read_table(inputs, id_column=id_column, drop=drop_columns, progress=progress)
        tables = Tables.learn(table, id_column)
        detector.set_params(scale_columns=True, categorical_columns=tables.embedder.categorical)
        return _fit(tables, table, detector, chosen, n_neighbors, False, progress)
    if kind == "text":
        refuse(kind, {**of_images, **of_vectors, **of_tables, **of_series})
        texts, found = find_texts(inputs, backbone, column, id_column, cache, progress)
        return _fit(texts, found, detector, chosen, n_neighbors, False, progress)
    if kind == "vector":
        refuse(kind, {**of_images, **of_networks, **of_tables, **of_columns, **of_texts, **of_series})
        vectors = read_vectors(inputs)
        return _fit(Vectors(vectors.vectors.shape[1]), vectors, detector, chosen, n_neighbors, False, progress)
    if kind == "series":
        refuse(kind, {**of_images, **of_networks, **of_tables, **of_vectors, **of_texts})
        if contaminated:
            raise InputError(
                "a series with anomalies in it is compared with itself: dn2 score --self, or dn2.score_self; leave out "
                "contaminated"
            )
        read = read_series(inputs, time=time, values=values, id_column=id_column, progress=progress)
        series, windows = Series.learn(read, window, time, id_column)
        attainable_rate(false_alarm_rate, windows.most_intervals, what="intervals of reference series")
        detector.set_params(window=series.embedder.window, n_neighbors=1 if n_neighbors is None else n_neighbors)
        return _fit(series, windows, detector, chosen, detector.n_neighbors, False, progress)
    raise InputError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")


def score_self(
    inputs: Any,
    *,
    time: str | None = None,
    values: Collection[str] = (),
    id_column: str | None = None,
    window: int | None = None,
    n_neighbors: int = 1,
    false_alarm_rate: float | None = None,
    index: str = "auto",
    recall: float = 0.999,
    storage: str = "auto",
    memory_limit: str | int | None = None,
    progress: Progress | None = None,
) -> Results:
    """Score series whose anomalies are unknown against themselves: each window against all that do not overlap it.

    The parameters are those of `fit`.  A p-value is the share of all intervals that score as high, and so a rate flags
    that share of them, whatever they are; by default one in 100, or the highest alone.
    Raises InputError and ReferenceTooSmall as `fit` does."""
    read = read_series(inputs, time=time, values=values, id_column=id_column, progress=progress)
    series, found = Series.learn(read, window, time, id_column)
    detector = KNNDetector(
        n_neighbors,
        index=index,
        recall=recall,
        storage=storage,
        memory_limit=memory_limit,
        window=series.embedder.window,
    )
    model = _fit(series, found, detector, get_preset("default"), n_neighbors, False, progress, measure=False)
    results = score_reference(model, found)
    if not results.sample_size:  # the only interval is neither strange nor not
        return replace(results, rows=[replace(row, is_anomaly=None if row.error else False) for row in results])
    smallest = 1 / (results.sample_size + 1)
    return results.at(max(DEFAULT_RATE, smallest) if false_alarm_rate is None else false_alarm_rate)


def find_kind(inputs: Any, kind: str | None, column: str | None, series: bool = False) -> str:
    """Return the kind of items that is asked for, or that the inputs look like; a column of messages makes them such,
    and what only series have.

    Raises InputError for inputs of several kinds."""
    if kind is not None:
        return kind
    if series:
        return Series.name
    return guess_kind(inputs) if column is None else Texts.name


def find_texts(
    inputs: Any,
    backbone: str | None,
    column: str | None,
    id_column: str | None,
    cache: Cache | None,
    progress: Progress | None,
) -> tuple[Texts, TextRows]:
    """Find messages, and what embeds them: the backbone asked for, or the best that this installation has.

    Raises InputError if there are none, or for a column where inputs have none; MissingExtra, BackboneError."""
    lacking = ""
    if backbone is None:
        backbone, lacking = choose_text_backbone()
    texts = Texts(TextEmbedder(backbone, cache=cache), column, id_column)
    found = texts.find(inputs, progress)
    if found.column is None:
        refuse(
            "text, and come without columns",
            {"a column of messages": column is not None, "an id column": id_column is not None},
        )
    if lacking:
        logger.warning(lacking)
    return texts, found


def refuse(kind: str, given: Mapping[str, bool]) -> None:
    """Raise InputError for an option that is given and has no meaning for the kind of items."""
    if wrong := [name for name, is_given in given.items() if is_given]:
        raise InputError(f"{wrong[0]} has no meaning where items are of the kind {kind}: leave it out")


def _fit(
    kind: Kind,
    found: Found,
    detector: KNNDetector,
    chosen: Preset,
    n_neighbors: int | None,
    whiten_by_preset: bool,
    progress: Progress | None,
    measure: bool = True,
) -> Model:
    """Embed what was found and fit the detector, whose number of neighbours is the preset's if none is given."""
    n = len(found.names)
    parameters = detector.get_params()
    # From one half of the items; the other half calibrates.  If a rate is not attainable even with all of them, it is
    # refused before the work.
    learns = Plan.of(parameters, n, kind.dimension).learns
    attainable_rate(parameters["false_alarm_rate"], *((max(1, n // 2), n) if learns else (n,)))
    if n_neighbors is None:
        k = NEIGHBORS_IF_CONTAMINATED if parameters["contaminated"] else chosen.neighbors_among(n)
        detector.set_params(n_neighbors=1 if parse_index(parameters["index"]).name == "kmeans" else k)
    detector.check_parameters()
    # All vectors are in memory before they are stored, but for a file that is mapped.
    mapped = isinstance(getattr(found, "vectors", None), np.memmap)
    choose_storage(parameters, n, kind.dimension, 0 if mapped else 4 * n * kind.dimension)
    reference = kind.reference(found, progress)
    if whiten_by_preset:
        whiten = chosen.whitens_among(len(reference.items), parameters["false_alarm_rate"])
        detector.set_params(whiten=whiten)
    detector.fit(reference.vectors, places=reference.places, measure=measure, progress=progress)
    return Model(reference.kind, detector, reference.items, unreadable=reference.unreadable)
