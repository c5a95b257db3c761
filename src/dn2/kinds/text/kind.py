"""Messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from dn2.arrays import Positions, Progress, Vectors
from dn2.errors import InputError, UnreadableItem
from dn2.inputs.memory import type_of
from dn2.kinds.batches import check_column_name, in_batches, split_rows, stack_vectors
from dn2.kinds.exchange import Batch, Judge, Judgement, Reference
from dn2.kinds.golden import check_recipe, check_reproduced
from dn2.kinds.kind import Kind
from dn2.kinds.text import words
from dn2.kinds.text.copies import Known, digest
from dn2.kinds.text.embedder import (
    GOLDEN,
    TEXTS_AT_ONCE,
    EmbeddedTexts,
    PlainTextEmbedder,
    choose_text_backbone,
    problem_of,
)
from dn2.kinds.text.evidence import MessageEvidence, Wording
from dn2.kinds.text.options import TextOptions
from dn2.kinds.text.reading import PLAIN_SUFFIXES, TEXT_SUFFIXES, TEXTS, TextRows, are_clearly_texts, read_texts
from dn2.kinds.text.wording import LONGEST_SHOWN, new_words, shown
from dn2.neighbors.blocks import rows_at
from dn2.neighbors.detector import Detector
from dn2.networks.golden import TOLERANCE
from dn2.store.bundle import Bundle, Content
from dn2.store.cache import Cache
from dn2.store.packed import Chunk, PackedBytes
from dn2.store.shards import StoredRows
from dn2.system.interface import option
from dn2.system.naming import ending_of
from dn2.system.stores import AnyPath
from dn2.system.workers import each, workers

logger = logging.getLogger("dn2")

CHARACTERS_OF_WORK = 1_000  # of a long message: as much work as a short one


@dataclass(frozen=True, repr=False)
class TextKind(Kind[TextRows]):
    """Texts, compared by their meaning and their characters; see `Kind`.

    column, id_column : of the table that holds texts and their names; None for text files and for numbered texts.
    texts : of the reference set, UTF-8, cut to the shown part; known : the same texts, whole, by their digests."""

    name: ClassVar[str] = "text"
    one: ClassVar[str] = "message"
    many: ClassVar[str] = "messages"
    options: ClassVar[type[TextOptions]] = TextOptions
    suffixes: ClassVar[frozenset[str]] = TEXT_SUFFIXES
    evidence: ClassVar[type[MessageEvidence]] = MessageEvidence
    is_often_a_note: ClassVar[bool] = True
    takes_texts: ClassVar[bool] = True
    takes_verdicts: ClassVar[bool] = True
    single_files: ClassVar[frozenset[str]] = TEXTS
    piped: ClassVar[str] = ".txt"
    embedder: PlainTextEmbedder
    column: str | None = None
    id_column: str | None = None
    texts: PackedBytes = PackedBytes.of([])  # noqa: RUF009  nothing changes it
    known: Known = Known(digest([]))  # noqa: RUF009

    @classmethod
    def claims(cls, inputs: Any, suffixes: frozenset[str]) -> bool:
        """See `Kind`."""
        return are_clearly_texts(inputs, suffixes)

    @classmethod
    def claims_file(cls, path: AnyPath) -> bool:
        """See `Kind`."""
        return ending_of(path) in PLAIN_SUFFIXES

    @classmethod
    def learn(
        cls, inputs: Any, options: TextOptions, cache: Cache | None, progress: Progress | None
    ) -> tuple[Self, TextRows]:
        """Find messages, and choose the backbone: as asked for, or the best one of this installation.

        Raises InputError unless there is a message, and for a column of inputs without columns; MissingExtra,
        BackboneError."""
        backbone, lacking = (options.backbone, "") if options.backbone is not None else choose_text_backbone()
        embedder = PlainTextEmbedder(backbone, precision=options.precision, cache=cache)
        kind = cls(embedder, options.column, options.id_column)
        found_items = kind.find(inputs, progress)
        columns = {"column": options.column, "id_column": options.id_column}
        if found_items.column is None and (given := [name for name, column in columns.items() if column is not None]):
            raise InputError(f"{option(given[0])} is for tables, and these texts come without columns: leave it out")
        if lacking:
            logger.warning(lacking)
        return kind, found_items

    @property
    def brief(self) -> str:
        """See `Kind`."""
        return self.embedder.backbone

    @property
    def dimension(self) -> int:
        """The length of an embedding."""
        return self.embedder.dimension

    def find(self, inputs: Any, progress: Progress | None = None) -> TextRows:
        """Read messages from files, a frame or memory.  Raises InputError unless there is at least one."""
        is_fitted = len(self.texts) > 0
        rows = read_texts(inputs, column=self.column, id_column=self.id_column, is_fitted=is_fitted, progress=progress)
        return add_problems(rows)

    def embed(self, found_items: TextRows, progress: Progress | None) -> Iterator[Batch]:
        """Embed messages in order, in batches; progress counts a long message as many, so that it moves."""
        done = long = 0
        work = [1 + len(text) // CHARACTERS_OF_WORK for text in found_items.texts]
        total = sum(work)
        runs = (run for run, _ in self.parts(found_items))
        apart = None if workers() is None else each(_embed_apart, self.embedder.fresh_copy(), runs)

        def embedded(rows: Positions) -> tuple[Vectors, list[str]]:
            nonlocal long
            texts = [found_items.texts[row] for row in rows.tolist()]
            step = sum(work[row] for row in rows.tolist())
            tell = None if progress is None else (lambda share: progress(done + int(share * step), total))
            embedding = self.embedder.embed(texts, progress=tell) if apart is None else next(apart)
            long = int((embedding.windows > 1).sum())
            return embedding.vectors, texts

        batches = in_batches(found_items, found_items.errors, embedded, None, TEXTS_AT_ONCE)
        for number, batch in enumerate(batches):
            yield replace(batch, contents=digest(batch.source), noticed=[long])
            done += sum(work[number * TEXTS_AT_ONCE : (number + 1) * TEXTS_AT_ONCE])
            if progress is not None:
                progress(done, total)

    def parts(self, found_items: TextRows) -> Iterator[tuple[TextRows, int]]:
        """See `Kind`."""
        n = len(found_items.names)
        starts = range(0, n, TEXTS_AT_ONCE)
        runs = (found_items.at(range(start, min(start + TEXTS_AT_ONCE, n))) for start in starts)
        return ((run, len(run.names)) for run in runs)

    def embed_part(self, part: TextRows) -> Iterator[Batch]:
        """See `Kind`."""
        with self.embedder.in_partition(part.texts) as embedder:
            yield from replace(self, embedder=embedder).embed(part, None)

    def tell(self, noticed: Sequence[int]) -> None:
        """See `Kind`.  Noticed is how many messages of each batch are long."""
        long = sum(noticed)
        if long and self.embedder.model is not None:
            logger.info(
                "%s longer than the %d tokens that the language model reads at once: read in pieces, whose mean is "
                "compared",
                "1 message is" if long == 1 else f"{long:,} messages are",
                self.embedder.model.window,
            )

    def embed_one(self, item: Any) -> Batch:
        """See `Kind`.  The item is a text."""
        if not isinstance(item, str):
            raise InputError(f"score_one takes one text, got {type_of(item)}; Model.score takes several")
        if reason := problem_of(item):
            raise UnreadableItem(f"the text cannot be read: {reason}")
        vectors = self.embedder.embed([item], remember=False).vectors
        return Batch(["text 1"], {}, np.zeros(1, np.int64), vectors, [item], contents=digest([item]))

    def recalled(self, detector: Detector, embedded: Batch | Reference) -> Vectors:
        """See `Kind`."""
        assert embedded.contents is not None
        places = self.known.places_of(embedded.contents)
        copies = places >= 0
        if not copies.any():
            return embedded.vectors
        vectors = embedded.vectors.copy()
        vectors[copies] = rows_at(detector.blocks, places[copies])
        return vectors

    def reference(self, found_items: TextRows, progress: Progress | None) -> Reference:
        """Embed messages that are to join the reference set, and keep the shown part of their texts."""
        items, unreadable, places = split_rows(found_items, found_items.errors)
        texts = [found_items.texts[place] for place in places.tolist()]
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        rows = replace(found_items, names=list(distinct), texts=list(distinct), errors={})
        vectors = stack_vectors(self._told(self.embed(rows, progress)), len(distinct), self.dimension)
        if len(distinct) < len(texts):  # so that copies are equal to the bit, whatever the batch of each
            vectors = vectors[[distinct[text] for text in texts]]
        new, contents = self.texts.with_more(shown(text).encode() for text in texts), digest(texts)
        column = self.column if len(self.texts) else found_items.column
        kind = replace(self, column=column, texts=new, known=self.known.with_more(contents))
        return Reference(items, vectors, unreadable, kind, contents=contents)

    def _told(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        noticed: list[int] = []
        for batch in batches:
            noticed += batch.noticed
            yield batch
        self.tell(noticed)

    def explain(self, judge: Judge, batch: Batch, judgement: Judgement) -> Iterator[MessageEvidence]:
        """Give each message, its neighbours, and the words that they all lack."""
        positions = judgement.positions
        readable = dict(zip(batch.places.tolist(), zip(batch.source, positions.tolist(), strict=True), strict=True))
        for place in range(len(batch.names)):
            if place not in readable:
                yield MessageEvidence()
                continue
            text, near = readable[place]
            neighbors = tuple(bytes(self.texts[position]).decode(errors="replace") for position in near)
            yield MessageEvidence(Wording(shown(text), new_words(text, neighbors), neighbors))

    @classmethod
    def say(cls, about: Mapping[str, Any]) -> list[tuple[str, str]]:
        """See `Kind`."""
        return words.say(about)

    def cached_texts(self, places: Positions) -> list[str]:
        """See `Kind`.  A text of which only a part is shown is not known."""
        return [bytes(self.texts[place]).decode(errors="replace") for place in places.tolist()]

    def only(self, places: Positions) -> Self:
        """Keep only the texts at some places."""
        return replace(self, texts=self.texts.only(places).compact(), known=self.known.only(places))

    def embed_kept(self, places: Positions) -> tuple[Positions, Vectors] | None:
        """Embed messages that are short enough to be kept whole."""
        texts = [bytes(self.texts[place]).decode() for place in places.tolist()]
        whole = [place for place, text in enumerate(texts) if len(text) < LONGEST_SHOWN]
        if not whole:
            return None
        return places[whole], self.embedder.embed([texts[place] for place in whole], remember=False).vectors

    def describe(self) -> dict[str, Any]:
        """Say how messages become vectors."""
        embedder = self.embedder.as_dict()
        return {
            "kind": self.name,
            "embedder": embedder,
            "column": self.column,
            "id_column": self.id_column,
            "golden_tolerance": TOLERANCE[embedder["precision"]],
        }

    def contents(self) -> dict[str, Sequence[Content]]:
        """Return golden texts with their embeddings, which check another machine."""
        golden = PackedBytes.of([text.encode() for text in GOLDEN])
        return {"golden": [golden.as_arrays() | {"embeddings": self.embedder.embed(GOLDEN, remember=False).vectors}]}

    def contents_of_items(self) -> dict[str, Callable[[slice], Content]]:
        """Return the texts of messages, and their digests."""
        return {
            "texts": lambda places: self.texts.only(places).as_arrays() | {"digests": self.known.only(places).digests}
        }

    @classmethod
    def restore(cls, files: Bundle, kept: StoredRows, cache: Cache | None, backbone: str | None) -> Self:
        """Restore the embedder, which must embed the golden texts as before, and the texts."""
        manifest = files.manifest
        options = {"precision": manifest["embedder"]["precision"], "cache": cache}
        if backbone is None:
            embedder = PlainTextEmbedder.held_by_model(manifest["embedder"]["backbone"], **options)
        else:
            embedder = PlainTextEmbedder(backbone, **options)
        check_recipe(embedder.digest, None, manifest, "messages")
        golden = files.arrays("golden")
        texts = [bytes(text).decode() for text in PackedBytes.of_arrays(golden["data"], golden["ends"])]
        check_reproduced(
            manifest,
            lambda: embedder.embed(texts, remember=False).vectors,
            golden["embeddings"],
            "messages",
            f"fit again here, or fit so that the model moves, with {option('precision', 'f32')}",
        )
        packed = zip(files.mapped("texts", "data"), files.mapped("texts", "ends"), strict=True)
        texts_of_items = PackedBytes.of_chunks(*(Chunk(data, ends) for data, ends in packed))
        if not files.is_large:
            texts_of_items.check_texts()
        known = Known(np.concatenate(files.mapped("texts", "digests")))
        if not len(texts_of_items) == len(known) == kept.stored:
            raise ValueError(f"{len(texts_of_items)} texts, {len(known)} digests for {kept.stored} messages")
        names = manifest["column"], manifest["id_column"]
        for name in names:
            check_column_name(name)
        return cls(embedder, *names, texts_of_items.only(kept.places), known.only(kept.places))


def _embed_apart(embedder: PlainTextEmbedder, run: TextRows) -> EmbeddedTexts:
    """Embed the readable messages of a run, in a worker."""
    with embedder.in_partition(run.texts) as sharing:
        return sharing.embed([text for place, text in enumerate(run.texts) if place not in run.errors])


def add_problems(rows: TextRows) -> TextRows:
    """Add an error for each message that can be read and cannot be embedded."""
    problems = {place: problem_of(text) for place, text in enumerate(rows.texts) if place not in rows.errors}
    errors = {place: problem for place, problem in problems.items() if problem is not None}
    return replace(rows, errors=rows.errors | errors)
