"""Folders that look like those of a data set: with test pictures, defects or masks beside the normal ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from dn2.inputs.items import Item
from dn2.results.words import count_in_words
from dn2.system.interface import command, option

logger = logging.getLogger("dn2")

TRAINING = frozenset({"train", "training"})
GOOD = frozenset({"good", "ok", "normal", "normals", "defect_free", "defect-free", "no_defect", "non_defective"})
OTHERS = {
    "tests": frozenset({"test", "testing", "tests", "val", "valid", "validation"}),
    "masks": frozenset(
        {"ground_truth", "groundtruth", "gt", "mask", "masks", "annotation", "annotations", "label", "labels"}
    ),
    "defects": frozenset(
        {
            *("bad", "defect", "defects", "defective", "anomaly", "anomalies", "anomalous", "abnormal", "ng", "nok"),
            *("not_ok", "broken", "faulty", "fault", "faults", "reject", "rejects", "scrap"),
        }
    ),
}


def warn_of_layout(items: Sequence[Item]) -> None:
    """Warn where items that are all to be normal lie in folders whose names say that some are not."""
    counts = _count(item.name for item in items if item.in_folder)
    children: dict[str, set[str]] = {}
    for folder in counts:
        if folder != ".":
            children.setdefault(str(PurePosixPath(folder).parent), set()).add(folder)
    for parent in sorted(children, key=lambda folder: (folder.count("/"), folder)):
        if words := _say(children[parent], counts):
            logger.warning(words)
            return


def _say(siblings: Iterable[str], counts: dict[str, int]) -> str:
    """Say what is wrong with folders that lie side by side; empty where nothing is."""
    names = {PurePosixPath(folder).name.casefold(): folder for folder in siblings}
    suspects = {what: sorted(names.keys() & words) for what, words in OTHERS.items()}
    if "good" in names:  # as in MVTec AD, where each other folder has the name of a defect
        suspects["defects"] = sorted(names.keys() - GOOD - TRAINING - OTHERS["tests"] - OTHERS["masks"])
    of_training, of_good = sorted(names.keys() & TRAINING), sorted(names.keys() & GOOD)
    if of_training or of_good:
        others = [(what, name) for what, found in suspects.items() for name in found]
    else:  # masks tell by themselves; a folder may be called `test` for any reason
        others = [("masks", name) for name in suspects["masks"] if len(names) > 1]
    if not others:
        return ""
    listed = ", ".join(f"{names[name]} ({counts[names[name]]:,})" for _, name in others)
    kinds = " and ".join(dict.fromkeys(what for what, _ in others))
    total = count_in_words(sum(counts[names[name]] for _, name in others), "item", "items")
    return (
        f"{total} among those to learn from as normal lie in folders that look like {kinds}: {listed}; "
        f"{_way_out(names, of_training, of_good, [name for _, name in others], counts)}"
    )


def _way_out(
    names: dict[str, str], of_training: list[str], of_good: list[str], others: list[str], counts: dict[str, int]
) -> str:
    folders = [PurePosixPath(names[name]).name for name in others]
    leave_out = command(
        " ".join(option("exclude", folder) for folder in folders),
        option("exclude", folders[0]) if len(folders) == 1 else f"exclude={folders}",
    )
    if of_training or of_good:
        best = names[(of_training or of_good)[0]]
        inner = (f"{best}/{good}" for good in sorted(GOOD))
        best = next((folder for folder in inner if folder in counts), best)
        return f"give {best} alone, or say {leave_out}"
    return f"say {leave_out}, or give the folder of the normal ones alone"


def _count(names: Iterable[str]) -> dict[str, int]:
    """Count the items in each folder, at any depth, by its path in their names."""
    counts: dict[str, int] = {}
    for name in names:
        for folder in PurePosixPath(name).parents:
            counts[str(folder)] = counts.get(str(folder), 0) + 1
    return counts
