"""PatchCore, PaDiM and the figures of small defects, against plain computations; and the protocol from end to end."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist, mahalanobis

from dn2.errors import InputError
from dn2.kinds.image.bench import PATCHES
from dn2.kinds.image.bench.patches import methods
from dn2.kinds.image.bench.patches.measuring import watch
from dn2.kinds.image.bench.patches.padim import PaDiM
from dn2.kinds.image.bench.patches.papers import SquareEmbedder
from dn2.kinds.image.bench.patches.patchcore import PatchCore, project
from dn2.kinds.image.bench.patches.run import Halves
from dn2.kinds.image.labelled.masks import Mask
from dn2.kinds.image.labelled.sets import LabelledPicture, LabelledSet
from dn2.kinds.image.patches import finding
from dn2.neighbors.patches.joining import join
from small_bench import silent
from small_defects import SIDE, save, write_defects

PLACES = (2, 2, 1)  # the sides of three maps


@pytest.fixture
def pictures():
    """The maps of 12 pictures: three levels of 4, 3 and 2 channels."""
    rng = np.random.default_rng(0)
    return [
        tuple(
            rng.normal(size=(2 * side, 2 * side, d)).astype(np.float16)
            for side, d in zip(PLACES, (4, 3, 2), strict=True)
        )
        for _ in range(12)
    ]


def at_pixels(distances, side):
    wide = Image.fromarray(distances.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    return gaussian_filter(np.asarray(wide), 4)


def test_projections_keep_distances_about_as_they_are():
    rows = np.random.default_rng(1).normal(size=(40, 900)).astype(np.float16)
    ratio = (
        cdist(project(rows, 0), project(rows, 0))[np.triu_indices(40, 1)] / cdist(rows, rows)[np.triu_indices(40, 1)]
    )
    assert abs(ratio.mean() - 1) < 0.05
    assert project(rows[:, :128], 0).tolist() == rows[:, :128].tolist()


def test_patchcore_scores_as_its_paper_says(pictures):
    method = PatchCore.learn(pictures[:10], 32, 15)
    assert len(method.bank) == 15
    assert len(PatchCore.learn(pictures[:10], 32).bank) == 2  # 1 % of 160
    score, anomaly_map = method.examine(pictures[10])
    distances = cdist(join(pictures[10][:2]), method.bank)
    near = distances.argmin(axis=1)
    strangest = distances.min(axis=1).argmax()
    around = cdist(method.bank[near[strangest]][None], method.bank)[0].argsort()[:9]
    share = np.exp(distances[strangest].min()) / np.exp(distances[strangest][around]).sum()
    assert score == pytest.approx((1 - share) * distances.min(axis=1).max(), rel=1e-4)
    assert anomaly_map == pytest.approx(at_pixels(distances.min(axis=1).reshape(4, 4), 32), abs=1e-4)


def test_padim_has_a_gaussian_at_each_place(pictures):
    method = PaDiM.learn(pictures[:11] * 4, 32)  # more than are summed up at once
    rows = np.stack([join(maps) for maps in pictures[:11] * 4], axis=1).astype(np.float64)
    expected = [
        mahalanobis(row, some.mean(axis=0), np.linalg.inv(np.cov(some, rowvar=False) + 0.01 * np.eye(9)))
        for row, some in zip(join(pictures[11]), rows, strict=True)
    ]
    score, anomaly_map = method.examine(pictures[11])
    assert anomaly_map == pytest.approx(at_pixels(np.reshape(expected, (4, 4)), 32), rel=1e-3)
    assert score == anomaly_map.max()


def test_papers_see_a_square_whatever_the_picture():
    (seen,) = SquareEmbedder(resolution=70, cache=None).embed([np.zeros((40, 90, 3), np.uint8)])
    assert [level.shape[:2] for level in seen.parts[0]] == [(8, 8), (4, 4), (2, 2)]
    assert seen.size == (90, 40)


@pytest.mark.parametrize("learn", [PatchCore.learn, PaDiM.learn])
def test_nothing_to_learn_from_is_one_error(learn):
    with pytest.raises(InputError, match="none of the pictures to learn from can be read"):
        learn([], 32)


class Says:
    """A method that says what it is told."""

    threshold, rate, unreadable = 0.5, 0.1, ()

    def __init__(self, *said):
        self.said = said

    def see(self, pictures):
        return iter(self.said)


def test_figures_are_averaged_over_parts_and_told_apart_by_kind_and_area(tmp_path):
    masks = np.zeros((2, 10, 10))
    masks[0, :2, :2], masks[1, 5] = 255, 255
    for number, mask in enumerate(masks):
        save(tmp_path / f"{number}.png", mask)

    def picture(name, kind, part, mask=None):
        found = None if mask is None else Mask(tmp_path / mask)
        return LabelledPicture(name, tmp_path / name, "test", kind is not None, kind, found, part)

    def seen(score, p_value, value, at=slice(0)):
        anomaly_map = np.full((10, 10), value, np.float32)
        anomaly_map[at] = 1
        return methods.Seen(score, p_value, anomaly_map, (10, 10), bool(anomaly_map.max() > 0.5))

    shown = [
        (picture("a", None, "p"), seen(1, 0.05, 0.2, (0, 0))),
        (picture("b", None, "p"), seen(0, 0.9, 0.1)),
        (picture("c", None, "q"), seen(0.5, 0.5, 0.1)),
        (picture("d", "spot", "r", "0.png"), seen(2, 0.01, 0.1, (slice(2), slice(2)))),
        (picture("e", "line", "s", "1.png"), seen(0.7, 0.3, 0.3)),
        (picture("f", "line", "t", "none.png"), seen(0.1, 0.1, 0.1)),
        (picture("g", "line", "t"), "it is broken"),
    ]
    watched = watch(Says(*(said for _, said in shown)), [one for one, _ in shown])
    assert [row.item for row in watched.unreadable] == ["f", "g"]
    assert watched.roc_auc() == pytest.approx((3 + 2 + 1) / 9)
    assert watched.decided(0.1) == (pytest.approx(2 / 3), pytest.approx(0.25))
    figures = dict(watched.figures(0.1))
    assert figures["false alarms"] == figures["normal pictures with a region"] == pytest.approx(0.25)
    assert figures["found where 5% of normal ones are flagged"] == pytest.approx(1 / 3)
    assert figures["F1 of pixels in regions"] == pytest.approx(2 * 4 / (5 + 14))
    by_defect = dict(watched.by_defect(0.1))
    assert (by_defect["spot: ROC AUC"], by_defect["spot: AUPRO"], by_defect["spot: found"]) == (
        1,
        pytest.approx(1, abs=0.01),
        1,
    )
    assert by_defect["line: ROC AUC"] == pytest.approx((2 + 1) / 6)
    assert by_defect["1 % to 10 %: found"] == 1
    assert by_defect["10 % and more: found"] == 0


def test_without_a_split_half_of_the_normal_parts_are_learnt_from(tmp_path):
    def picture(place, is_anomalous=False):
        return LabelledPicture(f"{place}", tmp_path / f"{place}", None, is_anomalous, part=f"{place // 2}")

    whole = LabelledSet("made", tmp_path, (*map(picture, range(20)), picture(30, True)), {})
    halves = Halves.of(whole)
    assert len(halves.learning) == 10
    assert len({one.part for one in halves.learning}) == 5
    assert {one.name for one in halves.learning}.isdisjoint(one.name for one in halves.testing)
    with pytest.raises(InputError, match=r"got 10, 10 and 0$"):
        Halves.of(replace(whole, pictures=whole.pictures[:-1]))


def test_the_protocol_measures_each_method_on_each_category(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "PRESETS", {"default": methods.PRESETS["default"]})
    monkeypatch.setattr(finding, "MOST_PIXELS", 0)
    monkeypatch.setattr(finding, "LEAST_PLANTED", 1)
    data = write_defects(tmp_path / "data/one")
    (data / "test/spot/001.png").write_text("no picture")
    options = {"resolution": SIDE, "bank": 40, "false_alarm_rate": 0.2, "cache": False, "part": "([0-9]+)"}
    result = PATCHES.run(data.parent, PATCHES.options.of(options), silent)
    names = ["dn2, whole pictures", "PatchCore", "PaDiM", "dn2 --patches, default"]
    assert result.methods == names
    assert [row.item for row in result.unreadable] == ["test/spot/001.png"]
    (of_patchcore, own) = (one for one in result.measurements if one.method in names[1::2])
    assert (of_patchcore.n_reference, of_patchcore.setting) == (24, "one")
    assert "found" not in of_patchcore.figures
    assert own.figures["spot: found"] >= 0
    assert {row.figure for row in result.further_rows} == set(own.figures)
    with pytest.raises(InputError, match="resolution must be a number here"):
        PATCHES.run(data, PATCHES.options.of(options | {"resolution": "full"}), silent)
    with pytest.raises(InputError, match="says nothing of 24 of 24"):
        PATCHES.run(data, PATCHES.options.of(options | {"part": "(x)"}), silent)
    with pytest.raises(InputError, match=r"does not belong to .*, which is one data set"):
        PATCHES.run(data, PATCHES.options.of(options | {"category": "two"}), silent)
