"""Protocol: messages, normal ones being the reference.

The data's own split where it has one, else random halves of the normal messages."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dn2.bench.context import Method, measured, timed
from dn2.bench.data import Split
from dn2.bench.embeddings import Watch
from dn2.bench.result import Result
from dn2.bench.rivals import Rival, mahalanobis, one_class_svm
from dn2.bench.scoring import average_precision, nearest_distances, rows_of
from dn2.bench.text_data import TextSet
from dn2.embed.texts import CHARACTERS, DEFAULT, TextEmbedder, choose_text_backbone
from dn2.embedding import Vectors
from dn2.errors import MissingExtra
from dn2.neighbors.conformal import Scores, mean_squared_distance
from dn2.store.cache import Cache

N_NEIGHBORS = 2
TFIDF_NEIGHBORS = 5


def text(
    sets: Sequence[TextSet], n_neighbors: int, rivals: bool, *, seeds: int, cache: Cache | None, watch: Watch
) -> Result:
    """Score queries against normal messages: by dn2's default, by each of its parts, and by rivals.

    seeds : number of random halves, where the data has no split of its own.
    Raises MissingExtra for rivals without what they need."""
    if rivals:
        check_rivals()
    result = Result("Messages, normal ones as reference", "set", others_below=True)
    result.notes = [_describe(sets)]
    for one in sets:
        methods = _methods(one, n_neighbors, rivals, cache, watch)
        runs = [(seed, method) for seed in range(seeds if one.random else 1) for method in methods]
        with watch(one.name) as show:
            for done, (seed, method) in enumerate(runs, 1):
                split = one.split(seed)
                with timed(result, method.name):
                    scores = method.scores(split, seed)
                precision = {"average precision": average_precision(scores, split.truth)}
                drawn = seed if one.random else None
                result.measurements.append(measured(method.name, one.name, "normal", drawn, split, scores, **precision))
                show(done, len(runs))
    default, lacking = choose_text_backbone()
    result.notes.append(f"dn2's default here is {default}.")
    if lacking:
        result.notes.append(f"{lacking[0].upper()}{lacking[1:]}.")
    return result


@dataclass(frozen=True)
class NearestTexts:
    """kNN on embeddings, (n, d), of all messages."""

    name: str
    vectors: Vectors
    n_neighbors: int
    random: bool = False

    def scores(self, split: Split, seed: int) -> Scores:
        """Return the mean squared distances to the nearest reference messages, (n_queries,)."""
        reference, queries = (rows_of(self.vectors, places) for places in (split.reference, split.queries))
        return mean_squared_distance(nearest_distances(reference, queries, self.n_neighbors))


@dataclass(frozen=True)
class NearestTfIdf:
    """kNN by cosine on TF-IDF, which is learnt from the reference messages.

    texts : all messages; analyzer, ngrams : see scikit-learn's `TfidfVectorizer`."""

    name: str
    texts: Sequence[str]
    analyzer: str
    ngrams: tuple[int, int]
    random: bool = False

    def scores(self, split: Split, seed: int) -> Scores:
        """Return the mean cosine distances to the nearest reference messages, (n_queries,)."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.neighbors import NearestNeighbors

        reference, queries = ([self.texts[place] for place in places] for places in (split.reference, split.queries))
        vectorizer = TfidfVectorizer(analyzer=self.analyzer, ngram_range=self.ngrams, sublinear_tf=True)
        known = vectorizer.fit_transform(reference)
        nearest = NearestNeighbors(n_neighbors=min(TFIDF_NEIGHBORS, len(reference)), metric="cosine").fit(known)
        distances = nearest.kneighbors(vectorizer.transform(queries))[0]
        return np.asarray(distances.mean(axis=1), np.float64)


def _methods(one: TextSet, k: int, rivals: bool, cache: Cache | None, watch: Watch) -> list[Method]:
    default, _ = choose_text_backbone()
    vectors = {CHARACTERS: _embed(one, CHARACTERS, cache, watch)}
    language = default.removesuffix(f"+{CHARACTERS}")
    if default == DEFAULT:
        vectors = {name: _embed(one, name, cache, watch) for name in (default, language)} | vectors
    own: list[Method] = [NearestTexts(f"dn2 {name}, k = {k}", found, k) for name, found in vectors.items()]
    if not rivals:
        return own
    words, characters = ("word", (1, 1)), ("char_wb", (2, 5))
    return [
        *own,
        *(Rival(f"{name} on {language}", False, vectors[language], fit) for name, fit in ON_EMBEDDINGS.items()),
        NearestTfIdf(f"TF-IDF of characters, k = {TFIDF_NEIGHBORS}", one.texts, *characters),
        NearestTfIdf(f"TF-IDF of words, k = {TFIDF_NEIGHBORS}", one.texts, *words),
    ]


def _embed(one: TextSet, backbone: str, cache: Cache | None, watch: Watch) -> Vectors:
    embedder = TextEmbedder(backbone, cache=cache)
    with watch(f"embedding {one.name}") as show:
        return embedder.embed_all(one.texts, show)


def check_rivals() -> None:
    """Raise MissingExtra if what the rivals run on is not installed."""
    if importlib.util.find_spec("cleanlab") is None or choose_text_backbone()[1]:
        raise MissingExtra(
            "the rivals on messages need cleanlab and a language model; run: pip install 'dn2[bench,text]'"
        )


def _out_of_distribution(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    """Score with cleanlab's OutOfDistribution, whose own scores are low for what is out."""
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
    n_texts, n_anomalies = sum(len(one.texts) for one in sets), sum(int(one.anomalous.sum()) for one in sets)
    halves = [one.name for one in sets if one.random]
    words = f"{n_texts:,} messages, {n_anomalies:,} of them anomalies"
    if halves:
        words += f"; of {', '.join(halves)} a random half of the normal ones is the reference for each seed"
    return f"{words}."
