"""Models are measured on pictures whose truth is known, and their maps against masks."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

import dn2
import naive
from dn2.errors import InputError
from dn2.system.interface import use_command_line
from small_defects import DEFECTS, SIDE, defects, save
from small_models import networks_once

__all__ = ["defects", "networks_once"]


@pytest.fixture(scope="module")
def model(defects):
    return dn2.load(defects.parent / "m.dn2", cache=None)


@pytest.fixture
def changed(defects, tmp_path):
    """A copy of the data set, to be changed."""
    return shutil.copytree(defects, tmp_path / "data")


def by_hand(model, data):
    """Scores of pixels, whether each is a defect, and whether it lies in a region, of all test pictures."""
    scores, truth = [], []
    for path in sorted(data.glob("test/*/*.png")):
        (row,) = model.score(path)
        wide = Image.fromarray(row.evidence.anomaly_map).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        mask = np.zeros((SIDE, SIDE), bool)
        if path.parent.name in DEFECTS:
            mask[DEFECTS[path.parent.name]] = True
        scores.append(np.asarray(wide).ravel())
        truth.append(mask.ravel())
    return np.concatenate(scores), np.concatenate(truth)


def test_a_labelled_data_set_measures_pictures_and_pixels(model, defects):
    figures, unreadable = model.evaluate(data=defects)
    scores, truth = by_hand(model, defects)
    rows = {name: model.score(defects / f"test/{name}") for name in ("good", *DEFECTS)}
    threshold = model.kind.learnt.threshold(model.false_alarm_rate)
    found = figures.segmentation
    assert unreadable == []
    assert (figures.n_normal, figures.n_anomalous, found.n_without_mask) == (4, 6, 0)
    assert truth.sum() == 3 * (16 * 20 + 4 * 52)
    assert found.pixels.defective_share == pytest.approx(truth.mean())
    assert found.pixels.roc_auc == pytest.approx(roc_auc_score(truth, scores), abs=1e-3)
    assert found.pixels.seg_f1 == pytest.approx(naive.f1(scores, truth, np.nextafter(threshold, 9)), abs=1e-3)
    assert {name: (one.n_pictures, one.n_found) for name, one in found.by_kind.items()} == {
        name: (3, len(rows[name].anomalies)) for name in ("line", "spot")
    }
    assert {name: one.n_pictures for name, one in found.by_area.items()} == {"1 % to 10 %": 6}
    assert figures.with_regions == np.mean([bool(row.regions) for row in rows["good"]])


def test_masks_in_a_folder_are_found_by_the_paths_of_pictures(model, defects):
    expected, _ = model.evaluate(data=defects)
    anomalous = [defects / "test/line", defects / "test/spot"]
    figures, _ = model.evaluate(defects / "test/good", anomalous, masks=defects / "ground_truth")
    assert figures == expected
    memory = {f"spot/{path.name}": path.read_bytes() for path in sorted((defects / "test/spot").iterdir())}
    figures, _ = model.evaluate(defects / "test/good", memory, masks=str(defects / "ground_truth"))
    assert figures.segmentation.pixels == expected.segmentation.by_kind["spot"].pixels


def test_a_mask_that_cannot_be_used_is_named_and_its_picture_counts_without_it(model, changed):
    masks, good = changed / "ground_truth", changed / "test/good"
    save(masks / "good/003.png", np.full((SIDE, SIDE), 255))  # a normal picture with defects
    (masks / "line/000_mask.png").write_text("no mask")
    (masks / "line/001_mask.png").unlink()
    shutil.copytree(changed / "test/spot", changed / "again/spot")  # the same masks at the end of their paths
    save(masks / "spot/001_GT.png", np.zeros((SIDE, SIDE)))
    save(masks / "spot/1/001_mask.png", np.zeros((SIDE, SIDE)))
    anomalous = [changed / "test/line", changed / "test/spot", changed / "again/spot"]
    figures, unreadable = model.evaluate(good, anomalous, masks=masks)
    found = figures.segmentation
    assert (figures.n_normal, found.n_normal, found.n_anomalous, found.n_without_mask) == (4, 3, 9, 8)
    named = {row.item: row.error for row in unreadable}
    assert named.pop("003.png") == "a normal picture has no defects, got a mask of 4,096 defective pixels"
    assert named.pop("line/000.png").startswith(f"the mask {masks / 'line/000_mask.png'}: ")
    assert len(named) == 6
    assert all(re.fullmatch("a mask is of one picture, and .* would be of 2", words) for words in named.values())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "give --normal and --anomalous, items of which it is known, or a labelled data set of pictures"),
        ({"data": "{data}", "normal": "x"}, "--normal does not go together with the labelled data set"),
        ({"normal": "{good}", "anomalous": "{spot}", "category": "a"}, "--category does not go together with --normal"),
        (
            {"normal": "{good}", "anomalous": "{spot}", "masks": "{good}"},
            "{good} must hold masks, and {good}/000.png is",
        ),
        ({"normal": "{good}", "anomalous": "{spot}", "masks": "{empty}"}, "m.dn2 must hold masks of the"),
        ({"normal": "{good}", "anomalous": "{spot}", "masks": "no"}, "--masks names a folder of masks, got no, which"),
        ({"data": "{data}/train"}, "train must be laid out as a labelled data set"),
    ],
)
def test_what_says_no_truth_is_one_error(model, defects, given, words):
    places = {
        "data": defects,
        "good": defects / "test/good",
        "spot": defects / "test/spot",
        "empty": defects.parent / "m.dn2",
    }
    with use_command_line(), pytest.raises(InputError, match=re.escape(words.format(**places))):
        model.evaluate(**{name: value.format(**places) for name, value in given.items()})


def test_a_data_set_without_both_sorts_is_refused(model, changed):
    shutil.rmtree(changed / "test/good")
    with pytest.raises(InputError, match=r"must hold normal and anomalous pictures to test, got 0 and 6$"):
        model.evaluate(data=changed)


def test_a_model_of_whole_pictures_is_measured_without_pixels_and_refuses_masks(defects):
    model = dn2.fit(defects / "train/good", backbone="lite0@32", cache=None)
    figures, _ = model.evaluate(data=defects)
    assert (figures.n_normal, figures.n_anomalous, figures.segmentation, figures.with_regions) == (4, 6, None, None)
    words = "compares whole images: leave out masks, or fit a model with patches$"
    for truth in ({"data": defects}, {"normal": defects / "test/good", "anomalous": defects / "test/spot"}):
        with pytest.raises(InputError, match=words):
            model.evaluate(**truth, masks=defects / "ground_truth")


def test_truth_of_other_kinds_has_neither_data_sets_nor_masks():
    model = dn2.fit(np.random.default_rng(0).normal(size=(40, 3)))
    with pytest.raises(InputError, match="labelled data sets are of pictures: give normal and anomalous, of vectors"):
        model.evaluate(data="folder")
    with pytest.raises(InputError, match="masks are of pictures, and the items here are vectors: leave out masks"):
        model.evaluate(np.zeros((2, 3)), np.ones((2, 3)), masks="folder")
