"""Pictures compared as wholes with all reference pictures, as one network."""

from __future__ import annotations

from typing import Any

import numpy as np

from dn2.arrays import Positions, Vectors
from dn2.extras import import_openvino
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.exporting.operations import (
    Node,
    constant,
    named,
    reshape,
    see,
    squared_length,
    squares_but_own,
)
from dn2.neighbors.detector import Detector
from dn2.neighbors.prepare.whitening import Whitening

TINY = float(np.finfo(np.float32).tiny)


def neighbors_of(detector: Detector) -> Positions:
    """Return the positions of the reference items that may be neighbours, ascending."""
    held_out = detector.leave_one_out.members if detector.steps.holds_out else np.empty(0, np.int64)
    return np.setdiff1d(np.arange(len(detector.reference), dtype=np.int64), np.union1d(detector.aside, held_out))


def build(embedder: PlainImageEmbedder, detector: Detector) -> Any:
    """Build the network, an `openvino.Model`: pictures in, `score`, `distances` and `nearest` out, of k neighbours."""
    ov = import_openvino()
    op = ov.opset13
    seen = see(embedder.specs)
    row = _normalized(_joined(embedder, [output for (output,) in seen.outputs]), detector.steps.normalize.method)
    if detector.learnt is not None and detector.learnt.whitening is not None:
        row = _whitened(row, detector.learnt.whitening)
    positions = neighbors_of(detector)
    rows = detector.reference.compared_at(positions)
    squares, places = _nearest(row, rows, int(detector.steps.n_neighbors))
    outputs = {
        "score": op.reduce_mean(squares, constant([0], np.int64), True),
        "distances": op.sqrt(squares),
        "nearest": op.gather(constant(positions, np.int64), places, constant(0, np.int64)),
    }
    results = [named(name, node) for name, node in outputs.items()]
    return ov.Model(results, list(seen.inputs.values()), "decision")


def _joined(embedder: PlainImageEmbedder, vectors: list[Node]) -> Node:
    """See `PlainImageEmbedder.join`: (1, d)."""
    if len(vectors) == 1:
        return vectors[0]
    op = import_openvino().opset13
    is_root = embedder.normalize == "root-unit"
    features: dict[str, list[Node]] = {}
    probabilities = []
    for spec, vector in zip(embedder.specs, vectors, strict=True):
        if spec.probabilities:
            count = vector.get_partial_shape()[1].get_length() - spec.probabilities
            vector, classes = (
                op.gather(vector, constant(np.arange(*ends), np.int64), constant(1, np.int64))
                for ends in ((0, count), (count, count + spec.probabilities))
            )
            probabilities.append(classes)
        length = op.reduce_sum(op.abs(vector), constant([1], np.int64), True) if is_root else _length(vector)
        features.setdefault(spec.digest, []).append(op.divide(vector, op.maximum(length, constant(TINY))))
    parts = [_mean(sizes) for sizes in features.values()]
    if probabilities:
        parts.append(op.multiply(_mean(probabilities), constant(len(features))))
    return op.concat(parts, 1)


def _mean(rows: list[Node]) -> Node:
    op = import_openvino().opset13
    return op.reduce_mean(op.concat(rows, 0), constant([0], np.int64), True)


def _length(row: Node) -> Node:
    op = import_openvino().opset13
    return op.sqrt(squared_length(row))


def _normalized(row: Node, method: str) -> Node:
    """See `dn2.neighbors.prepare.normalize`."""
    op = import_openvino().opset13
    if method == "none":
        return row
    row = op.sqrt(row) if method == "root-unit" else row
    largest = op.reduce_max(op.abs(row), constant([1], np.int64), True)
    row = op.divide(row, op.maximum(largest, constant(TINY)))  # squares of the values themselves may underflow
    return op.divide(row, op.maximum(_length(row), constant(TINY)))


def _whitened(row: Node, whitening: Whitening) -> Node:
    """See `Whitening.apply`."""
    op = import_openvino().opset13
    along = op.matmul(row, constant(whitening.directions), False, True)
    changed = op.multiply(along, constant(whitening.factors - 1))
    return op.add(row, op.matmul(changed, constant(whitening.directions), False, False))


def _nearest(row: Node, rows: Vectors, k: int) -> tuple[Node, Node]:
    """Return squared distances to the k nearest rows, and their places, (k,) each, nearest first.

    Products find them, and differences tell how far they are: a copy lies at 0."""
    op = import_openvino().opset13
    zero = constant(0, np.int64)
    found = op.topk(squares_but_own(row, rows), constant(k, np.int64), 1, "min", "value", "i64")
    places = reshape(found.output(1), -1)
    near = op.gather(constant(rows), places, zero)
    squares = reshape(squared_length(op.subtract(near, row)), -1)
    ordered = op.topk(squares, constant(k, np.int64), 0, "min", "value", "i64")
    return ordered.output(0), op.gather(places, ordered.output(1), zero)
