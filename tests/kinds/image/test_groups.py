"""A model of groups: each subfolder is one item."""

from __future__ import annotations

import hashlib
import io
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dn2
import naive
from dn2 import InputError, Model
from dn2.kinds.image.pooling import Pooling
from small_models import lots, networks_once, own_cache, places_of, saved_lots, world, write_digits

__all__ = ["lots", "networks_once", "own_cache", "saved_lots", "world"]  # fixtures

BROKEN = "not a picture in a format that dn2 reads (JPEG, PNG, BMP, TIFF, WebP, GIF, JPEG 2000, AVIF, PBM, PGM, PPM)"


@pytest.fixture
def model(saved_lots: Path) -> Model:
    return dn2.load(saved_lots)


@pytest.fixture(scope="session")
def tiny(world: Path) -> str:
    return str(world / "tiny.onnx")


@pytest.fixture
def incoming(lots: Path, tmp_path: Path) -> Path:
    """A copy of all groups that are not in the model, to be changed."""
    shutil.copytree(lots / "new", tmp_path / "incoming")
    shutil.copytree(lots / "bad", tmp_path / "incoming", dirs_exist_ok=True)
    return tmp_path / "incoming"


def pooled(model: Model, folder: Path) -> tuple[list[np.ndarray], list[float]]:
    """Embed the pictures of a group by themselves: the rows of length 1, and their mean."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [row / np.sqrt((row**2).sum()) for row in model.embedder.transform(files).astype(np.float64)]
    return rows, naive.mean_row(rows)


def reference(model: Model, lots: Path) -> list[list[float]]:
    return [pooled(model, lots / "good" / item.name)[1] for item in model.items]


@pytest.mark.parametrize("error", [MemoryError, partial(ValueError, "no")])
def test_a_group_that_cannot_be_pooled_is_that_groups_error(
    model: Model, incoming: Path, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    pool, groups = Pooling.pool, []

    def fails_for_the_third(self: Pooling, members: np.ndarray) -> np.ndarray:
        groups.append(members)
        if len(groups) == 3:
            raise error()
        return pool(self, members)

    monkeypatch.setattr(Pooling, "pool", fails_for_the_third)
    rows = model.score(incoming).rows
    said = "its pictures cannot be pooled: no" if str(error()) else "its pictures cannot be pooled: MemoryError"
    assert [row.error for row in rows] == [said if place == 2 else None for place in range(len(rows))]


# What a group is


def test_a_group_is_the_mean_of_its_normalized_pictures(model: Model, lots: Path) -> None:
    assert [item.name for item in model.items] == [f"lot-{number:02}" for number in range(24)]
    np.testing.assert_allclose(np.concatenate(model.detector.blocks), reference(model, lots), atol=1e-6)
    assert model.detector.steps.normalize.method == "none"
    assert model.describe()["groups"] == {"pooling": "mean", "members": "unit"}


def test_a_group_has_a_digest_of_its_pictures_and_a_sheet_of_their_thumbnails(model: Model, lots: Path) -> None:
    for item, thumbnail in zip(model.items, model.kind.thumbnails, strict=True):
        assert item.path == str(lots / "good" / item.name)
        digests = sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in Path(item.path).iterdir())
        assert item.sha256 == hashlib.sha256("".join(digests).encode()).hexdigest()
        assert Image.open(io.BytesIO(thumbnail)).size == (192, 192)


def test_scores_and_p_values_are_those_of_the_means(model: Model, lots: Path) -> None:
    rows = reference(model, lots)
    calibration = naive.leave_one_out_scores(rows, 2)
    result = model.score([lots / "new", lots / "bad"])
    assert [row.item for row in result] == [f"new/new-{n}" for n in range(4)] + [f"bad/bad-{n}" for n in range(3)]
    for row in result:
        near = naive.nearest(pooled(model, lots / row.item)[1], rows, 2)
        assert row.anomaly_score == pytest.approx(sum(distance for distance, _ in near) / 2, rel=1e-4)
        assert [one.item for one in row.neighbors] == [f"lot-{place:02}" for _, place in near]
        assert row.p_value == pytest.approx(float(naive.p_value(row.anomaly_score, calibration)), abs=1e-12)
    assert [row.is_anomaly for row in result][4:] == [True] * 3


def test_shares_of_members_are_their_contributions(model: Model, lots: Path) -> None:
    for row in model.score([lots / "new", lots / "bad"]):
        members, _ = pooled(model, lots / row.item)
        near = [pooled(model, lots / "good" / one.item)[1] for one in row.neighbors]
        parts = naive.contributions(members, near)
        assert sum(parts) == pytest.approx(row.anomaly_score, rel=1e-4)
        files = sorted(path for path in (lots / row.item).rglob("*") if path.is_file())
        names = [path.relative_to(lots / row.item).as_posix() for path in files]
        expected = sorted(zip(names, parts, strict=True), key=lambda pair: -pair[1])
        assert [one.item for one in row.members] == [name for name, _ in expected]
        shares = [part / sum(parts) for _, part in expected]
        assert [one.share for one in row.members] == pytest.approx(shares, rel=1e-3, abs=1e-4)
        assert sum(one.share for one in row.members) == pytest.approx(1, abs=1e-6)


def test_the_pictures_of_another_kind_are_named_first(model: Model, lots: Path) -> None:
    for row in model.score(lots / "bad"):
        assert [one.item.split("/")[0] for one in row.members] == ["night"] * 3 + ["day"] * 2


def test_of_many_members_ten_are_named(model: Model, tmp_path: Path) -> None:
    write_digits(tmp_path / "in" / "many", places_of(4)[:25])
    (row,) = model.score(tmp_path / "in")
    assert len(row.members) == 10
    assert 0.2 < sum(one.share for one in row.members) < 1
    shares = [one.share for one in row.members]
    assert shares == sorted(shares, reverse=True)


def test_a_reference_group_lies_at_distance_0_and_its_members_have_no_share_in_nothing(
    lots: Path, tiny: str, tmp_path: Path
) -> None:
    model = dn2.fit(lots / "good", backbone=tiny, groups=True, neighbors=1)
    shutil.copytree(lots / "good", tmp_path / "in")
    for number, row in enumerate(model.score(tmp_path / "in")):
        assert (row.neighbors[0].item, row.neighbors[0].distance) == (f"lot-{number:02}", 0)
        assert {one.share for one in row.members} == {0}
    # The same pictures in another order are the same up to a rounding.
    for group in (tmp_path / "in").iterdir():
        files = sorted(group.iterdir())
        names = [file.name for file in files]
        random.Random(0).shuffle(names)
        for file, name in zip(files, names, strict=True):
            file.rename(group / f"x-{name}")
    for number, row in enumerate(model.score(tmp_path / "in")):
        assert row.neighbors[0].item == f"lot-{number:02}"
        assert row.neighbors[0].distance < 1e-6
        assert {one.share for one in row.members} == {0}


def test_the_order_of_the_pictures_does_not_matter(model: Model, incoming: Path) -> None:
    before = model.score(incoming).rows
    for group in incoming.iterdir():
        for number, file in enumerate(sorted((path for path in group.rglob("*.png")), reverse=True)):
            file.rename(group / f"{number}.png")
    for row, again in zip(before, model.score(incoming), strict=True):
        assert again.anomaly_score == pytest.approx(row.anomaly_score, rel=1e-5)
        assert [one.item for one in again.neighbors] == [one.item for one in row.neighbors]
        assert sorted(one.share for one in again.members) == pytest.approx(
            sorted(one.share for one in row.members), rel=1e-3, abs=1e-3
        )


def test_a_group_of_one_picture_scores_as_the_picture(model: Model, lots: Path, tmp_path: Path) -> None:
    write_digits(tmp_path / "in" / "one", places_of(4)[:1])
    (row,) = model.score(tmp_path / "in")
    _, vector = pooled(model, tmp_path / "in" / "one")
    expected = naive.mean_squared_distance(vector, reference(model, lots), 2)
    assert row.anomaly_score == pytest.approx(expected, rel=1e-4)
    assert [one.share for one in row.members] == [1]


def test_groups_beyond_one_batch_are_scored_like_the_others(
    model: Model, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = model.score(incoming).rows
    for size in (1, 6, 7):
        monkeypatch.setattr("dn2.kinds.image.kind.ImageKind.queries_at_once", size)
        assert model.score(incoming).rows == expected


def test_progress_counts_groups(model: Model, incoming: Path) -> None:
    calls: list[tuple[int, int]] = []
    model.score(incoming, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 7) for done in range(1, 8)]


# What cannot be read


def test_a_picture_that_cannot_be_read_does_not_lose_its_group(model: Model, incoming: Path) -> None:
    expected = model.score(incoming).rows
    (incoming / "new-1" / "0.png").write_text("no picture")
    (incoming / "new-1" / "zz.png").touch()
    result = model.score(incoming)
    for row, before in zip(result, expected, strict=True):
        if row.item != "new-1":
            assert row == before
            continue
        assert (row.anomaly_score, row.p_value, row.neighbors) == (
            before.anomaly_score,
            before.p_value,
            before.neighbors,
        )
        assert row.members[:-2] == before.members
        assert [(one.item, one.share, one.error) for one in row.members[-2:]] == [
            ("0.png", None, BROKEN),
            ("zz.png", None, "the file is empty (0 bytes)"),
        ]
    assert result.errors == []
    assert [(row.item, row.error) for row in result.unreadable] == [
        ("new-1/0.png", BROKEN),
        ("new-1/zz.png", "the file is empty (0 bytes)"),
    ]


def test_a_group_without_one_readable_picture_comes_with_an_error(model: Model, incoming: Path) -> None:
    (incoming / "empty").mkdir()
    (incoming / "new-1x").mkdir()
    for name in ("a.png", "b.png"):
        (incoming / "new-1x" / name).write_text("no picture")
    result = model.score(incoming)
    rows = {row.item: row for row in result}
    assert list(rows) == sorted(path.name for path in incoming.iterdir())
    assert (rows["empty"].error, rows["empty"].members) == ("a group without pictures", ())
    assert rows["new-1x"].error == "none of its 2 pictures can be read"
    assert [(one.item, one.error) for one in rows["new-1x"].members] == [("a.png", BROKEN), ("b.png", BROKEN)]
    assert [row.item for row in result.errors] == ["empty", "new-1x"]
    assert [row.item for row in result.unreadable] == ["empty", "new-1x", "new-1x/a.png", "new-1x/b.png"]
    assert all(row.p_value is not None for row in result if row.error is None)


def test_such_groups_are_left_out_of_a_fit_and_listed(lots: Path, tiny: str, tmp_path: Path) -> None:
    shutil.copytree(lots / "good", tmp_path / "in")
    (tmp_path / "in" / "empty").mkdir()
    (tmp_path / "in" / "lot-03" / "bad.png").write_text("no picture")
    (tmp_path / "in" / "unreadable").mkdir()
    (tmp_path / "in" / "unreadable" / "a.png").write_text("no picture")
    model = dn2.fit(tmp_path / "in", backbone=tiny, groups=True, normalize="unit")
    assert [row.item for row in model.unreadable] == ["empty", "lot-03/bad.png", "unreadable", "unreadable/a.png"]
    assert [item.name for item in model.items] == [f"lot-{number:02}" for number in range(24)]
    whole = dn2.fit(lots / "good", backbone=tiny, groups=True, normalize="unit")
    assert model.score(lots / "bad").rows == whole.score(lots / "bad").rows


def test_where_no_picture_of_any_group_can_be_read_it_is_refused(tiny: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
    with pytest.raises(InputError, match="none of the 2 items can be read; 'a': a group without pictures"):
        dn2.fit(tmp_path / "in", backbone=tiny, groups=True)


# A reference set of groups that changes, is saved, is measured


def test_groups_added_and_removed_change_no_bit(model: Model, lots: Path, incoming: Path) -> None:
    expected = model.score(lots / "bad").rows
    model.add(lots / "new")
    assert [item.name for item in model.items[24:]] == [f"new-{number}" for number in range(4)]
    assert [row.neighbors[0].distance for row in model.score(lots / "new")] == [0] * 4
    with pytest.raises(InputError, match="has an item 'new-0' already"):
        model.add(incoming)
    model.remove([f"new-{number}" for number in range(4)])
    assert model.score(lots / "bad").rows == expected
    (incoming / "new-2" / "x.png").write_text("no picture")
    assert [row.item for row in model.add(incoming).unreadable] == ["new-2/x.png"]


def test_a_saved_and_loaded_model_of_groups_is_the_same(model: Model, lots: Path, tiny: str) -> None:
    made = dn2.fit(lots / "good", backbone=tiny, groups=True, normalize="unit")
    assert made.describe() == model.describe()
    assert made.score(lots / "bad").rows == model.score(lots / "bad").rows
    assert made.kind.pooling == model.kind.pooling == Pooling("unit", "mean")


def test_groups_are_measured_like_items(model: Model, lots: Path) -> None:
    evaluation, unreadable = model.evaluate(lots / "new", lots / "bad")
    assert (evaluation.n_normal, evaluation.n_anomalous, evaluation.roc_auc) == (4, 3, 1.0)
    assert unreadable == []


def test_a_broken_picture_of_a_measured_group_is_listed(model: Model, incoming: Path, lots: Path) -> None:
    (incoming / "new-2" / "x.png").write_text("no picture")
    _, unreadable = model.evaluate(incoming, lots / "bad")
    assert [row.item for row in unreadable] == ["new-2/x.png"]


def test_a_model_of_groups_is_not_shown_loose_pictures(model: Model, lots: Path) -> None:
    for inputs in (lots / "good" / "lot-05", [lots / "good" / "lot-05"]):
        with pytest.raises(InputError, match=r"no group found in .*lot-05.*: each subfolder is one"):
            model.score(inputs)
    with pytest.raises(InputError, match=r"groups are the subfolders of a folder, got .* not a folder"):
        model.score(next((lots / "good" / "lot-05").iterdir()))


def test_a_model_of_pictures_takes_the_pictures_of_groups_one_by_one(world: Path, lots: Path, tiny: str) -> None:
    model = dn2.fit(world / "normal", backbone=tiny)
    result = model.score(lots / "bad")
    assert len(result) == 15
    assert {row.members for row in result} == {None}


# Groups together with what is learnt


def test_groups_are_not_whitened(lots: Path, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="groups are not whitened: leave out whiten, or groups"):
        dn2.fit(lots / "good", backbone=tiny, groups=True, whiten=True)
    monkeypatch.setattr("dn2.kinds.image.presets.WHITEN_FROM", 10)
    assert not dn2.fit(lots / "good", backbone=tiny, groups=True, preset="accurate").detector.steps.whiten


def test_features_that_are_not_negative_are_pooled_by_their_geometric_mean(
    lots: Path, tiny: str, tmp_path: Path
) -> None:
    model = dn2.fit(lots / "good", backbone=tiny, groups=True, normalize="root-unit", neighbors=2)
    assert model.describe()["groups"] == {"pooling": "geometric", "members": "root-unit"}
    model.save(tmp_path / "m.dn2")
    assert dn2.load(tmp_path / "m.dn2").kind.pooling == model.kind.pooling

    def members(folder: Path) -> np.ndarray:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        rows = model.embedder.transform(files).astype(np.float64)
        return np.sqrt(rows / rows.sum(axis=1, keepdims=True))

    for row in dn2.load(tmp_path / "m.dn2").score([lots / "bad", lots / "new"]):
        near = [naive.geometric_mean_row(members(lots / "good" / one.item)) for one in row.neighbors]
        parts = naive.geometric_contributions(members(lots / row.item), near)
        assert sum(parts) == pytest.approx(row.anomaly_score, rel=1e-3)
        shares = sorted((part / sum(parts) for part in parts), reverse=True)
        assert [one.share for one in row.members] == pytest.approx(shares, rel=1e-2, abs=1e-3)


def test_of_a_contaminated_set_of_groups_the_wrong_ones_stand_aside(lots: Path, tiny: str, tmp_path: Path) -> None:
    shutil.copytree(lots / "good", tmp_path / "in")
    shutil.copytree(lots / "bad", tmp_path / "in", dirs_exist_ok=True)
    model = dn2.fit(
        tmp_path / "in",
        backbone=tiny,
        groups=True,
        normalize="unit",
        contaminated=True,
        drop=0.25,
        first_neighbors=2,
        neighbors=2,
    )
    assert {"bad-0", "bad-1", "bad-2"} <= set(model.set_aside)
    model.readmit("bad-1")
    assert "bad-1" not in model.set_aside
    rows = {row.item: row for row in model.score(lots / "bad")}
    assert rows["bad-1"].neighbors[0].distance == 0


def test_with_centroids_the_shares_are_those_of_the_distance_to_the_centroid(lots: Path, tiny: str) -> None:
    model = dn2.fit(lots / "good", backbone=tiny, groups=True, normalize="unit", index="kmeans:3")
    centroids = model.detector.learnt.search.means
    for row in model.score([lots / "bad", lots / "new"]):
        members, mean = pooled(model, lots / row.item)
        (distance, place), *_ = naive.nearest(mean, centroids, 1)
        parts = naive.contributions(members, [centroids[place]])
        assert row.anomaly_score == pytest.approx(distance, rel=1e-4)
        assert sum(parts) == pytest.approx(distance, rel=1e-6)
        shares = sorted((part / sum(parts) for part in parts), reverse=True)
        assert [one.share for one in row.members] == pytest.approx(shares, rel=1e-3, abs=1e-4)
