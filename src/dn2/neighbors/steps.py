"""The steps that a detector is put together from: each has its own parameters and its own check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from numbers import Real
from typing import Any, Self, TypeVar

from dn2.errors import InputError
from dn2.neighbors.blocks import check_storage
from dn2.neighbors.checks import check_neighbors, check_window, is_whole
from dn2.neighbors.clean import check_share
from dn2.neighbors.memory import parse_memory
from dn2.neighbors.prepare.normalize import check_normalization
from dn2.neighbors.rates import check_confidence, check_rate
from dn2.neighbors.search.method import Method, parse_index
from dn2.system.interface import option

DEFAULT_RECALL = 0.999
MOST_SEEDS = 2**63

Step = TypeVar("Step", bound="Scale | Clean | Windows | Search | Calibrate")


@dataclass(frozen=True)
class Normalize:
    """Rows are normalised one by one.

    method : `none`, `unit` or `root-unit`; see `dn2.neighbors.prepare.normalize`."""

    method: str = "none"

    def check(self) -> None:
        """Raise InputError for an unknown method."""
        check_normalization(self.method)


@dataclass(frozen=True)
class Scale:
    """The columns of a table, each on a scale of its own, are made alike: see `dn2.neighbors.prepare.scaling`.

    Learnt from a random half of the rows, so that the other half calibrates; NaN is a missing value.

    categorical : the columns that hold categories: numbers that are equal or not."""

    categorical: tuple[int, ...] = ()

    def check(self, n_columns: int | None = None) -> None:
        """Raise InputError for columns outside of 0 ... n_columns - 1."""
        if not isinstance(self.categorical, tuple):
            raise InputError(f"columns of categories must be a tuple of their numbers, got {self.categorical!r}")
        for column in self.categorical:
            if not is_whole(column) or column < 0 or (n_columns is not None and column >= n_columns):
                last = "" if n_columns is None else f" {n_columns - 1}"
                raise InputError(f"columns of categories must lie in 0 ...{last}, got {column!r}")


@dataclass(frozen=True)
class Whiten:
    """Directions in which near rows differ much count for less: see `dn2.neighbors.prepare.whitening`.

    Learnt from a random half of the rows, so that the other half calibrates."""


@dataclass(frozen=True)
class Clean:
    """Anomalies among the reference items are set aside.

    drop : the share to set aside, in [0, 1); None sets aside what lies alone.  The paper drops half.
    first_neighbors : how many neighbours find the anomalies; None takes a share of the set, which measures better.
        The paper's number is n_neighbors."""

    drop: float | None = None
    first_neighbors: int | None = None

    @classmethod
    def of(cls, contaminated: bool, drop: float | None, first_neighbors: int | None) -> Self | None:
        """Return the step, or None where the set is not contaminated.

        Raises InputError for parameters of a step that is not asked for."""
        if contaminated:
            return cls(drop, first_neighbors)
        if drop is not None or first_neighbors is not None:
            raise InputError(
                f"{option('drop')} and {option('first_neighbors')} need a set that is contaminated; say so with "
                f"{option('contaminated')}"
            )
        return None

    def check(self) -> None:
        """Raise InputError for a share or a number that is out of range."""
        check_share(self.drop)
        if self.first_neighbors is not None:
            check_neighbors(self.first_neighbors, "first_neighbors")


@dataclass(frozen=True)
class Windows:
    """Rows are windows that slide over series: a window is compared only with windows that do not overlap it, and
    blocks of the series calibrate.

    window : points of a window, at least 2."""

    window: int

    def check(self) -> None:
        """Raise InputError for a window of less than 2 points."""
        check_window(self.window)


@dataclass(frozen=True)
class Calibrate:
    """How scores become p-values.

    confidence : with which this model's own rate is at most the one asked for, in (0, 1): a random half of the items
        calibrates then and is no neighbour.  None: rates hold on average over reference sets.
    smooth : whether ties between scores are broken by chance.
    seed : of what is drawn by chance, such as the items that calibrate; at least 0.
    hold_out : whether the items that calibrate are no neighbours without a confidence, too: else all are."""

    confidence: float | None = None
    smooth: bool = False
    seed: int = 0
    hold_out: bool = False

    def check(self) -> None:
        """Raise InputError for values out of range, and for two that do not go together."""
        if self.confidence is not None:
            check_confidence(self.confidence)
            if self.smooth:
                raise InputError(
                    f"{option('confidence')} bounds a rate, which {option('smooth')} would reach only on average: "
                    "leave one of them out"
                )
        for name, value in (("smooth", self.smooth), ("hold_out", self.hold_out)):
            if not isinstance(value, bool):
                raise InputError(f"{option(name)} must be true or false, got {value!r}")
        if not is_whole(self.seed) or not 0 <= self.seed < MOST_SEEDS:
            raise InputError(f"{option('seed')} must be a whole number from 0 to 2^63 - 1, got {self.seed!r}")


@dataclass(frozen=True)
class Search:
    """How rows are searched and stored.

    index : `auto`, by the size of the set; `exact`; `kdtree`; `kmeans-tree` or `kmeans-tree:L`; `approximate`;
        `kmeans:C`.
    recall : share of the neighbours that an approximate search is to find, in (0, 1).
    storage : `auto`, `float32`, `float16` or `uint8`.
    memory : such as `4GB`, or bytes; None for no limit."""

    index: str = "auto"
    recall: float = DEFAULT_RECALL
    storage: str = "auto"
    memory: str | int | None = None

    @property
    def method(self) -> Method:
        """The index asked for.  Raises InputError for an unknown name."""
        return parse_index(self.index)

    def check(self) -> None:
        """Raise InputError for a value that is out of range, and for a recall that the index has no use for."""
        method = self.method
        if isinstance(self.recall, bool) or not isinstance(self.recall, Real) or not 0 < self.recall < 1:
            raise InputError(f"the recall promised must lie between 0 and 1, such as 0.999, got {self.recall!r}")
        if self.recall != DEFAULT_RECALL and not method.approximates:
            raise InputError(
                f"{option('recall')} is for approximate searches, and the index {self.index} is exact: leave it "
                f"out, or ask for the index approximate; got {self.recall:g}"
            )
        check_storage(self.storage)
        parse_memory(self.memory)


@dataclass(frozen=True)
class Steps:
    """All that a detector does, and what goes with what.

    n_neighbors : number k of neighbours.
    false_alarm_rate : share of normal items that may be flagged, in (0, 1); None takes 0.01, or the smallest that the
        set supports.
    normalize, scale, whiten : what is done to rows before they are compared, in this order.
    clean : whether and how anomalies are set aside; windows : whether rows are windows of series.
    search, calibrate : how rows are searched, and how their scores become p-values."""

    n_neighbors: int = 2
    false_alarm_rate: float | None = None
    normalize: Normalize = field(default_factory=Normalize)
    scale: Scale | None = None
    whiten: Whiten | None = None
    clean: Clean | None = None
    windows: Windows | None = None
    search: Search = field(default_factory=Search)
    calibrate: Calibrate = field(default_factory=Calibrate)

    @property
    def makes_copies(self) -> bool:
        """Whether rows are compared in another form than they are stored in, or only some of them."""
        return self.scale is not None or self.whiten is not None or self.clean is not None or self.holds_out

    @property
    def holds_out(self) -> bool:
        """Whether the items that calibrate are no neighbours."""
        return self.calibrate.confidence is not None or self.calibrate.hold_out

    def check(self) -> None:
        """Raise InputError for a step that is out of range, and for steps that do not go together."""
        check_neighbors(self.n_neighbors)
        if self.false_alarm_rate is not None:
            check_rate(self.false_alarm_rate)
        for step in (self.normalize, self.scale, self.clean, self.windows, self.search, self.calibrate):
            if step is not None:
                step.check()
        if self.scale is not None:
            self._check_scaled()
        if self.windows is not None:
            self._check_windows()
        method = self.search.method.name
        if self.makes_copies and method in ("kdtree", "kmeans-tree"):
            raise InputError(
                f"the index {method} takes rows as they are: not with scaled columns, whitening, contaminated items or "
                f"items held out, by a confidence or feedback; ask for {option('index', 'exact')}"
            )
        if method == "kmeans" and self.n_neighbors != 1:
            raise InputError(
                f"an item is compared with its nearest centroid: {option('neighbors')} must be 1, got "
                f"{self.n_neighbors}"
            )

    def _check_scaled(self) -> None:
        if self.normalize.method != "none":
            raise InputError(
                f"scaled columns are not normalised: {option('normalize')} must be none, got {self.normalize.method!r}"
            )
        if self.search.storage not in ("auto", "float32"):
            raise InputError(
                f"scaled columns are stored as float32: {option('storage')} must be auto or float32, got "
                f"{self.search.storage!r}"
            )

    def _check_windows(self) -> None:
        steps = {
            "scaled columns": self.scale,
            "whiten": self.whiten,
            "contaminated": self.clean,
            "confidence": self.calibrate.confidence,
            "hold_out": self.calibrate.hold_out or None,
        }
        if excess := [name for name, step in steps.items() if step is not None]:
            raise InputError(f"windows of series are compared as they are: leave out {excess[0]}")
        if (method := self.search.method.name) not in ("auto", "exact", "approximate"):
            raise InputError(f"windows of series take the index exact, approximate or auto, got {method}")

    def as_dict(self) -> dict[str, Any]:
        """Return the steps as `model.json` has them: the method of normalisation, whether rows are whitened, and of
        each other step its parameters, or None."""
        rate = self.false_alarm_rate
        return {
            "n_neighbors": int(self.n_neighbors),
            "false_alarm_rate": None if rate is None else float(rate),
            "normalize": self.normalize.method,
            "scale": None if self.scale is None else {"categorical": list(map(int, self.scale.categorical))},
            "whiten": self.whiten is not None,
            "clean": None if self.clean is None else asdict(self.clean),
            "windows": None if self.windows is None else {"window": int(self.windows.window)},
            "search": asdict(self.search),
            "calibrate": asdict(self.calibrate),
        }

    @classmethod
    def from_dict(cls, about: Any) -> Self:
        """Restore what `as_dict` gave.  Raises InputError for anything else."""
        names = {one.name for one in fields(cls)}
        if not isinstance(about, Mapping) or about.keys() != names:
            raise InputError(f"a detector has the steps {', '.join(sorted(names))}, got {about!r}")
        if not isinstance(about["whiten"], bool):
            raise InputError(f"whiten must be true or false, got {about['whiten']!r}")
        search, calibrate = _restored(Search, about["search"]), _restored(Calibrate, about["calibrate"])
        if search is None or calibrate is None:
            raise InputError("a detector has a search and calibrates, got None")
        steps = cls(
            n_neighbors=about["n_neighbors"],
            false_alarm_rate=about["false_alarm_rate"],
            normalize=Normalize(about["normalize"]),
            scale=_restored(Scale, about["scale"]),
            whiten=Whiten() if about["whiten"] else None,
            clean=_restored(Clean, about["clean"]),
            windows=_restored(Windows, about["windows"]),
            search=search,
            calibrate=calibrate,
        )
        steps.check()
        return steps


def _restored(step: type[Step], about: Any) -> Step | None:
    """Make a step of its parameters by name, a list being a tuple; None is a step that is left out."""
    if about is None:
        return None
    names = {one.name for one in fields(step)}
    if not isinstance(about, Mapping) or about.keys() != names:
        raise InputError(f"{step.__name__} has the parameters {', '.join(sorted(names))}, got {about!r}")
    parameters: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in about.items()
    }
    return step(**parameters)
