"""What a model asks of a kind of items, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from dn2.embedding import Progress, Vectors
from dn2.inputs.files import Item
from dn2.neighbors.blocks import Positions
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.exact import Distances
from dn2.store.bundle import Bundle, Part
from dn2.store.cache import Cache
from dn2.store.rows import Row
from dn2.store.shards import Kept


class ReferenceItem(NamedTuple):
    """A normal item: its name, the file that it was read from, and the SHA-256 of that file's bytes; both are empty for
    what came from memory."""

    name: str
    path: str
    sha256: str


class Found(Protocol):
    """The items that inputs name."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all, in order."""

    @property
    def paths(self) -> Sequence[str | PurePath]:
        """The files that they are read from, some of them more than once; empty for what came from memory."""


@dataclass(frozen=True)
class Batch:
    """Items embedded together.

    names : of all of them; errors : by place, why the others could not be read.
    places : (m,) of those that can be read, and vectors : (m, d) of these.
    source : what the kind explains them by.
    digests : (m,) the SHA-256 of the file of each that can be read, empty for what came from memory; none where the
        kind does not tell."""

    names: Sequence[str]
    errors: Mapping[int, str]
    places: Positions
    vectors: Vectors
    source: Any
    digests: Sequence[str] = ()


@dataclass(frozen=True)
class Reference:
    """Items to be reference items: those that can be read, their vectors, (n, d), rows with the errors of the others,
    and the kind once it keeps what it wants to remember of them.

    places : where windows of series lie, (n,): see `dn2.neighbors.windows`; None for anything else."""

    items: list[ReferenceItem]
    vectors: Vectors
    unreadable: list[Row]
    kind: Kind
    places: Positions | None = None


class Kind(Protocol):
    """A kind of items, with what it keeps of the reference items, in their order, to show them as evidence.

    name : as in `model.json`."""

    name: ClassVar[str]

    @property
    def one(self) -> str:
        """What an item is called."""

    @property
    def many(self) -> str:
        """What items are called."""

    @property
    def embedder(self) -> Any:
        """What turns items into vectors, None where they are vectors."""

    @property
    def dimension(self) -> int:
        """The length d of the vectors."""

    def find(self, inputs: Any, progress: Progress | None = None) -> Found:
        """Find the items that inputs name; progress : of reading a large file.  Raises InputError if there are none."""

    def embed(self, found: Any, progress: Progress | None) -> Iterator[Batch]:
        """Embed items in order."""

    def reference(self, found: Any, progress: Progress | None) -> Reference:
        """Embed items that are to join the reference set.  Raises InputError if none of them can be read."""

    def explain(
        self, detector: KNNDetector, batch: Batch, distances: Distances, positions: Positions
    ) -> Iterator[Mapping[str, Any]]:
        """Give what the row of each item of a batch has beside its neighbours, by field of `Row`.

        distances, positions : (m, k), what `KNNDetector.search` found for those that can be read."""

    def files(self, found: Any) -> Sequence[Item | None] | None:
        """Return the files that pictures of found items are read from; None where there are no pictures."""

    def files_again(self, root: Any, rows: Sequence[Row]) -> Sequence[Item | None] | None:
        """Return as `files` does what rows were scored from, None for each that is not found below a folder."""

    def only(self, places: Positions) -> Self:
        """Keep only the reference items at some places."""

    def embed_kept(self, places: Positions) -> tuple[Positions, Vectors] | None:
        """Embed reference items again from what is kept of them: which of some places are kept whole, (m,), and their
        vectors, (m, d).  None where what is kept does not tell."""

    def describe(self) -> dict[str, Any]:
        """Say what the kind is, for `Model.describe`."""

    def parts(self) -> dict[str, Sequence[Part]]:
        """Return what a saved model keeps for all items together, by kind of file."""

    def parts_of_items(self) -> dict[str, Callable[[slice], Part]]:
        """Return what a saved model keeps of reference items, by kind of file: given their places."""

    @classmethod
    def restore(cls, files: Bundle, kept: Kept, cache: Cache | None, backbone: str | None) -> Self:
        """Restore what `parts` and `parts_of_items` gave.

        kept : the rows of the files that are reference items; backbone : what the user names in place of the name in
        the model, where the kind has one: it may be opened and downloaded.

        Raises ModelError, or ValueError and the like for files that do not fit together."""
