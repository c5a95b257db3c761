"""Making a model."""

from __future__ import annotations

from dn2.embed.embedder import ImageEmbedder
from dn2.embed.images import SUFFIXES
from dn2.embed.registry import from_any_folder
from dn2.embedding import Progress, embed_items
from dn2.errors import InputError
from dn2.inputs.files import Inputs, find_groups, find_items
from dn2.model import Model, reference_items
from dn2.neighbors.conformal import attainable_rate
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.groups import Pooling
from dn2.neighbors.kmeans import parse_index
from dn2.presets import NEIGHBORS_IF_CONTAMINATED, get_preset
from dn2.store.cache import Cache
from dn2.store.packed import PackedBytes


def fit(
    inputs: Inputs,
    *,
    preset: str = "default",
    backbone: str | None = None,
    n_neighbors: int | None = None,
    false_alarm_rate: float | None = None,
    normalize: str | None = None,
    precision: str = "auto",
    index: str = "auto",
    whiten: bool | None = None,
    contaminated: bool = False,
    drop: float | None = None,
    first_neighbors: int | None = None,
    groups: bool = False,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Model:
    """Learn what normal looks like from normal items.

    inputs : a folder, files, a glob, `@list.txt`, or several of these.
    preset : `fast`, `default` or `accurate`: a backbone and a number of neighbours, unless these are given.
    backbone : `lite0`, `lite1`, `lite2`, `timm/NAME`, the path of an ONNX file, or several joined by +;
        precision : `auto`, `f32` or `bf16`.
    n_neighbors : number k of neighbours that a score averages over; by default the preset's, or 10 for groups, but
        no more than a tenth of the items (and 2 at least); 10 if the items are contaminated, 1 with centroids.
    false_alarm_rate : share of normal items that may be flagged; by default 0.01, or the smallest that the items
        support, 1 / (n + 1), if that is larger.
    normalize : `none`, `unit` or `root-unit`; by default what measures best with the backbone.
    index : `auto`, `exact`, or `kmeans:C` for C centroids in place of the items.
    whiten : see `KNNDetector`; by default the preset's choice where there are 10,000 pictures or more, none of them
        contaminated, and half of them support the rate.  Not for groups.
    contaminated : whether anomalies are among the items and are to be set aside; drop : their share, by default
        estimated; first_neighbors : see `KNNDetector`.
    groups : whether each subfolder is one item, a group of pictures without order.
    cache : where embeddings are kept by content, None for nowhere; progress : called with (done, total).
    Items that cannot be read are left out; `Model.unreadable` lists them.
    Raises InputError if nothing is found or readable, ReferenceTooSmall, BackboneError."""
    if groups and whiten:
        raise InputError("groups are not whitened: leave out whiten, or groups")
    chosen = get_preset(preset).for_groups() if groups else get_preset(preset)
    items = find_groups(inputs, SUFFIXES) if groups else find_items(inputs, SUFFIXES)
    # From one half of the items; the other half calibrates.
    learns = contaminated or bool(whiten) or parse_index(index) is not None
    # If a rate is not attainable even with all of them, it is refused before the work.
    attainable_rate(false_alarm_rate, *((max(1, len(items) // 2), len(items)) if learns else (len(items),)))
    embedder = ImageEmbedder(from_any_folder(backbone or chosen.backbone), precision=precision, cache=cache)
    if n_neighbors is None:
        n_neighbors = chosen.neighbors_among(len(items)) if not contaminated else NEIGHBORS_IF_CONTAMINATED
        n_neighbors = n_neighbors if parse_index(index) is None else 1
    method = normalize or embedder.normalize
    detector = KNNDetector(
        n_neighbors,
        false_alarm_rate=false_alarm_rate,
        normalize=method,
        index=index,
        whiten=bool(whiten),
        contaminated=contaminated,
        drop=drop,
        first_neighbors=first_neighbors,
    )
    detector.check_parameters()  # before the work
    pooling = Pooling.of(method) if groups else None
    if groups:
        detector.set_params(normalize="none")  # members are normalised before they are pooled
    embedded = embed_items(embedder, items, progress, reference=True, pooling=pooling)
    if whiten is None and not contaminated and not groups:
        detector.set_params(whiten=chosen.whitens_among(len(embedded.items), false_alarm_rate))
    detector.fit(embedded.vectors)
    model = Model(embedder, detector, reference_items(embedded), PackedBytes.of(embedded.thumbnails), pooling)
    model.unreadable = embedded.unreadable
    return model
