"""The data of `search.py`: reference sets of any size and labelled queries, and what is true of their neighbours.

Embeddings of pictures and a real table are the base; where it is too small it is enlarged by mixing rows of a kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from common import CIFAR10, Run
from dn2 import Cache, ImageEmbedder
from dn2.neighbors.prepare.normalize import normalize

NEIGHBORS = 2
N_QUERIES = 1_000
PICTURES_DIMENSION = 1280
TABLE_COLUMNS = 38  # of KDD Cup 99

AT_ONCE = 20_000
BLOCK = 100_000
CANDIDATES = 50
EQUAL = 1 + 1e-6  # squared distances that differ by less are equal

Vectors = np.ndarray
Positions = np.ndarray
Distances = np.ndarray


class Source(Protocol):
    """Where the rows of one dimension d come from.

    queries : (1000, d) float32; anomalous : (1000,) bool; recipe : how all was made, in words."""

    queries: Vectors
    anomalous: np.ndarray
    recipe: str

    def rows(self, n: int) -> Iterator[Vectors]:
        """Make the n rows of a reference set, some at a time."""


@dataclass(frozen=True)
class Enlarged:
    """Real rows, as they are while there are enough, else mixed.

    real : (m, d) float32 in random order; kinds : (m,) numbers, only rows of one kind are mixed.
    noise : standard deviation of what is added to each number; unit : whether rows are made non-negative and of length
    1 again."""

    real: Vectors
    kinds: np.ndarray
    queries: Vectors
    anomalous: np.ndarray
    recipe: str
    noise: float
    unit: bool

    def rows(self, n: int) -> Iterator[Vectors]:
        """Make the n rows of a reference set, some at a time."""
        if n <= len(self.real):
            yield self.real[:n]
            return
        rng = np.random.default_rng(0)
        by_kind = np.argsort(self.kinds, kind="stable")
        sizes = np.bincount(self.kinds)
        starts = np.cumsum(sizes) - sizes
        for start in range(0, n, AT_ONCE):
            m = min(AT_ONCE, n - start)
            one = rng.integers(len(self.real), size=m)
            kind = self.kinds[one]
            other = by_kind[starts[kind] + (rng.uniform(size=m) * sizes[kind]).astype(np.int64)]
            share = rng.uniform(0.5, 1, size=(m, 1)).astype(np.float32)
            made = share * self.real[one] + (1 - share) * self.real[other]
            made += np.float32(self.noise) * rng.standard_normal(made.shape, dtype=np.float32)
            yield normalize(np.maximum(made, 0), "unit") if self.unit else made


@dataclass(frozen=True)
class Mixture:
    """Gaussian clusters, each along some directions; those of the anomalies are others.

    centres : (2 C, d), shapes : (2 C, r, d), both in z-scores; the first C are normal."""

    centres: Vectors
    shapes: Vectors
    queries: Vectors
    anomalous: np.ndarray
    recipe: str

    def rows(self, n: int) -> Iterator[Vectors]:
        """Make the n rows of a reference set, some at a time."""
        rng = np.random.default_rng(0)
        for start in range(0, n, AT_ONCE):
            cluster = rng.integers(len(self.centres) // 2, size=min(AT_ONCE, n - start))
            yield drawn(self.centres, self.shapes, cluster, rng)


@dataclass(frozen=True)
class Made:
    """The files of one dimension: rows by their number, queries; and the recipe."""

    references: dict[int, Path]
    queries: Path
    anomalous: np.ndarray
    recipe: str


def make(run: Run[Any], folder: Path, dimension: int, sizes: Sequence[int], pictures: Path | None) -> Made:
    """Write what is not in the folder yet.

    pictures : the unpacked folder of `cifar10_png_35k.zip`; by default it is unpacked for a time."""
    references = {n: folder / f"{dimension}-{n}.npy" for n in sizes}
    queries, anomalous, recipe = (folder / f"{dimension}-{name}" for name in ("queries.npy", "anomalous.npy", "recipe"))
    if not all(path.exists() for path in (*references.values(), queries, anomalous, recipe)):
        source = source_of(run, dimension, pictures)
        for n, path in references.items():
            if not path.exists():
                write_rows(path, source.rows(n), n, dimension)
        np.save(queries, source.queries)
        np.save(anomalous, source.anomalous)
        recipe.write_text(source.recipe)
    return Made(references, queries, np.load(anomalous), recipe.read_text())


def write_rows(path: Path, rows: Iterator[Vectors], n: int, dimension: int) -> None:
    """Write rows as they come; the file has its name only once it is whole."""
    part = path.with_suffix(".part")
    file = np.lib.format.open_memmap(part, "w+", np.float32, (n, dimension))
    start = 0
    for some in rows:
        file[start : start + len(some)] = some
        start += len(some)
    file.flush()
    part.rename(path)


def source_of(run: Run[Any], dimension: int, pictures: Path | None) -> Source:
    """Choose the source for a dimension."""
    if dimension == PICTURES_DIMENSION:
        backbone = "lite0@32" if run.smallest else "lite0"
        if pictures is not None:
            return picture_source(pictures, backbone)
        with run.unpacked(CIFAR10) as folder:
            return picture_source(folder, backbone)
    return table_source(run, dimension) if dimension <= TABLE_COLUMNS else mixture_source(dimension)


def picture_source(folder: Path, backbone: str) -> Enlarged:
    """Embed CIFAR-10's pictures; trucks are the anomalies."""
    embedder = ImageEmbedder(backbone, cache=Cache())
    paths = {part: sorted((folder / part).rglob("*.png")) for part in ("train", "test")}
    paths["test"] = paths["test"][:: max(1, len(paths["test"]) // N_QUERIES)]
    classes = {part: np.array([path.parent.name for path in paths[part]]) for part in paths}
    vectors = {part: normalize(embedder.transform(paths[part]), embedder.normalize) for part in paths}
    normal = np.random.default_rng(0).permutation(np.flatnonzero(classes["train"] != "truck"))
    return Enlarged(
        real=vectors["train"][normal],
        kinds=np.unique(classes["train"][normal], return_inverse=True)[1],
        queries=vectors["test"],
        anomalous=classes["test"] == "truck",
        recipe=(
            f"{backbone} {embedder.normalize} embeddings of CIFAR-10's training pictures but trucks, {len(normal):,}; "
            "more rows than that are made: a e + (1 - a) f of two of a class, a uniform in [0.5, 1], plus Gaussian "
            f"noise of length about 0.1, not negative, length 1.  Queries: {len(paths['test']):,} test pictures of all "
            "classes; trucks are the anomalies."
        ),
        noise=0.1 / np.sqrt(PICTURES_DIMENSION),
        unit=True,
    )


def table_source(run: Run[Any], dimension: int) -> Enlarged:
    """Take columns of KDD Cup 99; attacks are the anomalies."""
    with np.load(run.need("tabular_goad/kddcup99_10pct.npz")) as arrays:
        numbers, label, names = arrays["X_num"], arrays["label"], arrays["label_names"]
        service = arrays["cat_service"]
    rng = np.random.default_rng(0)
    is_normal = names[label] == "normal"
    normal, attacks = (rng.permutation(np.flatnonzero(which)) for which in (is_normal, ~is_normal))
    n_queries = min(N_QUERIES, len(normal) // 2)
    n_attacks = n_queries // 10
    asked, reference = np.split(normal, [n_queries - n_attacks])
    distinct = [len(np.unique(column)) for column in numbers[reference].T]
    columns = np.argsort(distinct, kind="stable")[::-1][:dimension]
    scaled = np.log1p(numbers[:, columns])
    scaled = ((scaled - scaled[reference].mean(axis=0)) / scaled[reference].std(axis=0)).astype(np.float32)
    return Enlarged(
        real=scaled[reference],
        kinds=service[reference].astype(np.int64),
        queries=scaled[np.concatenate([asked, attacks[:n_attacks]])],
        anomalous=np.arange(n_queries) >= len(asked),
        recipe=(
            f"normal connections of KDD Cup 99, {len(reference):,}: the {dimension} columns of numbers with the most "
            "different values, z-scores of log(1 + x); more rows than that are made: a e + (1 - a) f of two of a "
            "service, a uniform in [0.5, 1], plus Gaussian noise of 0.01 in each column.  Queries: "
            f"{len(asked)} other normal connections and {n_attacks} attacks, which are the anomalies."
        ),
        noise=0.01,
        unit=False,
    )


def mixture_source(dimension: int, clusters: int = 20, directions: int = 8) -> Mixture:
    """Draw Gaussian clusters, for more columns than the table has."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(2 * clusters, dimension)).astype(np.float32)
    shapes = rng.normal(size=(2 * clusters, directions, dimension)).astype(np.float32)
    sample = drawn(centres, shapes, rng.integers(clusters, size=AT_ONCE), rng)
    mean, spread = sample.mean(axis=0), sample.std(axis=0)
    centres, shapes = (centres - mean) / spread, shapes / spread
    anomalous = np.arange(N_QUERIES) >= N_QUERIES * 9 // 10
    cluster = rng.integers(clusters, size=N_QUERIES) + clusters * anomalous
    return Mixture(
        centres=centres,
        shapes=shapes,
        queries=drawn(centres, shapes, cluster, rng),
        anomalous=anomalous,
        recipe=(
            f"made: {clusters} Gaussian clusters in z-scores, each along {directions} directions of its own, plus "
            f"noise of 0.3 in each column.  Queries: {N_QUERIES:,} others, {anomalous.sum()} of them of clusters of "
            "their own, which are the anomalies."
        ),
    )


def drawn(centres: Vectors, shapes: Vectors, cluster: Positions, rng: np.random.Generator) -> Vectors:
    """Draw a row of each of some clusters, (m,): (m, d) float32."""
    along = rng.standard_normal((len(cluster), shapes.shape[1]), dtype=np.float32)
    rows = centres[cluster] + np.float32(0.3) * rng.standard_normal((len(cluster), centres.shape[1]), dtype=np.float32)
    for one in np.unique(cluster):
        rows[cluster == one] += along[cluster == one] @ shapes[one]
    return rows


def exact_distances(rows: Vectors, queries: Vectors) -> Distances:
    """Return the squared distances to the nearest rows, in float64: (n, 2), nearest first.

    FAISS proposes many more, by differences instead of products where that takes no more than seconds."""
    import faiss

    small = rows.shape[1] < PICTURES_DIMENSION
    faiss.cvar.distance_compute_blas_threshold = 1 << 30 if small else 20
    best = np.full((len(queries), NEIGHBORS), np.inf)
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        _, candidates = faiss.knn(queries, np.asarray(some), min(CANDIDATES, len(some)))
        found = true_distances(some, queries, candidates)
        best = np.sort(np.concatenate([best, found], axis=1), axis=1)[:, :NEIGHBORS]
    return best


def true_distances(rows: Vectors, queries: Vectors, positions: Positions) -> Distances:
    """Return the squared distances of queries, (n, d), to the rows at some positions, (n, k), in float64: (n, k)."""
    distances = np.empty(positions.shape)
    for query, places, out in zip(queries, positions, distances, strict=True):
        out[:] = np.square(rows[places] - query.astype(np.float64)).sum(axis=1)
    return distances


def recall(found: Distances, exact: Distances, allowed: float = 0.0) -> float:
    """Return the share of what was found, (n, 2), that is no farther than the exact last neighbour.

    found, exact : true squared distances; allowed : how much farther it may be, in L2."""
    farthest = np.square(np.sqrt(exact[:, -1:] * EQUAL) + allowed)
    return float((found <= farthest).mean())
