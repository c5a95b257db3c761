"""Colours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from dn2.kinds.toy.evidence import ToyEvidence
from dn2.kinds.toy.options import ToyOptions

from dn2.arrays import Progress, Vectors
from dn2.inputs.digests import sha256_of
from dn2.inputs.files import find_items
from dn2.kinds.batches import in_batches, split_rows
from dn2.kinds.exchange import Batch, Judge, Judgement, Reference
from dn2.kinds.kind import Kind
from dn2.neighbors.blocks import rows_at
from dn2.store.bundle import Bundle
from dn2.store.cache import Cache
from dn2.store.shards import StoredRows

CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class Colors:
    """Colours that were found: names, (n, 3) values, errors by place, and the files they came from."""

    names: list[str]
    values: Vectors
    errors: dict[int, str]
    paths: list[str]
    digests: list[str]


@dataclass(frozen=True)
class ToyKind(Kind[Colors]):
    """Colours, compared by red, green and blue, and by brightness where that counts; see `Kind`."""

    name: ClassVar[str] = "toy"
    one: ClassVar[str] = "colour"
    many: ClassVar[str] = "colours"
    options: ClassVar[type[ToyOptions]] = ToyOptions
    suffixes: ClassVar[frozenset[str]] = frozenset({".colors"})
    evidence: ClassVar[type[ToyEvidence]] = ToyEvidence
    embedder: ClassVar[None] = None
    shade: float = 0.0

    @property
    def dimension(self) -> int:
        """See `Kind`."""
        return 4

    @classmethod
    def learn(
        cls, inputs: Any, options: ToyOptions, cache: Cache | None, progress: Progress | None
    ) -> tuple[Self, Colors]:
        """See `Kind`."""
        kind = cls(options.shade or 0.0)
        return kind, kind.find(inputs)

    def find(self, inputs: Any, progress: Progress | None = None) -> Colors:
        """See `Kind`."""
        colors = Colors([], np.empty((0, 3), np.float32), {}, [], [])
        values = []
        for item in find_items(inputs, self.suffixes):
            digest = sha256_of(item.path)
            for number, line in enumerate(item.path.read_text().splitlines(), 1):
                if not re.fullmatch("#[0-9a-f]{6}", line):
                    colors.errors[len(values)] = f"a colour must be written #rrggbb, got {line!r}"
                    line = "#000000"
                values.append([int(line[place : place + 2], 16) / 255 for place in (1, 3, 5)])
                colors.names.append(f"{item.name}:{number}")
                colors.paths.append(str(item.path))
                colors.digests.append(digest)
        return Colors(colors.names, np.array(values, np.float32), colors.errors, colors.paths, colors.digests)

    def embed(self, found: Colors, progress: Progress | None) -> Iterator[Batch]:
        """See `Kind`."""
        return in_batches(found, found.errors, lambda rows: (self._vectors(found.values[rows]), None), progress)

    def reference(self, found: Colors, progress: Progress | None) -> Reference:
        """See `Kind`."""
        items, unreadable, places = split_rows(found, found.errors)
        return Reference(items, self._vectors(found.values[places]), unreadable, self)

    def explain(self, judge: Judge, batch: Batch, judgement: Judgement) -> Iterator[ToyEvidence]:
        """See `Kind`."""
        strangest = iter([])
        if len(batch.vectors):
            near = rows_at(judge.detector.blocks, judgement.positions[:, 0])
            strangest = iter(np.abs(batch.vectors - near)[:, :3].argmax(axis=1).tolist())
        for place in range(len(batch.names)):
            yield ToyEvidence() if place in batch.errors else ToyEvidence(CHANNELS[next(strangest)])

    @classmethod
    def say(cls, about: Mapping[str, Any]) -> list[tuple[str, str]]:
        """See `Kind`."""
        return [("kind", "colours"), ("reference items", f"{about['calibration']['n_reference']:,}")]

    def describe(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"kind": self.name, "embedder": None, "shade": self.shade}

    @classmethod
    def restore(cls, files: Bundle, kept: StoredRows, cache: Cache | None, backbone: str | None) -> Self:
        """See `Kind`."""
        return cls(float(files.manifest["shade"]))

    def _vectors(self, values: Vectors) -> Vectors:
        brightness = self.shade * values.mean(axis=1, keepdims=True)
        return np.concatenate([values, brightness], axis=1).astype(np.float32)
