"""A data set's tests, defects and masks among what is to be learnt as normal are noticed, and plain folders are not."""

import ast
import logging
import sys
from pathlib import Path

import pytest

from dn2.inputs.files import find_items
from dn2.inputs.items import Item
from dn2.inputs.leaving_out import leaving_out
from dn2.kinds.image.layout import warn_of_layout
from dn2.networks.pixels import SUFFIXES


def said(caplog, *folders, count=3):
    caplog.clear()
    with caplog.at_level(logging.WARNING, "dn2"):
        warn_of_layout(
            [Item(f"{folder}/{n}.png", Path("x"), in_folder=True) for folder in folders for n in range(count)]
        )
    return [record.getMessage() for record in caplog.records]


MVTEC = ("train/good", "test/good", "test/broken_large", "ground_truth/broken_large")


def test_the_root_of_mvtec_is_noticed(caplog):
    assert said(caplog, *MVTEC) == [
        "9 items among those to learn from as normal lie in folders that look like tests and masks: test (6), "
        "ground_truth (3); give train/good alone, or say exclude=['test', 'ground_truth']"
    ]
    assert said(caplog, *(f"bottle/{folder}" for folder in MVTEC)) == [
        "9 items among those to learn from as normal lie in folders that look like tests and masks: bottle/test (6), "
        "bottle/ground_truth (3); give bottle/train/good alone, or say exclude=['test', 'ground_truth']"
    ]


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("Train", "Test"), "tests: Test (3); give Train alone"),
        (("good", "bad"), "defects: bad (3); give good alone, or say exclude='bad'"),
        (("x/OK", "x/NG"), "defects: x/NG (3); give x/OK alone"),
        (("normal", "anomaly"), "defects: anomaly"),
        (("good", "broken_large", "scratch"), "defects: broken_large (3), scratch (3); give good alone"),
        (("images", "masks"), "masks: masks (3); say exclude='masks', or give the folder of the normal ones alone"),
        (("train/good", "train/masks"), "masks: train/masks (3)"),
        (("train", "Test", "test"), "tests: Test (3), test (3); give train alone, or say exclude=['Test', 'test']"),
        (("x/good", "x/dent", "x/Dent"), "6 items among those to learn from as normal lie in folders that look like"),
        (("Good", "ok", "bad"), "say exclude='bad', or give the folders of the normal ones alone"),
    ],
)
def test_other_layouts_of_data_sets_are_noticed(caplog, folders, words):
    (line,) = said(caplog, *folders)
    assert words in line


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses such names")
@pytest.mark.parametrize("name", ["crack[1]", "why?", "*", "**", "[!a]", "a b", "it's"])
def test_the_way_out_leaves_out_the_folder_and_no_other(caplog, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for folder in ("good", "good/crack1", "good/why1", name):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").touch()
    (line,) = said(caplog, "good", name)
    exclude = ast.literal_eval(line.rpartition("exclude=")[2])
    with leaving_out(exclude):
        assert [item.name for item in find_items(".", SUFFIXES)] == [
            "good/1.png",
            "good/crack1/1.png",
            "good/why1/1.png",
        ]


@pytest.mark.parametrize(
    "folders",
    [
        (".",),
        ("good",),
        ("test",),
        ("masks",),
        ("train/good",),
        ("line 1", "line 2"),
        ("test rig", "train station"),
        ("test", "2024-05"),
        ("labels_front", "labels_back"),
        ("good_monday", "good_tuesday"),
        ("bad weather", "good weather"),
        ("normal", "night"),
        ("ok", "ok2"),
    ],
)
def test_plain_folders_are_not_suspected(caplog, folders):
    assert said(caplog, *folders) == []


def test_files_named_by_themselves_lie_in_no_layout(caplog):
    with caplog.at_level(logging.WARNING, "dn2"):
        warn_of_layout([Item("train/a.png", Path("x")), Item("test/a.png", Path("x"))])
    assert not caplog.records
