"""Messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from dn2.embed.golden import TOLERANCE
from dn2.embed.texts import GOLDEN, TEXTS_AT_ONCE, TextEmbedder, problem_of
from dn2.embedding import Progress
from dn2.inputs.texts import TextRows, read_texts
from dn2.kinds.kind import Batch, Reference
from dn2.kinds.reproduced import check_recipe, check_reproduced
from dn2.kinds.rows import check_column_name, in_batches, split_rows
from dn2.neighbors.blocks import Positions, Vectors
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.exact import Distances
from dn2.store.bundle import Bundle, Part
from dn2.store.cache import Cache
from dn2.store.gathered import Gathered
from dn2.store.packed import PackedBytes
from dn2.store.rows import Row, Wording
from dn2.store.shards import Kept
from dn2.wording import LONGEST_SHOWN, new_words, shown

logger = logging.getLogger("dn2")


@dataclass(frozen=True)
class Texts:
    """Texts by what they mean and how they are written; see `Kind`.

    column, id_column : of the table that holds them, None for text files and for texts that are numbered.
    texts : those of the reference set, UTF-8, as far as they are shown."""

    name: ClassVar[str] = "text"
    one: ClassVar[str] = "message"
    many: ClassVar[str] = "messages"
    embedder: TextEmbedder
    column: str | None = None
    id_column: str | None = None
    texts: PackedBytes | Gathered = PackedBytes.of([])  # noqa: RUF009  which nothing changes

    @property
    def dimension(self) -> int:
        """The length of an embedding."""
        return self.embedder.dimension

    def find(self, inputs: Any, progress: Progress | None = None) -> TextRows:
        """Read messages from files, from a frame or a column in memory.  Raises InputError if there are none."""
        found = read_texts(inputs, column=self.column, id_column=self.id_column, progress=progress)
        return with_problems(found)

    def embed(self, found: TextRows, progress: Progress | None) -> Iterator[Batch]:
        """Embed messages in order, so many at a time."""
        long = 0

        def embedded(rows: Positions) -> tuple[Vectors, list[str]]:
            nonlocal long
            texts = [found.texts[row] for row in rows.tolist()]
            some = self.embedder.embed(texts)
            long += int((some.windows > 1).sum())
            return some.vectors, texts

        yield from in_batches(found, found.errors, embedded, progress, TEXTS_AT_ONCE)
        if long and self.embedder.model is not None:
            logger.info(
                "%s longer than the %d tokens that the language model reads at once: read in pieces, whose mean is "
                "compared",
                "1 message is" if long == 1 else f"{long:,} messages are",
                self.embedder.model.window,
            )

    def reference(self, found: TextRows, progress: Progress | None) -> Reference:
        """Embed messages that are to join the reference set, and keep what is shown of them."""
        items, unreadable, places = split_rows(found, found.errors)
        texts = [found.texts[place] for place in places.tolist()]
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        vectors = np.empty((len(distinct), self.dimension), np.float32)
        done = 0
        for batch in self.embed(replace(found, names=list(distinct), texts=list(distinct), errors={}), progress):
            vectors[done : done + len(batch.vectors)] = batch.vectors
            done += len(batch.vectors)
        if len(distinct) < len(texts):  # copies are equal to the bit, in whatever company each was embedded
            vectors = vectors[[distinct[text] for text in texts]]
        new = Gathered.of(self.texts).joined(PackedBytes.of([shown(text).encode() for text in texts])).compact()
        column = self.column if len(self.texts) else found.column
        return Reference(items, vectors, unreadable, replace(self, column=column, texts=new))

    def explain(
        self, detector: KNNDetector, batch: Batch, distances: Distances, positions: Positions
    ) -> Iterator[Mapping[str, Any]]:
        """Give each message, its neighbours, and the words that none of them has."""
        readable = dict(zip(batch.places.tolist(), zip(batch.source, positions.tolist(), strict=True), strict=True))
        for place in range(len(batch.names)):
            if place not in readable:
                yield {}
                continue
            text, near = readable[place]
            neighbors = tuple(bytes(self.texts[one]).decode(errors="replace") for one in near)
            yield {"text": Wording(shown(text), new_words(text, neighbors), neighbors)}

    def files(self, found: TextRows) -> None:
        """Return None: messages have no pictures."""

    def files_again(self, root: Any, rows: Sequence[Row]) -> None:
        """Return None: messages have no pictures."""

    def only(self, places: Positions) -> Self:
        """Keep only the texts at some places."""
        return replace(self, texts=Gathered.of(self.texts).only(places).compact())

    def embed_kept(self, places: Positions) -> tuple[Positions, Vectors] | None:
        """Embed messages that are short enough to be kept whole."""
        texts = [bytes(self.texts[place]).decode() for place in places.tolist()]
        whole = [place for place, text in enumerate(texts) if len(text) < LONGEST_SHOWN]
        if not whole:
            return None
        return places[whole], self.embedder.embed([texts[place] for place in whole], remember=False).vectors

    def describe(self) -> dict[str, Any]:
        """Say how messages become vectors."""
        return {
            "kind": self.name,
            "embedder": self.embedder.as_dict(),
            "column": self.column,
            "id_column": self.id_column,
            "golden_tolerance": TOLERANCE["f32"],
        }

    def parts(self) -> dict[str, Sequence[Part]]:
        """Return texts whose embeddings tell whether another machine embeds alike."""
        golden = PackedBytes.of([text.encode() for text in GOLDEN])
        return {"golden": [asdict(golden) | {"embeddings": self.embedder.embed(GOLDEN, remember=False).vectors}]}

    def parts_of_items(self) -> dict[str, Callable[[slice], Part]]:
        """Return the texts of messages."""
        texts = Gathered.of(self.texts)
        return {"texts": lambda places: asdict(PackedBytes.of(texts.only(places)))}

    @classmethod
    def restore(cls, files: Bundle, kept: Kept, cache: Cache | None, backbone: str | None) -> Self:
        """Restore the embedder, which must embed here as it did, and the texts."""
        manifest = files.manifest
        if backbone is None:
            embedder = TextEmbedder.held_by_model(manifest["embedder"]["backbone"], cache=cache)
        else:
            embedder = TextEmbedder(backbone, cache=cache)
        check_recipe(embedder.digest, None, manifest, "messages")
        golden = files.arrays("golden")
        texts = [bytes(one).decode() for one in PackedBytes(golden["data"], golden["ends"])]
        check_reproduced(
            manifest,
            lambda: embedder.embed(texts, remember=False).vectors,
            golden["embeddings"],
            "messages",
        )
        packed = zip(files.mapped("texts", "data"), files.mapped("texts", "ends"), strict=True)
        of_items = Gathered.all([PackedBytes(data, ends) for data, ends in packed])
        if not files.is_large:
            for part in of_items.parts:
                part.check_texts()
        if len(of_items) != kept.stored:
            raise ValueError(f"{len(of_items)} texts for {kept.stored} messages")
        for named in (manifest["column"], manifest["id_column"]):
            check_column_name(named)
        return cls(embedder, manifest["column"], manifest["id_column"], of_items.only(kept.places))


def with_problems(found: TextRows) -> TextRows:
    """Add the messages that cannot be embedded to those that cannot be read."""
    problems = {place: problem_of(text) for place, text in enumerate(found.texts) if place not in found.errors}
    errors = {place: problem for place, problem in problems.items() if problem is not None}
    return replace(found, errors=found.errors | errors)
