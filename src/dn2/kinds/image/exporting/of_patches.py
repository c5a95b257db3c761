"""Pictures compared patch by patch, as one network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dn2.extras import import_openvino
from dn2.kinds.image.exporting.operations import (
    Node,
    constant,
    counting,
    interpolation,
    named,
    nearest,
    reshape,
    resize,
    rounded,
    see,
    side,
    squared_length,
    squares_but_own,
)
from dn2.neighbors.patches.bank import Bank
from dn2.neighbors.patches.detector import PatchDetector, grouped
from dn2.neighbors.patches.joining import Map
from dn2.neighbors.patches.looking import HALF, ROUNDING
from dn2.neighbors.patches.reducing import Reduction
from dn2.networks.backbone import Backbone
from dn2.networks.maps import averaged


def build(backbones: list[Backbone], patches: PatchDetector, region: Map | None) -> Any:
    """Build the network, an `openvino.Model`: pictures in, `anomaly_map`, `score` and `nearest` out.

    region : where all pictures are looked at, see `looked_at`; None for all of them."""
    ov = import_openvino()
    op = ov.opset13
    seen = see(backbones)
    levels = [[_level(output) for output in outputs] for outputs in seen.outputs]
    ratios, near, first = [], [], 0
    for bank, group in zip(patches.banks, grouped(levels), strict=True):
        ratio, found = _compare(bank, group, patches.by_place)
        ratios.append(ratio)
        near.append(op.add(found, constant(first, np.int64)))
        first += len(bank.vectors)
    height, width = (_largest([side(ratio, axis) for ratio in ratios]) for axis in (0, 1))
    total = resize(ratios[0], height, width)
    for ratio in ratios[1:]:
        total = op.add(total, resize(ratio, height, width))
    anomaly_map, count = op.divide(total, constant(len(ratios))), op.multiply(height, width)
    if region is not None:
        inside = _looked_at(region, height, width)
        anomaly_map, count = op.multiply(anomaly_map, inside), op.reduce_sum(inside, constant([0, 1], np.int64), False)
    outputs = {
        "anomaly_map": anomaly_map,
        "score": _top_mean(anomaly_map, patches.share, count),
        "nearest": _strangest(ratios, near, height, width),
    }
    results = [named(name, node) for name, node in outputs.items()]
    return ov.Model(results, list(seen.inputs.values()), "decision")


def _level(output: Node) -> Node:
    """Make a map of a network, (1, d, h, w), the embeddings of patches as they are compared: (h, w, d)."""
    op = import_openvino().opset13
    return rounded(op.squeeze(averaged(output), constant([0], np.int64)))


def _join(levels: Sequence[Node]) -> Node:
    """See `dn2.neighbors.patches.joining.join`."""
    op = import_openvino().opset13
    height, width = side(levels[0], 0), side(levels[0], 1)
    parts = [levels[0]]
    for level in levels[1:]:
        depth = side(level, 2)
        rows = reshape(level, side(level, 0), -1)
        down = op.matmul(interpolation(side(level, 0), height), rows, False, False)
        down = reshape(down, height, side(level, 1), depth)
        parts.append(op.matmul(interpolation(side(level, 1), width), down, False, False))
    return op.concat(parts, 2) if len(parts) > 1 else parts[0]


def _reduce(rows: Node, reduction: Reduction) -> Node:
    """See `dn2.neighbors.patches.reducing.Reduction.reduce`."""
    op = import_openvino().opset13
    axes = constant(reduction.axes)
    rest = op.subtract(rows, constant(reduction.mean))
    along = op.matmul(rest, axes, False, False)
    rest = op.subtract(rest, op.matmul(along, axes, False, True))
    return op.concat([along, op.sqrt(squared_length(rest))], 1)


def _compare(bank: Bank, levels: Sequence[Node], by_place: bool) -> tuple[Node, Node]:
    """Return how far each place is from a bank, 1 where it is as usual, and the number of the nearest patch: (h, w)."""
    op = import_openvino().opset13
    height, width = side(levels[0], 0), side(levels[0], 1)
    rows = _reduce(reshape(_join(levels), -1, len(bank.reduction.mean)), bank.reduction)
    found = op.topk(squares_but_own(rows, bank.vectors), constant(1, np.int64), 1, "min", "value", "i64")
    near = op.gather(constant(bank.vectors), reshape(found.output(1), -1), constant(0, np.int64))
    distances = reshape(op.sqrt(squared_length(op.subtract(rows, near))), height, width)
    usual = bank.usual if by_place else np.full_like(bank.usual, bank.usual.mean())
    ratio = op.divide(distances, resize(constant(usual), height, width))
    return ratio, reshape(found.output(1), height, width)


def _looked_at(region: Map, height: Node, width: Node) -> Node:
    """Return 1 at places of a map that are looked at, and 0 elsewhere: see `dn2.neighbors.patches.looking`."""
    op = import_openvino().opset13
    down = op.matmul(_shares(region.shape[0], height), constant(region), False, False)
    share = op.matmul(down, _shares(region.shape[1], width), False, True)
    least = op.minimum(constant(HALF), op.reduce_max(share, constant([0, 1], np.int64), True))
    return op.convert(op.greater_equal(share, op.subtract(least, constant(ROUNDING))), "f32")


def _shares(size: int, target: Node) -> Node:
    """Return the matrix, (target, size), that takes the mean over what each of `target` equal cells covers."""
    op = import_openvino().opset13
    wide = op.divide(constant(size), op.convert(target, "f32"))
    low = op.multiply(reshape(op.convert(counting(target), "f32"), -1, 1), wide)
    places = constant(np.arange(size)[None])
    last = op.minimum(op.add(low, wide), op.add(places, constant(1)))
    return op.divide(op.relu(op.subtract(last, op.maximum(low, places))), wide)


def _largest(sides: list[Node]) -> Node:
    op = import_openvino().opset13
    largest = sides[0]
    for one in sides[1:]:
        largest = op.maximum(largest, one)
    return largest


def _strangest(ratios: list[Node], near: list[Node], height: Node, width: Node) -> Node:
    """Return for each place the patch that is nearest in the bank from which it is farthest: (height, width)."""
    op = import_openvino().opset13
    highest, strangest = (nearest(values[0], height, width) for values in (ratios, near))
    for ratio, numbers in zip(ratios[1:], near[1:], strict=True):
        other = nearest(ratio, height, width)
        is_farther = op.greater_equal(other, highest)
        strangest = op.select(is_farther, nearest(numbers, height, width), strangest)
        highest = op.maximum(highest, other)
    return strangest


def _top_mean(values: Node, share: float, size: Node) -> Node:
    """See `dn2.neighbors.patches.detector.top_mean`; size : how many places count, of which no other exceeds one."""
    op = import_openvino().opset13
    flat = reshape(values, -1)
    count = op.maximum(constant(1), op.multiply(op.convert(size, "f32"), constant(share)))
    whole = op.convert(op.ceiling(count), "i64")
    highest = op.topk(flat, whole, 0, "max", "value", "i64").output(0)
    weights = op.clamp(op.subtract(count, op.convert(counting(whole), "f32")), 0.0, 1.0)
    total = op.reduce_sum(op.multiply(highest, weights), constant([0], np.int64), True)
    return op.divide(total, count)
