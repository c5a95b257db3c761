"""A model, in words that an inspector understands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dn2.kinds.exchange import ReadColumn
from dn2.kinds.kind import Kind
from dn2.kinds.registry import kind_of
from dn2.neighbors.shift import Shift
from dn2.neighbors.suspicion import CLOSE, Suspicion
from dn2.results.words import count_in_words, number_in_words, rate_in_words
from dn2.system.interface import command, option

MOST_COLUMNS = 100  # on a page
SAID_OF_COLUMNS = "columns left out"  # the name of what the list of columns says, too
EXACT = {"exact": "exact", "kdtree": "kd-tree, exact", "kmeans-tree": "tree of means, exact"}


def brief_of(kind: Kind[Any], n_reference: int, rate: float) -> str:
    """Say in a line what a model is.

    n_reference : the number of items that it compares with; rate : of false alarms."""
    noun = kind.nearest or kind.many
    return f"Model of {n_reference:,} {noun} ({kind.brief}), false-alarm rate {rate_in_words(rate)}"


def describe_model(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what a model is made of; about : what `Model.describe` returns."""
    calibration, detector = about["calibration"], about["detector"]
    noun = "intervals" if calibration["method"] == "blocks" else "parts" if calibration["n_parts"] else "items"
    rows = [
        *kind_of(about["kind"]).say(about),
        ("neighbours", str(detector["n_neighbors"])),
        ("index", _index(detector["search"]["index"], about["search"])),
        ("calibration", f"{calibration['method']}, {calibration['sample_size']:,} {noun}"),
        ("false-alarm rate", _rate(calibration)),
        ("flagged above", f"anomaly score {number_in_words(calibration['threshold'])}"),
        ("copies", "{repeats:,} exact, {near_copies:,} near".format(**about["suspicion"])),
    ]
    search, n = about["search"], calibration["n_reference"]
    rows += _belonging(about["membership"], calibration)
    if search.get("learnt_from", n) != n:
        rows.append(("learnt from", f"{search['learnt_from']:,} items, before others came or went; fit anew renews it"))
    if any((told := about["told"]).values()):
        words = "{normal:,} normal, {defect:,} defects, {unsure:,} unsure; {audited:,} of them audited"
        rows.append(("told by people", words.format(**told)))
    if gone := about.get("removed_in_files"):
        rows.append(("removed", f"{gone:,} items, whose rows still lie in the model's files"))
    if share := about["contamination"]:
        words = f"{share['estimate']:.1%}, estimated ({share['low']:.1%} lie alone, {share['high']:.1%} at the most)"
        rows.append(("unlike most others", words))
        listed = command("--aside", "Model.suspects")
        rows.append(("set aside", f"{share['aside']:,} of {share['suspects']:,} suspects ({listed} shows them)"))
        kept = ("reference items", f"{n - share['aside']:,}, and {share['aside']:,} set aside")
        rows = [kept if name == kept[0] else (name, value) for name, value in rows]
    return rows


def _belonging(rules: Mapping[str, Any], calibration: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what the items belong to, and by which rule."""
    counts = {"part": (calibration["n_parts"], "parts"), "per": (calibration["n_strata"], "a rate each for")}
    rows = []
    for name, (count, noun) in counts.items():
        if rules[name] is not None:
            rule = f" ({option(name, rules[name])})" if rules[name] else ""
            rows.append((noun, f"{count:,}{rule}"))
    return rows


def describe_with_columns(
    about: Mapping[str, Any], columns: Sequence[ReadColumn]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Name what a model is made of, and beside it how each column was read: each thing once."""
    pairs = describe_model(about)
    if 0 < len(columns) <= MOST_COLUMNS:
        pairs = [pair for pair in pairs if pair[0] != SAID_OF_COLUMNS]
    return pairs, describe_columns(columns)


def aside_in_words(aside: int, suspects: int, n: int, drop: float | None, model: str) -> str:
    """Say what was set aside of a contaminated set, and what to do about the rest.

    aside, suspects : how many of the n items are; drop : the share that was to be; model : its words in commands."""
    look = f"look at them with dn2 inspect {model} --aside --report aside.html"
    if drop is not None:
        return f"{aside:,} items are set aside, for {option('drop')} says that {drop:.1%} are anomalies; {look}"
    alone = f"{count_in_words(aside, 'item lies', 'items lie')} alone, far from all others, and " if aside else ""
    words = f"{alone}{'is' if aside == 1 else 'are' if aside else 'nothing is'} set aside"
    if suspects == aside:
        return f"{words}; {look}" if aside else words
    more = count_in_words(suspects - aside, "item", "items")
    return (
        f"{words}; {more} ({(suspects - aside) / n:.1%}), unlike most but not alone, could be anomalies or a second"
        f" kind of normal items, and stay: {look}; give {option('drop')} to set them aside all the same"
    )


def advice_on_suspects(model: str) -> list[str]:
    """Say what a person can do about suspects; model : its words in commands."""
    return [
        "Nothing is compared with what is set aside. What looks anomalous and is not set aside could be a rarer kind of"
        " normal items: only a person can tell.",
        f"Set aside, and normal after all? dn2 readmit {model} ITEM",
        f"Anomalous? Take it out for good: dn2 remove {model} ITEM",
        "Are most of them anomalous? Fit again with --contaminated --drop SHARE, the share of the items that is.",
    ]


def suspicion_in_words(suspicion: Suspicion, sample_size: int) -> list[str]:
    """Say what was found in a reference set, and what follows from it; sample_size : how many items calibrate."""
    words = []
    if suspicion.repeats or suspicion.near_copies:
        words.append(
            f"Of {sample_size:,} items {suspicion.repeats:,} are exact copies of others, and {suspicion.near_copies:,} "
            "near ones. Copies do no harm where new items come as copies, too."
        )
    if suspicion.findings:
        words.append(
            f"The items do not look as if drawn one by one: {findings_in_words(suspicion, 'items')}. Where several of"
            " them show one part, and new items another, there are more false alarms, often many times more."
        )
    return words


def findings_in_words(suspicion: Suspicion, many: str) -> str:
    """Say what was found, with its numbers; many : the noun for items."""
    found = {finding.name: finding for finding in suspicion.findings}
    words = []
    if (copies := found.get("copies")) is not None:
        words.append(
            f"{copies.share:.0%} of {many} lie in closed groups of about {copies.size:,} (usual: up to"
            f" {copies.usual:.0%})"
        )
    elif (clusters := found.get("clusters")) is not None:
        words.append(
            f"{many} lie in groups of about {clusters.size:,}: beyond, neighbours follow {clusters.share:.1f} times as "
            f"closely (usual: up to {clusters.usual:.1f})"
        )
    if (repeats := found.get("repeats")) is not None:
        words.append(
            f"{repeats.share:.0%} of {many} have exact copies, about {repeats.size:,} of each, more evenly than what is"
            " drawn one by one"
        )
    if (order := found.get("order")) is not None:
        words.append(
            f"{order.share:.0%} of nearest neighbours are within {CLOSE} places in name or order (by chance: "
            f"{rate_in_words(order.usual)})"
        )
    return "; ".join(words)


def shift_in_words(shift: Shift, many: str) -> str:
    """Say that a batch is far out as a whole; many : the noun for its items."""
    return (
        f"{shift.small:.0%} of these {many} have p-values up to 0.1, and {shift.above:.0%} of the others lie above"
        " 0.55, where half should: either most of them are anomalous, or the false-alarm rate does not hold: another"
        " camera, light or source, drift, or a reference set that shows each part several times"
    )


def describe_columns(columns: Sequence[ReadColumn]) -> list[tuple[str, str]]:
    """Name columns, and say how each was read, or why it is left out; the first hundred of very many."""
    rows = [
        (column.name, column.words if column.is_compared else f"left out: {column.words}")
        for column in columns[:MOST_COLUMNS]
    ]
    more = len(columns) - MOST_COLUMNS
    return rows + [(f"and {more:,} more", "model.columns lists all in Python")] * (more > 0)


def _rate(calibration: Mapping[str, Any]) -> str:
    """Name the rate asked for, the one that is reached where that is another, and the smallest."""
    rate, reached = calibration["false_alarm_rate"], calibration["reachable_false_alarm_rate"]
    less = "" if math.isclose(reached, rate) else f"reached: {_share(reached)}; "
    sure = "" if calibration["confidence"] is None else f", with a confidence of {calibration['confidence']:g}"
    return f"{rate_in_words(rate)}{sure} ({less}smallest: {_share(calibration['smallest_false_alarm_rate'])})"


def _share(rate: float) -> str:
    return rate_in_words(rate) if rate else "0"


def _index(name: str, search: Mapping[str, Any]) -> str:
    kind, _, count = name.partition(":")
    if kind == "kmeans":
        return f"{count} centroids; an item's neighbour is the one nearest to its centroid, at the centroid's distance"
    why = f" ({search['why']})" if name == "auto" or search["method"] not in name else ""
    if "visited" in search:
        return (
            f"tree of means, approximate{why}: {search['visited']:,} of {search['leaves']:,} leaves visited, which "
            f"finds {_found(search)}; their distances are exact"
        )
    if search["method"] != "approximate":
        return f"{EXACT[search['method']]}{why}"
    reduced = f", {search['candidates']:,} candidates of each query compared in full" if "candidates" in search else ""
    return (
        f"approximate{why}: {search['searched']:,} of {search['cells']:,} cells searched{reduced}, and "
        f"{search['searched_of_far']:,} for queries far from all cells, which finds {_found(search)}; their distances "
        "are exact"
    )


def _found(search: Mapping[str, Any]) -> str:
    return (
        f"{search['recall']:.2%} of the neighbours, and {search['strange_recall']:.2%} of those of queries made to be "
        "unlike the items"
    )
