"""What people said of scored items, as a model keeps it: defects are a test that never enters the reference set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Array, Vectors
from dn2.inputs.verdicts import DEFECT, VERDICTS
from dn2.system.naming import identity

CONFIDENCE = 0.95  # of intervals


class Share(NamedTuple):
    """Of things that were drawn at random, those that something is true of, perhaps of a part of each, and all."""

    hits: float
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of 95 % for the share of all that could have been drawn.

        Where things count in part it is that of whole ones, which is no narrower.  Source: Clopper, Pearson, 1934."""
        from scipy.stats import binomtest

        if not self.of:
            return 0.0, 1.0
        whole = round(self.hits, 9)
        low, high = (binomtest(end, self.of).proportion_ci(CONFIDENCE) for end in (math.floor(whole), math.ceil(whole)))
        return float(low.low), float(high.high)


@dataclass(frozen=True)
class Judged:
    """A scored item that a person judged.

    verdict : `normal`, `defect` or `unsure`; kind : of a defect; audit : whether it was drawn for the person.
    path, sha256 : its file, as of a `ReferenceItem`; part, per : what it belongs to.
    p_value, is_anomaly : what the model said of it when the verdict came; None where it decides nothing."""

    item: str
    verdict: str
    kind: str = ""
    audit: bool = False
    path: str = ""
    sha256: str = ""
    part: str = ""
    per: str = ""
    p_value: float | None = None
    is_anomaly: bool | None = None

    @classmethod
    def from_dict(cls, about: Any) -> Self:
        """Restore what a saved model has.  Raises LookupError, TypeError, ValueError for anything else."""
        judged = cls(**about)
        texts = [getattr(judged, one.name) for one in fields(cls)[:8] if one.name != "audit"]
        flags = (judged.audit, judged.is_anomaly)
        if not all(isinstance(text, str) for text in texts) or judged.verdict not in VERDICTS:
            raise ValueError("what people said must be texts, and a verdict")
        if not isinstance(judged.audit, bool) or not all(flag is None or isinstance(flag, bool) for flag in flags):
            raise ValueError("audits and decisions must be true or false")
        if judged.p_value is not None and not 0 < float(judged.p_value) <= 1:
            raise ValueError(f"a p-value of {judged.p_value!r}")
        return judged


@dataclass(frozen=True, eq=False)
class Told:
    """All that people said of the items that a model scored.

    judged : the items; vectors : (m, d) of the defects among them, in their order; None where there are none."""

    judged: tuple[Judged, ...] = ()
    vectors: Vectors | None = None

    @property
    def defects(self) -> list[Judged]:
        """The items that are defects."""
        return [one for one in self.judged if one.verdict == DEFECT]

    @property
    def counts(self) -> dict[str, int]:
        """How many items were told to be what, and how many of all were audited."""
        counts = {verdict: sum(one.verdict == verdict for one in self.judged) for verdict in VERDICTS}
        return counts | {"audited": sum(one.audit for one in self.judged)}

    def known(self) -> dict[str, Judged]:
        """Return what was said of each item, by its identity."""
        return {identity(one.item): one for one in self.judged}

    def with_more(self, judged: Sequence[Judged], vectors: Vectors) -> Self:
        """Append items; vectors : of the defects among them."""
        if self.vectors is not None:
            vectors = np.concatenate([self.vectors, vectors])
        return replace(self, judged=(*self.judged, *judged), vectors=vectors if len(vectors) else None)

    def without(self, identities: Iterable[str]) -> Self:
        """Leave out items by identity."""
        gone = set(identities)
        stay = [identity(one.item) not in gone for one in self.defects]
        vectors = None if self.vectors is None or not any(stay) else self.vectors[np.array(stay)]
        return replace(
            self, judged=tuple(one for one in self.judged if identity(one.item) not in gone), vectors=vectors
        )

    def audited(self, verdict: str) -> Share:
        """Return the share that was flagged of the audited items of a verdict, each of their parts counting once."""
        by_unit: dict[str, list[bool]] = {}
        for one in self.judged:
            if one.audit and one.verdict == verdict and one.is_anomaly is not None:
                unit = f"part {one.part}" if one.part else f"item {identity(one.item)}"
                by_unit.setdefault(unit, []).append(one.is_anomaly)
        return Share(sum(sum(flags) / len(flags) for flags in by_unit.values()), len(by_unit))

    def as_contents(self) -> dict[str, list[Any]]:
        """Return the files of a saved model; none where nothing was said."""
        if not self.judged:
            return {}
        records: list[Mapping[str, Any]] = [vars(one) for one in self.judged]
        contents: dict[str, list[Any]] = {"verdicts": [records]}
        return contents if self.vectors is None else contents | {"defects": [{"embeddings": self.vectors}]}

    @classmethod
    def restored(cls, records: Sequence[Mapping[str, Any]], arrays: Mapping[str, Array] | None, dimension: int) -> Self:
        """Restore what `as_contents` gave.  Raises LookupError, TypeError, ValueError for anything else."""
        told = cls(tuple(map(Judged.from_dict, records)), None if arrays is None else arrays["embeddings"])
        count = len(told.defects)
        shape = (0, dimension) if told.vectors is None else told.vectors.shape
        if shape != (count, dimension) or (told.vectors is not None and told.vectors.dtype != np.float32):
            raise ValueError(f"vectors of {shape} for {count} defects of {dimension} numbers")
        if len(told.known()) != len(told.judged):
            raise ValueError("two verdicts of one item")
        return told


NOTHING_TOLD = Told()
