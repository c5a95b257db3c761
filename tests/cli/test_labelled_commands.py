"""`dn2 evaluate` on labelled data sets, and with masks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from small_defects import defects, save

__all__ = ["defects"]


def test_what_is_broken_is_named_and_the_rest_is_measured(dn2_command, defects: Path, tmp_path: Path) -> None:
    data = shutil.copytree(defects, tmp_path / "data")
    (data / "test/spot/001.png").write_text("no picture")
    (data / "ground_truth/line/000_mask.png").write_text("no mask")
    save(data / "ground_truth/line/002_mask.png", np.ones((8, 8)))
    arguments = ["evaluate", defects.parent / "m.dn2", data, "--no-cache"]
    done = dn2_command(*arguments)
    assert done.status == 3
    named = [line.partition("not read: ")[2] for line in done.err.splitlines() if "not read: " in line]
    assert [line.partition(": ")[0] for line in named] == [f"test/{name}.png" for name in NAMED]
    assert "must have the size of its picture, 64 x 64, got 8 x 8" in named[2]
    figures = json.loads(dn2_command(*arguments, "--json").out)
    assert (figures["n_normal"], figures["n_anomalous"]) == (4, 5)
    assert (figures["segmentation"]["n_without_mask"], figures["segmentation"]["n_anomalous"]) == (2, 5)
    rows = [line.split() for line in done.out.splitlines()]
    assert ["anomalous", "items", "with", "a", "mask", "3", "of", "5"] in rows
    shown = {row[0]: row for row in rows if row and row[0] in ("line", "spot")}
    assert (shown["line"][1], shown["spot"][1]) == ("3", "2")
    assert shown["spot"][3] == f"{figures['segmentation']['by_kind']['spot']['pixels']['roc_auc']:.4f}"


NAMED = ("spot/001", "line/000", "line/002")


def test_options_reach_the_data_set(dn2_command, defects: Path, tmp_path: Path) -> None:
    shutil.copytree(defects, tmp_path / "all/one")
    shutil.copytree(defects, tmp_path / "all/two")
    model = defects.parent / "m.dn2"
    done = dn2_command("evaluate", model, tmp_path / "all")
    assert (done.status, done.err.count("choose one, as by --category one")) == (2, 1)
    arguments = ["evaluate", model, tmp_path / "all", "--category", "two", "--json"]
    figures = json.loads(dn2_command(*arguments).out)
    masks = shutil.move(tmp_path / "all/two/ground_truth", tmp_path / "masks")
    assert json.loads(dn2_command(*arguments, "--masks", masks).out) == figures
