"""What a model is, in words that an inspector understands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dn2.neighbors.groups import GEOMETRIC, MEAN
from dn2.printing import printable
from dn2.store.rows import Contribution

POOLED = {MEAN: "pooled by their mean", GEOMETRIC: "pooled by their geometric mean"}
EXACT = {"exact": "exact", "kdtree": "kd-tree, exact", "kmeans-tree": "tree of means, exact"}
KINDS_OF_COLUMNS = {"number": "numbers", "category": "categories", "date": "dates"}


def one_in(rate: float) -> str:
    """Write a rate as a person says it: 0.01 is `1 in 100`."""
    return f"1 in {1 / rate:,.0f}" if math.isclose(1 / rate, round(1 / rate)) else f"{rate:.2%}"


def describe_model(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what a model is made of; about : what `Model.describe` returns."""
    calibration, detector = about["calibration"], about["detector"]
    kinds = {"image": _images, "series": _series, "table": _table, "text": _texts, "vector": _vectors}
    seen = kinds[about["kind"]]
    what = "intervals" if about["kind"] == "series" else "items"
    rows = [
        *seen(about),
        ("neighbours", str(detector["n_neighbors"])),
        ("index", _index(detector["index"], about["search"])),
        ("calibration", f"{calibration['method']}, {calibration['sample_size']:,} {what}"),
        (
            "false-alarm rate",
            f"{one_in(calibration['false_alarm_rate'])} (smallest: 1 in {calibration['sample_size'] + 1:,})",
        ),
    ]
    search, n = about["search"], calibration["n_reference"]
    if search.get("learnt_from", n) != n:
        rows.append(("learnt from", f"{search['learnt_from']:,} items, before others came or went; fit anew renews it"))
    if gone := about.get("removed_in_files"):
        rows.append(("removed", f"{gone:,} items, whose rows still lie in the model's files"))
    if share := about["contamination"]:
        rows.append(
            ("anomalies among them", f"{share['estimate']:.1%}, estimated ({share['low']:.1%} to {share['high']:.1%})")
        )
        rows.append(("set aside", f"{share['aside']:,} (--aside lists them)"))
    return rows


def _images(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    embedder, detector = about["embedder"], about["detector"]
    sizes = embedder["preprocessing"]
    sizes = sizes if isinstance(sizes, list) else [sizes]
    groups = f", groups of them, {POOLED[about['groups']['pooling']]}" if about["groups"] else ""
    return [
        ("kind", about["kind"] + groups),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("backbone", f"{embedder['backbone']} ({embedder['dimension']} features, {embedder['precision']})"),
        ("pictures", " and ".join(map(_preparation, sizes))),
        ("normalisation", about["groups"]["members"] if about["groups"] else detector["normalize"]),
        ("whitening", "partial, learnt" if detector["whiten"] else "none"),
    ]


def _table(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    counts, left_out = about["embedder"]["columns"], about["embedder"]["left_out"]
    compared = ", ".join(f"{count:,} of {KINDS_OF_COLUMNS[kind]}" for kind, count in counts.items())
    rows = [
        ("kind", "rows of a table" + (f", named by {about['id_column']}" if about["id_column"] is not None else "")),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("columns compared", compared),
    ]
    return rows + [("columns left out", list_left_out(left_out))] * bool(left_out)


def _texts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    embedder = about["embedder"]
    window = "" if embedder["window"] is None else f", {embedder['window']} tokens at once"
    column = "" if about["column"] is None else f", the column {about['column']}"
    named = "" if about["id_column"] is None else f", named by {about['id_column']}"
    return [
        ("kind", f"messages{column}{named}"),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("backbone", f"{embedder['backbone']} ({embedder['dimension']} features{window})"),
    ]


def _series(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    embedder, columns = about["embedder"], about["embedder"]["columns"]
    named = "" if about["id_column"] is None else f", named by {about['id_column']}"
    stamps = "one a row" if about["time"] is None else f"by {about['time']}, {embedder['step']:g} apart"
    return [
        ("kind", f"windows of series{named}"),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("window", f"{embedder['window']:,} points, {stamps}"),
        ("values", ", ".join(columns[:10]) + (f" and {len(columns) - 10:,} more" if len(columns) > 10 else "")),
    ]


def _vectors(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    detector = about["detector"]
    return [
        ("kind", f"vectors of {about['dimension']:,} numbers"),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("normalisation", detector["normalize"]),
        ("whitening", "partial, learnt" if detector["whiten"] else "none"),
    ]


def list_left_out(left_out: Mapping[str, str]) -> str:
    """Name columns that are not compared, with the reasons; the first ten of very many."""
    named = "; ".join(f"{name} ({reason})" for name, reason in list(left_out.items())[:10])
    return named + (f"; and {len(left_out) - 10:,} more" if len(left_out) > 10 else "")


def explain(one: Contribution) -> str:
    """Say what a column of a row adds to its strangeness: its value, those of its neighbours, its share."""
    near = ", ".join(map(cell_in_words, dict.fromkeys(one.neighbors)))
    return f"{one.column} {cell_in_words(one.value)} beside {near} ({one.share:.0%})"


def say(text: str, longest: int = 120) -> str:
    """Write a message for a person in one line, cut if it is long."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 2]} …"


def cell_in_words(value: Any) -> str:
    """Write a cell of a table for a person."""
    if value is None:
        return "missing"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _preparation(preprocessing: Mapping[str, Any]) -> str:
    share = preprocessing.get("crop_share", 1)
    middle = f", the middle {share:.0%} of a side" if share < 1 else ""
    return f"{preprocessing['shape']} to {preprocessing['width']} x {preprocessing['height']}{middle}"


def _index(name: str, search: Mapping[str, Any]) -> str:
    kind, _, count = name.partition(":")
    if kind == "kmeans":
        return f"{count} centroids; an item's neighbour is the one nearest to its centroid, at the centroid's distance"
    why = f" ({search['why']})" if name == "auto" or search["method"] not in name else ""
    if "visited" in search:
        return (
            f"tree of means, approximate{why}: {search['visited']:,} of {search['leaves']:,} leaves visited, which "
            f"finds {search['recall']:.2%} of the neighbours; their distances are exact"
        )
    if search["method"] != "approximate":
        return f"{EXACT[search['method']]}{why}"
    reduced = f", {search['candidates']:,} candidates of each query compared in full" if "candidates" in search else ""
    return (
        f"approximate{why}: {search['searched']:,} of {search['cells']:,} cells searched{reduced}, which finds "
        f"{search['recall']:.2%} of the neighbours; their distances are exact"
    )
