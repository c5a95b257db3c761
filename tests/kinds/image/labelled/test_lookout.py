"""Manifests of Amazon Lookout for Vision are read from a local copy, and lead nowhere else."""

import json

import numpy as np
import pytest
from PIL import Image

import labelled_trees as trees
from dn2.errors import InputError
from dn2.kinds.image.labelled import read_labelled

COLORS = {
    "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 0.0},
    "1": {"class-name": "scratch", "hex-color": "#2ca02c", "confidence": 0.0},
    "2": {"class-name": "dent", "hex-color": "#1f77b4", "confidence": 0.0},
}


def line(source="s3://bucket/line 3/anomaly/a.png", name="anomaly", mask=None, label="anomaly-label", **others):
    """A line as the developer guide shows it, but for the number, which is not used."""
    record = {"source-ref": source, label: 0, f"{label}-metadata": {"class-name": name, "confidence": 1}}
    if mask is not None:
        record |= {"anomaly-mask-ref": mask, "anomaly-mask-ref-metadata": {"internal-color-map": COLORS}}
    return record | others


@pytest.fixture
def images(tmp_path):
    for name in ("anomaly/a.png", "anomaly/b.png", "normal/a.png"):
        trees.picture(tmp_path / "copy" / name)
    for name, color in (("a", (0x2C, 0xA0, 0x2C)), ("b", (0x1F, 0x77, 0xB4))):
        mask = np.full((4, 6, 3), 255, np.uint8)
        mask[1, 2] = color
        (tmp_path / "copy/masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / f"copy/masks/{name}.png")
    return tmp_path / "copy"


def manifest(images, *lines):
    path = images.parent / "train.manifest"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
    return path


def test_a_manifest_is_read_from_the_local_copy(images):
    path = manifest(
        images,
        line(mask="s3://bucket/line 3/masks/a.png"),
        line("s3://bucket/line 3/anomaly/b.png", mask="s3://other/masks/b.png"),
        "",
        line("s3://bucket/line 3/normal/a.png", "normal", label="my-job"),
    )
    found = read_labelled(path, images=images)
    assert found.layout == "manifest of Lookout for Vision"
    assert found.errors == {}
    assert [(one.name, one.is_anomalous, one.kind, one.split) for one in found.pictures] == [
        ("anomaly/a.png", True, "scratch", None),
        ("anomaly/b.png", True, "dent", None),
        ("normal/a.png", False, None, None),
    ]
    assert [one.mask and np.argwhere(one.mask.read((6, 4))).tolist() for one in found.pictures] == [
        [[1, 2]],
        [[1, 2]],
        None,
    ]


def test_the_longest_end_of_a_key_is_taken(images):
    trees.picture(images / "a.png")
    trees.picture(images / "line 3/anomaly/a.png")
    found = read_labelled(manifest(images, line()), images=images)
    assert [one.name for one in found.pictures] == ["line 3/anomaly/a.png"]


def test_a_manifest_beside_its_pictures_needs_no_folder(images):
    path = manifest(images, line())
    path.rename(images / "train.jsonl")
    assert [one.name for one in read_labelled(images / "train.jsonl").pictures] == ["anomaly/a.png"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("{", "it is no JSON"),
        ("[1]", "a line is an object with source-ref, got list"),
        ("[" * 100_000, "it is no JSON"),
        (line("s3://bucket/../normal/a.png"), "must lead to a file below the folder"),
        (line("s3://bucket//etc/passwd"), "must lead to a file below the folder"),
        (line("s3://bucket/normal/\0.png"), "must lead to a file below the folder"),
        (line("s3://bucket/normal/\ud800.png"), "must lead to a file below the folder"),
        (line("s3://bucket/normal/\udc80.png"), "no end of the key"),
        (line("s3://bucket/"), "must lead to a file below the folder"),
        (line("/etc/passwd"), "must be an address such as s3://BUCKET/KEY, got '/etc/passwd'"),
        (line("https://example.org/a.png"), "must be an address such as"),
        (line(None), "must be an address such as s3://BUCKET/KEY, got None"),
        (line("s3://bucket/normal/lost.png"), "no end of the key 'normal/lost.png' is a file in"),
        (line("s3://bucket/" + "a/" * 600 + "a.png"), "at most 1,024 bytes"),
        (line("s3://bucket/other/anomaly/b.png"), "line 1 leads to"),
        (line("s3://bucket/normal/a.png", "defect"), "must be normal or anomaly, got 'defect'"),
        (line("s3://bucket/normal/a.png", ["normal"]), "must be normal or anomaly, got"),
        ({"source-ref": "s3://b/normal/a.png"}, "has one label with metadata, such as anomaly-label-metadata, got 0"),
        (line("s3://b/normal/a.png", mask="s3://b/../masks/a.png"), "anomaly-mask-ref must lead to a file below"),
        (line("s3://b/normal/a.png", mask=5), "anomaly-mask-ref must be an address"),
        (line("s3://b/normal/a.png") | {"x-ref": "s3://b/masks/a.png"}, "internal-color-map in x-ref-metadata"),
        (line("s3://b/normal/a.png", mask="s3://b/normal/a.png"), "every colour must be in its colour map"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_the_others_are_read(images, wrong, words, caplog):
    good = line("s3://bucket/line 3/anomaly/b.png")
    found = read_labelled(manifest(images, good, wrong), images=images)
    if "every colour" in words:  # is found when the mask is read
        with pytest.raises(Exception, match=words):
            found.pictures[1].mask.read()
        return
    assert [one.name for one in found.pictures] == ["anomaly/b.png"]
    assert words in found.errors["line 2"]
    assert "1 picture is left out; of the first, line 2: " in caplog.text


def test_a_manifest_without_a_line_that_can_be_used_is_refused(images):
    with pytest.raises(InputError, match="must hold pictures that can be used; of the first, line 1: it is no JSON"):
        read_labelled(manifest(images, "nothing"), images=images)
    with pytest.raises(InputError, match=r"images names the folder of the pictures in .*, got .*lost, which is none"):
        read_labelled(manifest(images, line()), images=images / "lost")
    with pytest.raises(InputError, match="category does not belong to the manifest"):
        read_labelled(manifest(images, line()), "bottle", images=images)
