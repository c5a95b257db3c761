"""The methods that `search.py` compares, and the process that measures one of them.

Run by `search.py`: python benchmarks/search_rivals.py METHOD ROWS QUERIES EXACT OUT ROUNDS ALONE
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from common import begin, timed
from search_data import (
    NEIGHBORS,
    PICTURES_DIMENSION,
    Distances,
    Positions,
    Vectors,
    exact_distances,
    recall,
    true_distances,
)

ROUNDS = 3
ALONE = 20

NARROW = 16  # columns up to which trees are of use
TREES_MOST = 50_000  # rows of embeddings; of tables wider than NARROW 200,000
TABLES_MOST = 200_000
PYOD_MOST = 20_000
MILLION = 1_000_000

RECALL_AIM = 0.99
FIRST_EF, LAST_EF = 32, 4096

Found = tuple[Distances, Positions]


class Unavailable(Exception):
    """A method that this installation does not have."""


class Searcher(Protocol):
    """What is measured of a method: it is made, fitted, tuned where it can be, and asked."""

    def fit(self, rows: Vectors) -> None:
        """Take rows, (n, d), a memory map, as the reference set."""

    def tune(self, queries: Vectors, quality: Callable[[Positions], float]) -> None:
        """Choose how to search by the recall of what is found; not timed."""

    def search(self, queries: Vectors) -> Found:
        """Return squared L2 distances and positions, (n, 2)."""

    def alone(self, query: Vectors) -> Found:
        """Do so for one query, (1, d)."""
        return self.search(query)

    def how(self) -> str:
        """Say how it searches, where that is not plain from its name."""
        return ""


class Dn2(Searcher):
    """dn2's detector with some parameters; a recall of 0.999 is its default.  Its fit calibrates, too."""

    def __init__(self, **parameters: Any) -> None:
        from dn2 import KNNDetector

        if unknown := sorted(set(parameters) - set(KNNDetector().get_params())):
            raise Unavailable(f"this dn2 has no {unknown[0]}=")
        self.estimator = KNNDetector(NEIGHBORS, **parameters)

    def fit(self, rows: Vectors) -> None:
        self.estimator.fit(rows)

    def search(self, queries: Vectors) -> Found:
        return self.estimator.detector_.search(queries)

    def how(self) -> str:
        learnt = self.estimator.detector_.learnt
        search = {} if learnt is None else learnt.describe_search()
        return ", ".join(f"{name} {value:.4g}" for name, value in search.items()) or "exact"


class FaissFlat(Searcher):
    """FAISS's exhaustive index."""

    def __init__(self) -> None:
        import faiss

        self.make = faiss.IndexFlatL2

    def fit(self, rows: Vectors) -> None:
        self.index = self.make(rows.shape[1])
        self.index.add(rows)

    def search(self, queries: Vectors) -> Found:
        return self.index.search(queries, NEIGHBORS)


class ScikitLearn(Searcher):
    """scikit-learn's neighbours on all cores; for one query on one, which is faster."""

    def __init__(self, algorithm: str) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.neighbors = NearestNeighbors(n_neighbors=NEIGHBORS, algorithm=algorithm, n_jobs=-1)

    def fit(self, rows: Vectors) -> None:
        self.neighbors.fit(rows)

    def search(self, queries: Vectors) -> Found:
        distances, positions = self.neighbors.set_params(n_jobs=-1).kneighbors(queries)
        return np.square(distances), positions

    def alone(self, query: Vectors) -> Found:
        self.neighbors.set_params(n_jobs=1)
        distances, positions = self.neighbors.kneighbors(query)
        return np.square(distances), positions


class PyOD(ScikitLearn):
    """PyOD's KNN, whose fit scores the reference set; asked through the neighbours that its scores are made of."""

    def __init__(self) -> None:
        from pyod.models.knn import KNN

        self.detector = KNN(n_neighbors=NEIGHBORS, method="mean", n_jobs=-1)

    def fit(self, rows: Vectors) -> None:
        self.neighbors = self.detector.fit(rows).neigh_


class Hnswlib(Searcher):
    """hnswlib's graph, with the smallest of some ef that finds 99 % of the neighbours of the very queries."""

    def __init__(self) -> None:
        if find_spec("hnswlib") is None:
            raise Unavailable("hnswlib is not installed")
        import hnswlib

        self.make = hnswlib.Index
        self.ef = FIRST_EF

    def fit(self, rows: Vectors) -> None:
        self.index = self.make("l2", rows.shape[1])
        self.index.init_index(max_elements=len(rows), M=16, ef_construction=200, random_seed=0)
        self.index.add_items(rows)

    def tune(self, queries: Vectors, quality: Callable[[Positions], float]) -> None:
        while True:
            self.index.set_ef(self.ef)
            if quality(self.search(queries)[1]) >= RECALL_AIM or self.ef >= LAST_EF:
                return
            self.ef *= 2

    def search(self, queries: Vectors) -> Found:
        positions, distances = self.index.knn_query(queries, k=NEIGHBORS)
        return distances, positions.astype(np.int64)

    def how(self) -> str:
        return f"M 16, ef_construction 200, ef {self.ef}"


def any_size(n: int, d: int) -> str:
    """Measure a method at every size."""
    return ""


def trees(n: int, d: int) -> str:
    """Say why a rival's tree is left out."""
    most = TREES_MOST if d == PICTURES_DIMENSION else TABLES_MOST
    return f"more than {most:,} rows of {d:,} columns" if d > NARROW and n > most else ""


def own_trees(n: int, d: int) -> str:
    """Say why a tree of dn2's is left out."""
    return f"trees are for up to {NARROW} columns" if d > NARROW else ""


def pyod_sizes(n: int, d: int) -> str:
    """Say why PyOD is left out."""
    return f"more than {PYOD_MOST:,} rows" if n > PYOD_MOST else ""


def compact(n: int, d: int) -> str:
    """Say why a compact storage is left out."""
    return "for a million embeddings" if n < MILLION or d < PICTURES_DIMENSION else ""


@dataclass(frozen=True)
class Method:
    """What is known of a method.

    label : its name in tables; make : how its searcher is made; left_out : why it is not measured at (n, d), or ''."""

    label: str
    make: Callable[[], Searcher]
    left_out: Callable[[int, int], str] = any_size


REFERENCE = "faiss-flat"

METHODS = {
    REFERENCE: Method("FAISS flat", FaissFlat),
    "sklearn-brute": Method("scikit-learn brute", lambda: ScikitLearn("brute")),
    "sklearn-kd-tree": Method("scikit-learn kd-tree", lambda: ScikitLearn("kd_tree"), trees),
    "sklearn-ball-tree": Method("scikit-learn ball tree", lambda: ScikitLearn("ball_tree"), trees),
    "pyod-knn": Method("PyOD KNN", PyOD, pyod_sizes),
    "hnswlib": Method("hnswlib", Hnswlib),
    "dn2-exact": Method("dn2 exact", lambda: Dn2(index="exact")),
    "dn2-auto": Method("dn2 auto", lambda: Dn2(index="auto")),
    "dn2-0.999": Method("dn2 approximate 0.999", lambda: Dn2(index="approximate")),
    "dn2-0.99": Method("dn2 approximate 0.99", lambda: Dn2(index="approximate", recall=0.99)),
    "dn2-float16": Method("dn2 approximate float16", lambda: Dn2(index="approximate", storage="float16"), compact),
    "dn2-uint8": Method("dn2 approximate uint8", lambda: Dn2(index="approximate", storage="uint8"), compact),
    "dn2-4gb": Method("dn2 approximate 4 GB", lambda: Dn2(index="approximate", memory="4GB"), compact),
    "dn2-kdtree": Method("dn2 kdtree", lambda: Dn2(index="kdtree"), own_trees),
    "dn2-kmeans-tree": Method("dn2 kmeans-tree", lambda: Dn2(index="kmeans-tree"), own_trees),
}


def measure(
    searcher: Searcher, rows: Vectors, queries: Vectors, exact: Distances, rounds: int = ROUNDS, times: int = ALONE
) -> dict[str, Any]:
    """Time a method and return what it finds.

    rounds : how often all queries are asked together; times : how many of them are asked alone."""
    fit, _ = timed(lambda: searcher.fit(rows))
    searcher.tune(queries, lambda positions: recall(true_distances(rows, queries, positions), exact))
    batches = [timed(lambda: searcher.search(queries)) for _ in range(rounds)]
    searcher.alone(queries[:1])
    alone = [timed(lambda place=place: searcher.alone(queries[place : place + 1])) for place in range(times)]
    distances, positions = batches[-1][1]
    return {
        "fit": fit,
        "batch": np.median([seconds for seconds, _ in batches]),
        "alone": np.median([seconds for seconds, _ in alone]),
        "distances": distances,
        "positions": positions,
        "how": searcher.how(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one method and write what came out, or why it is unavailable; the smallest run prints the recall of
    each."""
    run = begin(__doc__, arguments, flags={"words": {"nargs": "*"}})
    if run.smallest:
        smallest()
        return
    name, rows, queries, exact, out, rounds, times = run.options.words
    try:
        searcher = METHODS[name].make()
    except Unavailable as error:
        np.savez(out, unavailable=str(error))
        return
    loaded = np.load(rows, mmap_mode="r"), np.load(queries), np.load(exact)
    np.savez(out, **measure(searcher, *loaded, int(rounds), int(times)))


def smallest() -> None:
    """Measure each method that is installed on few rows."""
    rng = np.random.default_rng(0)
    rows, queries = (rng.normal(size=(n, 4)).astype(np.float32) for n in (300, 10))
    exact = exact_distances(rows, queries)
    for name, method in METHODS.items():
        try:
            searcher = method.make()
        except (Unavailable, ModuleNotFoundError) as error:
            print(f"{name}: {error}")
            continue
        found = measure(searcher, rows, queries, exact, 1, 1)
        print(f"{name}: recall {recall(true_distances(rows, queries, found['positions']), exact):.2f}")


if __name__ == "__main__":
    main()
