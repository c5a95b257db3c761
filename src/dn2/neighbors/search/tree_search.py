"""An approximate search of a tree: how many leaves are visited, and what that loses."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from typing import Any, Self

import numpy as np

from dn2.arrays import Array, Positions, Scores, Vectors
from dn2.neighbors.search.accuracy import Accuracy, choose_tried, with_strange_queries
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.kmeans_tree import KMeansTree
from dn2.neighbors.search.tree import Tree, learn_tree


@dataclass(frozen=True)
class TreeSearch:
    """What a set teaches of which a tree is to be searched approximately.

    tree : of means; n_visited : how many leaves are visited; accuracy : what this loses."""

    tree: Tree
    n_visited: int
    accuracy: Accuracy

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        children = np.stack([self.tree.first_child, self.tree.n_children], axis=1)
        visited = np.array([self.n_visited, *astuple(self.accuracy)], np.float64)
        return {"means": self.tree.means, "children": children, "visited": visited}

    @classmethod
    def from_arrays(cls, means: Vectors, children: Positions, visited: Scores) -> Self:
        """Restore what `as_arrays` gave.  Raises ValueError for arrays of another form."""
        if visited.shape != (5,) or not np.isfinite(visited).all() or not visited[0] >= 1:
            raise ValueError(f"leaves visited and what they find: {visited}")
        if children.shape != (len(means), 2):
            raise ValueError(f"children of shape {children.shape} for {len(means)} means")
        n_visited, *accuracy = visited.tolist()
        return cls(Tree(means, *np.ascontiguousarray(children.T)), int(n_visited), Accuracy(*accuracy))

    def check(self, dimension: int) -> None:
        """Raise ValueError unless rows of a dimension can teach this."""
        self.tree.check(dimension)

    def describe(self) -> dict[str, Any]:
        """Return how the search goes and what it loses, as `model.json` has it."""
        return {"visited": self.n_visited, "leaves": self.tree.n_leaves, **asdict(self.accuracy)}

    def index(self, rows: Vectors) -> KMeansTree:
        """Return the index of rows, (n, d): of all of the reference set."""
        return KMeansTree(rows, self.tree, self.n_visited)


def find_tree_search(
    rows: Vectors, at_least: int, k: int, recall: float, excluded: Excluded | None = None
) -> TreeSearch:
    """Learn a tree from rows, (n, d), in random order, and visit as many leaves as find what is promised.

    at_least : how many leaves to visit at least; k : number of neighbours; recall : share of them to find.
    excluded : what is excluded from the neighbours of each row; by default only itself."""
    tree, tried = learn_tree(rows), choose_tried(np.arange(len(rows)))
    queries, kinds = with_strange_queries(rows[tried])
    own = Excluded.own(tried) if excluded is None else excluded[tried]
    spans = np.full((len(queries), 2), -1)
    spans[: len(tried)] = own.spans
    excluded = Excluded(spans, own.ranks)
    n_visited = max(at_least, k + 1)
    exact, visiting = KMeansTree(rows, tree).search(queries, k, excluded)[0], KMeansTree(rows, tree, n_visited)
    while True:
        visiting.max_leaves = n_visited
        accuracy = Accuracy.of(exact, visiting.search(queries, k, excluded)[0], kinds)
        if min(accuracy.recall, accuracy.strange_recall) >= recall or n_visited >= tree.n_leaves:
            return TreeSearch(tree, min(n_visited, tree.n_leaves), accuracy)
        n_visited *= 2
