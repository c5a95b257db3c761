"""A data set's tests, defects and masks among what is to be learnt as normal are noticed, and plain folders are not."""

import logging
from pathlib import Path

import pytest

from dn2.inputs.items import Item
from dn2.kinds.image.layout import warn_of_layout


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
    ],
)
def test_other_layouts_of_data_sets_are_noticed(caplog, folders, words):
    (line,) = said(caplog, *folders)
    assert words in line


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
