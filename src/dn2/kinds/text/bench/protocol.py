"""Protocol: messages, normal ones being the reference.

The data's own split, or, for data without one, random halves of the normal messages."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from dn2.arrays import Distances, Scores, Vectors
from dn2.bench.context import Method, ProgressFactory
from dn2.bench.product import scores_of
from dn2.bench.result import FurtherRow, Measurement, Result
from dn2.bench.rivals import Rival, mahalanobis, one_class_svm
from dn2.bench.scoring import average_precision, nearest_distances, rows_of
from dn2.bench.split import Split
from dn2.errors import MissingExtra
from dn2.kinds.kind import USUAL_NEIGHBORS
from dn2.kinds.text.bench import TEXT, MessagesOptions
from dn2.kinds.text.bench.data import TextSet, read_text_sets
from dn2.kinds.text.embedder import CHARACTERS, DEFAULT, PlainTextEmbedder, choose_text_backbone
from dn2.kinds.text.kind import TextKind
from dn2.kinds.text.options import TextOptions
from dn2.store.cache import Cache

TFIDF_NEIGHBORS = 5
PRECISION = "average precision"


def run(data: Path, options: MessagesOptions, progress_of: ProgressFactory) -> Result:
    """Run the protocol; see `Protocol`."""
    k = options.neighbors or USUAL_NEIGHBORS
    sets, cache = read_text_sets(data, k), Cache.of(options.cache)
    return text(sets, k, options.rivals, seeds=options.seeds, cache=cache, progress_of=progress_of)


def text(
    sets: Sequence[TextSet],
    n_neighbors: int,
    rivals: bool,
    *,
    seeds: int,
    cache: Cache | None,
    progress_of: ProgressFactory,
) -> Result:
    """Score queries against normal messages: by dn2's default, by each of its parts, and by rivals.

    Parameters
    ----------
    sets : sequence of TextSet
    n_neighbors : int
        Number k of neighbours.
    rivals : bool
        Whether to run other methods, too.
    seeds : int
        Number of random halves, for data without its own split.
    cache : Cache or None
        Where embeddings are kept.
    progress_of : ProgressFactory

    Raises
    ------
    MissingExtra
        For rivals whose libraries are not installed."""
    if rivals:
        check_rivals()
    result = Result(TEXT.title, "set", further_rows=[FurtherRow(PRECISION)])
    result.notes = [_describe(sets)]
    for labelled in sets:
        methods = _methods(labelled, n_neighbors, rivals, cache, progress_of)
        runs = [(seed, method) for seed in range(seeds if labelled.random else 1) for method in methods]
        with progress_of(labelled.name) as show:
            for done, (seed, method) in enumerate(runs, 1):
                split = labelled.split(seed)
                with result.timing(method.name):
                    scores = method.scores(split, seed)
                figures = {PRECISION: average_precision(scores, split.truth)}
                drawn = seed if labelled.random else None
                result.measurements.append(
                    Measurement.of(method.name, labelled.name, "normal", drawn, split, scores, **figures)
                )
                show(done, len(runs))
    default, lacking = choose_text_backbone()
    result.notes.append(f"dn2's default here is {default}.")
    if lacking:
        result.notes.append(f"{lacking[0].upper()}{lacking[1:]}.")
    return result


class NearestTexts:
    """dn2 with one backbone.

    Parameters
    ----------
    kind : TextKind
        As `dn2.fit` makes it of the options.
    options : TextOptions
        As `dn2.fit` would be given them.
    embeddings : ndarray of shape (n, d)
        Of all messages."""

    random = False

    def __init__(self, kind: TextKind, options: TextOptions, embeddings: Vectors) -> None:
        self._kind, self._options, self._embeddings = kind, options, embeddings
        self.name = f"dn2 {kind.embedder.backbone}, k = {kind.neighbors(options, len(embeddings))}"

    def scores(self, split: Split, seed: int) -> Scores:
        """See `Method`."""
        steps = self._kind.steps(self._options, len(split.reference))
        return scores_of(steps, self._embeddings, split, partial(self._find_nearest, split))

    def _find_nearest(self, split: Split, k: int) -> Distances:
        reference, queries = (rows_of(self._embeddings, places) for places in (split.reference, split.queries))
        return nearest_distances(reference, queries, k)


@dataclass(frozen=True)
class NearestTfIdf:
    """kNN by cosine on TF-IDF, which is learnt from the reference messages.

    Parameters
    ----------
    name : str
        The column of the table.
    texts : sequence of str
        All messages.
    analyzer, ngrams
        See scikit-learn's `TfidfVectorizer`."""

    name: str
    texts: Sequence[str]
    analyzer: str
    ngrams: tuple[int, int]
    random: bool = False

    def scores(self, split: Split, seed: int) -> Scores:
        """See `Method`."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.neighbors import NearestNeighbors

        reference, queries = ([self.texts[place] for place in places] for places in (split.reference, split.queries))
        vectorizer = TfidfVectorizer(analyzer=self.analyzer, ngram_range=self.ngrams, sublinear_tf=True)
        reference_rows = vectorizer.fit_transform(reference)
        nearest = NearestNeighbors(n_neighbors=min(TFIDF_NEIGHBORS, len(reference)), metric="cosine").fit(
            reference_rows
        )
        distances = nearest.kneighbors(vectorizer.transform(queries))[0]
        return np.asarray(distances.mean(axis=1), np.float64)


def _methods(
    labelled: TextSet, k: int, rivals: bool, cache: Cache | None, progress_of: ProgressFactory
) -> list[Method]:
    default, _ = choose_text_backbone()
    language = default.removesuffix(f"+{CHARACTERS}")
    names = (default, language, CHARACTERS) if default == DEFAULT else (CHARACTERS,)
    vectors: dict[str, Vectors] = {}
    ours: list[Method] = []
    for name in names:
        kind, options = TextKind(PlainTextEmbedder(name, cache=cache)), TextOptions(backbone=name, neighbors=k)
        with progress_of(f"embedding {labelled.name}") as show:
            vectors[name] = kind.embedder.embed_all(labelled.texts, show)
        ours.append(NearestTexts(kind, options, vectors[name]))
    if not rivals:
        return ours
    words, characters = ("word", (1, 1)), ("char_wb", (2, 5))
    return [
        *ours,
        *(Rival(f"{name} on {language}", False, vectors[language], fit) for name, fit in ON_EMBEDDINGS.items()),
        NearestTfIdf(f"TF-IDF of characters, k = {TFIDF_NEIGHBORS}", labelled.texts, *characters),
        NearestTfIdf(f"TF-IDF of words, k = {TFIDF_NEIGHBORS}", labelled.texts, *words),
    ]


def check_rivals() -> None:
    """Raise MissingExtra unless the libraries of the rivals are installed."""
    if importlib.util.find_spec("cleanlab") is None or choose_text_backbone()[1]:
        raise MissingExtra(
            "the rivals on messages need cleanlab and a language model; run: pip install 'dn2[bench,text]'"
        )


def _out_of_distribution(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    """Score with cleanlab's OutOfDistribution, whose own scores are low for anomalies."""
    from cleanlab.outlier import OutOfDistribution

    fitted = OutOfDistribution()
    fitted.fit(features=reference, verbose=False)
    return -np.asarray(fitted.score(features=queries), np.float64)


ON_EMBEDDINGS: dict[str, Callable[[Vectors, Vectors, int], Scores]] = {
    "OC-SVM": one_class_svm,
    "Mahalanobis, Ledoit-Wolf": mahalanobis,
    "cleanlab OutOfDistribution": _out_of_distribution,
}


def _describe(sets: Sequence[TextSet]) -> str:
    n_texts, n_anomalies = (
        sum(len(labelled.texts) for labelled in sets),
        sum(int(labelled.anomalous.sum()) for labelled in sets),
    )
    halves = [labelled.name for labelled in sets if labelled.random]
    words = f"{n_texts:,} messages, {n_anomalies:,} of them anomalies"
    if halves:
        words += f"; of {', '.join(halves)} a random half of the normal ones is the reference for each seed"
    return f"{words}."
