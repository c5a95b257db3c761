"""Data sets laid out as published are read as they are, and what does not fit in them is said."""

import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

import labelled_trees as trees
from dn2.errors import InputError
from dn2.kinds.image.labelled import read_labelled
from dn2.system.interface import use_command_line


def rows(found):
    """Everything that is known of each picture, with the mask's path relative to the data set."""
    return [
        (
            picture.name,
            picture.split,
            picture.is_anomalous,
            picture.kind,
            None if picture.mask is None else picture.mask.path.relative_to(found.folder).as_posix(),
            picture.part,
        )
        for picture in found.pictures
    ]


def test_mvtec_ad(tmp_path, caplog):
    trees.mvtec(tmp_path)
    found = read_labelled(tmp_path)
    assert (found.layout, found.errors, caplog.messages) == ("MVTec AD", {}, [])
    assert rows(found) == [
        ("train/good/000.png", "train", False, None, None, None),
        ("train/good/001.png", "train", False, None, None, None),
        ("test/bent/000.png", "test", True, "bent", "ground_truth/bent/000_mask.png", None),
        ("test/bent/001.png", "test", True, "bent", "ground_truth/bent/001_mask.png", None),
        ("test/cut/000.png", "test", True, "cut", "ground_truth/cut/000_mask.png", None),
        ("test/good/000.png", "test", False, None, None, None),
    ]
    assert (found.pictures[0].item.name, found.pictures[0].item.path.is_file()) == ("train/good/000.png", True)


def test_mvtec_ad_2_has_a_part_for_each_scene(tmp_path, caplog):
    trees.mvtec_2(tmp_path)
    with caplog.at_level(logging.INFO, "dn2"):
        found = read_labelled(tmp_path)
    assert found.layout == "MVTec AD 2"
    bad, masks = "test_public/bad", "test_public/ground_truth/bad"
    assert rows(found) == [
        ("train/good/000_regular.png", "train", False, None, None, "train/good/000"),
        ("validation/good/000_regular.png", "validation", False, None, None, "validation/good/000"),
        *(
            (f"{bad}/003_{light}.png", "test", True, "bad", f"{masks}/003_{light}_mask.png", f"{bad}/003")
            for light in ("regular", "shift_1")
        ),
        ("test_public/good/000_regular.png", "test", False, None, None, "test_public/good/000"),
    ]
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "test_private passed over, which have no labels"
    ]


@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_btech(tmp_path, ending):
    trees.btech(tmp_path, ending)
    found = read_labelled(tmp_path)
    assert found.layout == "BTech"
    assert rows(found)[1:] == [
        ("test/ko/0000.bmp", "test", True, "ko", f"ground_truth/ko/0000.{ending}", None),
        ("test/ok/0000.bmp", "test", False, None, None, None),
    ]


@pytest.mark.parametrize(("folder", "category"), [("..", "candle"), ("..", None), (".", None), ("../candle", None)])
def test_visa(tmp_path, monkeypatch, folder, category):
    trees.visa(tmp_path)
    monkeypatch.chdir(tmp_path / "candle")
    found = read_labelled(folder, category)
    assert found.layout == "VisA"
    assert rows(found) == [
        ("Data/Images/Normal/0000.JPG", "train", False, None, None, None),
        ("Data/Images/Normal/0001.JPG", "test", False, None, None, None),
        ("Data/Images/Anomaly/000.JPG", "test", True, "melt,spot", "Data/Masks/Anomaly/000.png", None),
    ]
    assert found.pictures[2].mask.read().sum() == 1  # whose number is 1


def test_visa_without_its_tables_has_neither_split_nor_kinds(tmp_path):
    trees.visa(tmp_path)
    (tmp_path / "split_csv/1cls.csv").unlink()
    (tmp_path / "candle/image_anno.csv").unlink()
    assert [(split, kind) for _, split, _, kind, *_ in rows(read_labelled(tmp_path))] == [(None, None)] * 3


def test_tables_of_visa_that_do_not_fit_are_said(tmp_path):
    trees.visa(tmp_path)
    table = tmp_path / "split_csv/1cls.csv"
    good = table.read_text()
    table.write_text(good.replace("candle,test,normal", "candle,later,normal"))
    found = read_labelled(tmp_path)
    assert found.errors == {
        "Data/Images/Normal/0001.JPG": "split_csv/1cls.csv must say train or test for each picture, got 'later'"
    }
    table.write_text(good.replace("candle/Data", "wax/Data"))
    with pytest.raises(InputError, match=r"1cls\.csv must name pictures of candle, the name of their folder"):
        read_labelled(tmp_path)
    table.write_text(good.replace("split,", "part,"))
    with pytest.raises(InputError, match=r"1cls\.csv must have the columns image and split, and has no split"):
        read_labelled(tmp_path)


def test_kolektor_sdd_is_labelled_by_its_masks_and_each_folder_is_a_part(tmp_path):
    trees.kolektor(tmp_path)
    (tmp_path / "kos01/Part1_label.bmp").write_bytes(b"BM damaged")
    trees.picture(tmp_path / "kos02/Part7.jpg")
    found = read_labelled(tmp_path)
    assert found.layout == "KolektorSDD"
    assert rows(found) == [
        ("kos01/Part0.jpg", None, False, None, "kos01/Part0_label.bmp", "kos01"),
        ("kos02/Part0.jpg", None, False, None, "kos02/Part0_label.bmp", "kos02"),
        ("kos02/Part1.jpg", None, True, None, "kos02/Part1_label.bmp", "kos02"),
    ]
    assert found.errors["kos01/Part1.jpg"].startswith(f"the mask {tmp_path / 'kos01' / 'Part1_label.bmp'}: ")
    assert found.errors["kos02/Part7.jpg"] == "no mask lies beside it, which alone says whether it has a defect"


def test_kolektor_sdd_2(tmp_path):
    trees.kolektor_2(tmp_path)
    found = read_labelled(tmp_path)
    assert found.layout == "KolektorSDD2"
    assert rows(found) == [
        ("train/10000.png", "train", False, None, "train/10000_GT.png", None),
        ("train/10001.png", "train", True, None, "train/10001_GT.png", None),
        ("test/20000.png", "test", False, None, "test/20000_GT.png", None),
    ]


def test_of_several_categories_one_is_chosen(tmp_path):
    for name in ("bottle", "cable"):
        trees.mvtec(tmp_path / name)
    assert read_labelled(tmp_path, "cable").folder == tmp_path / "cable"
    with pytest.raises(InputError, match=r"categories bottle, cable; choose one, as by category='bottle'$"):
        read_labelled(tmp_path)
    with use_command_line(), pytest.raises(InputError, match=r"as by --category bottle, got '../cable'"):
        read_labelled(tmp_path, "../cable")
    with pytest.raises(InputError, match="which is one data set"):
        read_labelled(tmp_path / "cable", "cable")


def test_plain_folders_find_masks_by_the_path_or_the_name_of_the_picture(tmp_path):
    data, masks = tmp_path / "data", tmp_path / "masks"
    for name in ("normal/a.png", "anomalous/bent/a.png", "anomalous/bent/b.png", "anomalous/c.png", "anomalous/d.png"):
        trees.picture(data / name)
    for name in ("anomalous/bent/a.png", "bent/b_GT.png", "c_mask.bmp", "d_label.png"):
        trees.mask(masks / name)
    found = read_labelled(data, masks=masks)
    assert {
        one.name: (one.kind, one.mask and one.mask.path.relative_to(masks).as_posix()) for one in found.pictures
    } == {
        "normal/a.png": (None, None),
        "anomalous/c.png": (None, "c_mask.bmp"),
        "anomalous/d.png": (None, "d_label.png"),
        "anomalous/bent/a.png": ("bent", "anomalous/bent/a.png"),
        "anomalous/bent/b.png": ("bent", "bent/b_GT.png"),
    }
    os.rename(masks, data / "masks")  # where they are found without being named
    assert sum(one.mask is not None for one in read_labelled(data).pictures) == 4


def test_plain_folders_of_kinds_with_masks_beside_the_pictures(tmp_path):
    trees.picture(tmp_path / "OK/1.png")
    trees.picture(tmp_path / "scratch/1.png")
    trees.mask(tmp_path / "scratch/1_mask.png")
    trees.picture(tmp_path / "scratch/2.png")
    trees.mask(tmp_path / "scratch/2_label.bmp")
    trees.picture(tmp_path / "scratch/other_mask.png")  # of no picture, and so one itself
    assert rows(read_labelled(tmp_path)) == [
        ("OK/1.png", None, False, None, None, None),
        ("scratch/1.png", None, True, "scratch", "scratch/1_mask.png", None),
        ("scratch/2.png", None, True, "scratch", "scratch/2_label.bmp", None),
        ("scratch/other_mask.png", None, True, "scratch", None, None),
    ]


def test_a_mask_is_of_one_picture_and_an_anomalous_one_comes_before_a_normal_one(tmp_path):
    for name in ("normal/0.png", "anomalous/0.png", "anomalous/bent/1.png", "anomalous/cut/1.png", "anomalous/2.png"):
        trees.picture(tmp_path / name)
    for name in ("0.png", "1.png", "2.png", "2.bmp"):
        trees.mask(tmp_path / "masks" / name)
    found = read_labelled(tmp_path)
    assert [row[4] for row in rows(found)] == [None, "masks/0.png"]
    assert set(found.errors) == {"anomalous/2.png", "anomalous/bent/1.png", "anomalous/cut/1.png"}
    assert "would be of 2" in found.errors["anomalous/cut/1.png"]
    assert "a picture has one mask, got" in found.errors["anomalous/2.png"]


def test_a_picture_that_a_link_makes_normal_and_anomalous_is_neither(tmp_path):
    for name in ("normal/1.png", "normal/2.png", "anomalous/3.png"):
        trees.picture(tmp_path / name)
    os.symlink(tmp_path / "normal/1.png", tmp_path / "anomalous/1.png")
    found = read_labelled(tmp_path)
    assert [one.name for one in found.pictures] == ["normal/2.png", "anomalous/3.png"]
    assert set(found.errors) == {"normal/1.png", "anomalous/1.png"}
    assert f"{os.path.realpath(tmp_path)}/normal/1.png would be both" in found.errors["anomalous/1.png"]


def test_missing_and_unused_masks_are_said(tmp_path, caplog):
    trees.mvtec(tmp_path)
    os.rename(tmp_path / "ground_truth/bent/001_mask.png", tmp_path / "ground_truth/bent/002_mask.png")
    read_labelled(tmp_path)
    assert caplog.messages == [
        f"{tmp_path}: 1 anomalous picture has no mask, such as test/bent/001.png",
        f"{tmp_path}: 1 mask belongs to no picture, such as {tmp_path / 'ground_truth' / 'bent' / '002_mask.png'}",
    ]


def test_pictures_of_a_split_that_lie_in_no_folder_of_a_kind_are_said(tmp_path):
    trees.mvtec(tmp_path)
    trees.picture(tmp_path / "train/7.png")
    assert read_labelled(tmp_path).errors == {
        "train/7.png": "it must lie in the folder of a kind, as good, and lies beside them"
    }


def test_a_folder_of_no_known_layout_is_refused_with_what_it_holds(tmp_path):
    (tmp_path / "stuff").mkdir()
    with pytest.raises(InputError, match=r"must be laid out as .*normal/ and anomalous/.* it holds the folders stuff"):
        read_labelled(tmp_path)
    with pytest.raises(InputError, match="it holds no folder"):
        read_labelled(tmp_path / "stuff")
    with pytest.raises(InputError, match=r"x\.png, read as manifest of Lookout for Vision, must"):
        read_labelled(trees.picture(tmp_path / "x.png"))
    with pytest.raises(InputError, match="nothing is there"):
        read_labelled(tmp_path / "lost")
    for name in ("normal", "anomalous"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="must hold pictures that can be used; it has none"):
        read_labelled(tmp_path)


def test_options_that_do_not_belong_are_refused(tmp_path):
    trees.kolektor(tmp_path)
    with pytest.raises(InputError, match=r"^masks does not belong to .*, which has masks of its own; leave it out"):
        read_labelled(tmp_path, masks=tmp_path)
    with pytest.raises(InputError, match="images does not belong to a folder"):
        read_labelled(tmp_path, images=tmp_path)
    with pytest.raises(InputError, match="masks names a folder of masks, got"):
        read_labelled(tmp_path, masks=tmp_path / "lost")


def test_magnetic_tiles_as_plain_folders(tmp_path):
    archive = Path(os.environ.get("DN2_DATA", "../shared/data")) / "magnetic_tile/magnetic_tile.zip"
    if not archive.exists():
        pytest.skip(f"no {archive}")
    with zipfile.ZipFile(archive) as tiles:
        names = [name for name in tiles.namelist() if name.startswith("images/")]
        free, blowholes = ([name for name in names if kind in name][:30] for kind in ("MT_Free", "MT_Blowhole"))
        for name in free + blowholes:
            kind = "normal" if "MT_Free" in name else "anomalous/blowhole"
            for folder, member in ((kind, name), ("masks", name.replace("images", "masks").replace("jpg", "png"))):
                target = tmp_path / folder / Path(member).name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tiles.read(member))
    found = read_labelled(tmp_path)
    assert not found.errors
    for one in found.pictures:
        assert one.mask.read().any() == one.is_anomalous
    shares = [one.mask.read().mean() for one in found.pictures if one.is_anomalous]
    assert 0.0005 < np.median(shares) < 0.02  # blowholes are small: more than half of white is a defect
