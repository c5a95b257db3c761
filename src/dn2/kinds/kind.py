"""The interface of a kind of data, with defaults for what most kinds lack."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dn2.arrays import Positions, Progress, Scores, Vector, Vectors
from dn2.kinds.exchange import (
    NOTHING,
    Belonging,
    FoundT,
    Judge,
    Pictures,
    ReadColumn,
    Reference,
    ReferenceItem,
)
from dn2.kinds.guarantee import assumptions
from dn2.kinds.options import Options
from dn2.kinds.refusals import Refusals
from dn2.kinds.scoring import ScoredInBatches, rows_of
from dn2.kinds.usual_steps import asked_neighbors, usual_steps
from dn2.neighbors.calibration import Calibration, mean_squared_distance
from dn2.neighbors.detector import Detector
from dn2.neighbors.steps import Steps
from dn2.neighbors.threads import one_thread
from dn2.results.rows import Evidence, Row
from dn2.store.bundle import Bundle, Content
from dn2.store.cache import Cache
from dn2.store.shards import StoredRows
from dn2.system.naming import ending_of
from dn2.system.stores import AnyPath

EVERY_KIND_HAS = ("name", "one", "many", "options", "suffixes", "embedder", "dimension")

USUAL_NEIGHBORS = 2  # the paper's

COMPARED_BY_ONE = 1 << 22  # numbers that one thread compares with a single query in a millisecond or two


class Kind(Refusals[FoundT], ScoredInBatches[FoundT]):
    """A kind of data, and what it keeps of the reference items, in their order, to show them as evidence.

    name : as in `model.json`; one, many : nouns for its items; options : the class of its options.
    suffixes : the endings of the files that hold its items.
    evidence : the class of what its rows show beside their neighbours; None if they show nothing else.
    nearest : a noun for neighbours; None where they are called as the items.
    has_false_discoveries : whether its p-values decide a batch at a false-discovery rate.
    has_companions : whether files of other kinds, such as labels, often lie beside its own.
    is_often_a_note : whether its files are often mere notes beside the files of another kind.
    learns_beside : whether half of the items are learnt from beside the detector, and the other half calibrates.
    takes_texts : whether the texts of a list are items themselves, and not paths.
    takes_verdicts : whether single items of it can be told to be normal or defects; what is found has `at` and `named`.
    single_files : the endings of files of which each is an item, so that many can be scored at once.
    piped : the file ending as which a stream of its items is read; None where a stream is a list of paths.
    sent_as : how an item is sent to a service: as a `file`, as the `files` of a group, or as `json`."""

    name: ClassVar[str]
    options: ClassVar[type[Options]]
    suffixes: ClassVar[frozenset[str]]
    evidence: ClassVar[type[Evidence] | None] = None
    nearest: ClassVar[str | None] = None
    has_false_discoveries: ClassVar[bool] = True
    has_companions: ClassVar[bool] = False
    is_often_a_note: ClassVar[bool] = False
    learns_beside: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = False
    takes_verdicts: ClassVar[bool] = False
    single_files: ClassVar[frozenset[str]] = frozenset()
    piped: ClassVar[str | None] = None
    if TYPE_CHECKING:  # class variables of some kinds, fields or properties of others

        @property
        def one(self) -> str: ...

        @property
        def many(self) -> str: ...

        @property
        def embedder(self) -> Any: ...

        @property
        def dimension(self) -> int: ...

        @property
        def sent_as(self) -> str: ...

    else:
        sent_as: ClassVar[str] = "json"

    def __init_subclass__(cls) -> None:
        """Raise TypeError for a kind without something that every kind has."""
        super().__init_subclass__()
        bases = cls.__mro__[: cls.__mro__.index(Kind)]
        named = {name for base in bases for name in (*vars(base), *vars(base).get("__annotations__", ()))}
        if lacking := [name for name in EVERY_KIND_HAS if name not in named]:
            raise TypeError(f"the kind {cls.__name__} must say its {' and '.join(lacking)}")

    # find

    @classmethod
    def claims(cls, inputs: Any, suffixes: frozenset[str]) -> bool:
        """Tell whether inputs from memory are most likely items of this kind.

        suffixes : the endings of the files that hold items of any kind."""
        return False

    @classmethod
    def doubt(cls, inputs: Any) -> str | None:
        """Say what else inputs that `claims` takes may be; None where that is clear."""
        return None

    @classmethod
    def claims_file(cls, path: AnyPath) -> bool:
        """Tell whether a file holds items of this kind, unless another is asked for."""
        return ending_of(path) in cls.suffixes

    @classmethod
    @abstractmethod
    def learn(cls, inputs: Any, options: Any, cache: Cache | None, progress: Progress | None) -> tuple[Self, FoundT]:
        """Find items, and learn what embedding them takes.

        Raises InputError unless at least one item is found."""

    @abstractmethod
    def find(self, inputs: Any, progress: Progress | None = None) -> FoundT:
        """Find the items that inputs name; progress : of reading a large file.

        Raises InputError unless at least one item is found."""

    # embed

    @abstractmethod
    def reference(self, found_items: FoundT, progress: Progress | None) -> Reference:
        """Embed items that are to join the reference set.  Raises InputError unless at least one can be read."""

    def embedded(self, found_items: FoundT, progress: Progress | None) -> Reference:
        """Embed items for their vectors alone.  Raises InputError unless at least one can be read."""
        return self.reference(found_items, progress)

    # score

    def steps(self, options: Any, n: int) -> Steps:
        """Return the steps of the detector of n items.  Raises InputError for options that do not go together."""
        return usual_steps(options, self.neighbors(options, n))

    def neighbors(self, options: Any, n: int) -> int:
        """Return the number of neighbours among n items: as asked for, or what measures best."""
        return asked_neighbors(options) or self.usual_neighbors(options, n)

    def usual_neighbors(self, options: Any, n: int) -> int:
        """Return the default number of neighbours among n items."""
        return USUAL_NEIGHBORS

    def check_rate(self, rate: float | None, found_items: FoundT) -> None:
        """Raise ReferenceTooSmall, before the work, for a rate that so many items cannot support."""

    def calibration(self, detector: Detector) -> Calibration:
        """Return what turns the scores of `judge` into p-values."""
        return detector.calibration

    def calibrating(self, detector: Detector) -> tuple[Positions, Scores]:
        """Return the positions of the reference items that calibrate, ascending, and their scores by `judge`."""
        loo = detector.leave_one_out
        return loo.members, mean_squared_distance(loo.distances)

    def completed(
        self,
        detector: Detector,
        items: Sequence[ReferenceItem],
        new: Reference | None = None,
        options: Any = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn what items, the reference set, are judged by beside the detector, which was made or has changed.

        new : the last of them, if they have just joined; options : those of the fit, while it lasts."""
        return self

    def recalibrated(
        self, detector: Detector, items: Sequence[ReferenceItem], new: Reference, progress: Progress | None
    ) -> Self:
        """Do what `completed` does where only the new items may calibrate."""
        return self.completed(detector, items, new, None, progress)

    def score_one(self, judge: Judge, item: Any, belonging: Belonging = NOTHING, name: str | None = None) -> Row:
        """Score one item from memory, which belongs to something; name : what it is called.

        Raises as `embed_one` does."""
        batch = self.embed_one(item)
        batch = batch if name is None else replace(batch, names=[name])
        with one_thread(len(judge.items) * self.dimension <= COMPARED_BY_ONE):
            (row,) = rows_of(self, judge, batch, belonging)
        return row

    # say, show

    @classmethod
    @abstractmethod
    def say(cls, about: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Say in words what a model of this kind is made of: names and values.

        about : what `Model.describe` returns."""

    @property
    def brief(self) -> str:
        """What compares the items, in a word or two, such as the backbone."""
        return f"{self.dimension:,} numbers"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.many} ({self.brief})>"

    @property
    def columns(self) -> Sequence[ReadColumn]:
        """How each column of a table was read; none for a kind without columns."""
        return ()

    def remarks(self, judge: Judge) -> list[str]:
        """Say what a person should know once items were fitted."""
        return []

    def assumptions(self, calibration: Calibration) -> list[str]:
        """Say what p-values rest on, and what they do not say."""
        return assumptions(calibration)

    def found_again(
        self, root: AnyPath, rows: Sequence[Row], judge: Judge, progress: Progress | None, mask: Any = None
    ) -> tuple[Sequence[Any] | None, dict[int, Vector]]:
        """Find the files of scored items again, below a folder; mask : see `masked`.

        Returns what their pictures are read from, as in `Batch.files`, with None for a file that is missing, or that
        has changed where a page would show it; and, by place, the embeddings of the items on the map."""
        return None, {}

    def pictures(self, files: Sequence[Any] | None, judge: Judge, progress: Progress | None) -> Pictures | None:
        """Return the pictures of scored items and of reference items; None for a kind without pictures.

        files : what pictures of scored items are read from, see `found_again`."""
        return None

    # save, restore

    def cached_texts(self, places: Positions) -> Sequence[str]:
        """Return what a cache keeps reference items at some places by, where that is their content and no file."""
        return ()

    def only(self, places: Positions) -> Self:
        """Keep only the reference items at some places."""
        return self

    def embed_kept(self, places: Positions) -> tuple[Positions, Vectors] | None:
        """Embed reference items again from what is kept of them.

        Returns the places of the items that are kept whole, (m,), and their vectors, (m, d); None where the kept part
        does not determine an embedding."""
        return None

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Say what the kind is, for `Model.describe`."""

    def contents(self) -> dict[str, Sequence[Content]]:
        """Return the contents of files that a saved model has once, by kind of file."""
        return {}

    def contents_of_items(self) -> dict[str, Callable[[slice], Content]]:
        """Return, by kind of file, what makes the content of a file for the reference items at some places."""
        return {}

    @classmethod
    @abstractmethod
    def restore(cls, files: Bundle, kept: StoredRows, cache: Cache | None, backbone: str | None) -> Self:
        """Restore what `contents` and `contents_of_items` gave.

        kept : the rows of the files that are reference items; backbone : what the user names in place of the name in
        the model, where the kind has one: it may be opened and downloaded.

        Raises ModelError, or ValueError and the like for files that do not fit together."""

    def check_steps(self, steps: Steps) -> None:
        """Raise ValueError unless a saved detector has the steps of this kind."""
        if steps.windows is not None or steps.scale is not None:
            raise ValueError("items of another kind were compared")
