"""Pictures from memory: every form goes the way of a file of the same pixels."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import dn2
from dn2.errors import InputError
from dn2.networks import decoding, limits

N = 12


def as_bytes(path: Path) -> bytes:
    return path.read_bytes()


def as_array(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


FORMS: dict[str, Callable[[Path], Any]] = {
    "path": str,
    "bytes": as_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "pillow": Image.open,
    "array": as_array,
    "one channel": lambda path: as_array(path)[:, :, None],
    "not contiguous": lambda path: np.asfortranarray(as_array(path)),
}


def encoded(picture: Image.Image, fmt: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, fmt, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def paths(world: Path) -> list[Path]:
    return sorted((world / "normal").iterdir())


@pytest.fixture(scope="module")
def model(world: Path, paths: list[Path]) -> dn2.Model:
    return dn2.fit(paths, backbone=str(world / "tiny.onnx"), cache=False)


@given(st.lists(st.tuples(st.integers(0, N - 1), st.sampled_from(sorted(FORMS))), min_size=1, max_size=N))
def test_any_mixture_of_forms_scores_as_the_files_do(
    model: dn2.Model, paths: list[Path], chosen: list[tuple[int, str]]
) -> None:
    seen: set[int] = set()  # of paths, which are one item when they are given twice
    chosen = [
        (place, form)
        for place, form in chosen
        if form != "path" or not (place in seen or seen.add(place))  # type: ignore[func-returns-value]
    ]
    results = model.score([FORMS[form](paths[place]) for place, form in chosen])
    expected = {Path(row.item): row for row in model.score(paths[:N])}
    for row, (place, _) in zip(results, chosen, strict=True):
        known = expected[paths[place]]
        assert (row.anomaly_score, row.p_value, row.neighbors) == (known.anomaly_score, known.p_value, known.neighbors)


def test_items_are_named_by_position_by_key_or_as_they_are_told(model: dn2.Model, paths: list[Path]) -> None:
    arrays = [as_array(path) for path in paths[:2]]
    assert [row.item for row in model.score(arrays)] == ["picture 1", "picture 2"]
    assert [row.item for row in model.score([arrays[0], str(paths[1])])] == ["picture 1", str(paths[1])]
    assert [row.item for row in model.score({"left": arrays[0], 7: arrays[1]})] == ["left", "7"]
    assert [row.item for row in model.score(arrays, names=("a", "b"))] == ["a", "b"]
    assert [row.item for row in model.score(arrays[0], names=["a"])] == ["a"]
    assert [row.item for row in model.score(iter(arrays))] == ["picture 1", "picture 2"]


def test_an_array_of_four_dimensions_is_n_pictures(model: dn2.Model, paths: list[Path]) -> None:
    stack = np.stack([np.stack([as_array(path)] * 3, axis=2) for path in paths[:3]])
    assert stack.shape == (3, 32, 32, 3)
    alone = [row.anomaly_score for row in model.score(paths[:3])]
    assert [row.anomaly_score for row in model.score(stack)] == alone
    assert model.score(stack[0]).rows[0].anomaly_score == alone[0]


def test_a_picture_with_transparency_and_one_on_its_side_are_seen_as_in_a_file(
    model: dn2.Model, tmp_path: Path, world: Path
) -> None:
    rng = np.random.default_rng(0)
    clear = Image.fromarray(rng.integers(0, 256, (20, 30, 4), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)), exif=exif)
    for data in (encoded(clear), turned):
        (tmp_path / "a.png").write_bytes(data)
        expected = model.score([tmp_path / "a.png"]).rows[0].anomaly_score
        forms = [data, Image.open(io.BytesIO(data)), *([np.asarray(clear)] if data is not turned else [])]
        assert {row.anomaly_score for row in model.score(forms)} == {expected}
    before = Image.open(io.BytesIO(turned))
    model.score([before])
    assert before.size == (30, 20)
    assert before.getexif()[0x0112] == 6  # the user's own picture stays as it is


U8 = np.zeros((8, 8), np.uint8)
BAD: dict[str, tuple[Any, str]] = {
    "floats to 1": (U8 + 0.5, r"uint8, got float64 from 0.5 to 0.5; give \(255 \* picture\).round"),
    "floats to 255": (U8 + 200.0, r"got float64 from 200 to 200; give picture.round\(\).astype\('uint8'\)"),
    "16 bits": (U8.astype(np.uint16) + 4095, r"got uint16 from 4095 to 4095; give numpy.interp\(picture, \(black"),
    "int64": (U8.astype(int), r"got int64 from 0 to 0; give picture.astype\('uint8'\)"),
    "truth values": (U8 == 0, r"got bool; give 255 \* picture.astype"),
    "NaN": (U8 + np.nan, "got float64 with NaN or infinity in it; give these pixels a number first"),
    "texts": (np.full((8, 8), "a", object), "got object; make it numbers"),
    "no pixels": (U8[:0], r"at least one pixel, got an array of shape \(0, 8\)"),
    "no size": (Image.new("L", (0, 4)), "at least one pixel, got 0 x 4"),
    "one dimension": (U8[0], r"of shape \(height, width\), .*, got \(8,\)"),
    "two channels": (np.zeros((8, 8, 2), np.uint8), r"got \(8, 8, 2\); several are a list"),
    "Pillow's NaN": (Image.fromarray(np.full((4, 4), np.nan, np.float32)), "must hold values from 0 to 1"),
    "no picture": (b"hello there", "not a picture in a format that dn2 reads"),
    "nothing": (b"", r"is empty \(0 bytes\)"),
    "truncated": (encoded(Image.effect_noise((50, 50), 99))[:900], "damaged picture"),
    "None": (None, "a picture is a path, the bytes of a file, a picture of Pillow or an array of uint8, got NoneType"),
    "a number": (3, "got int"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_picture_that_cannot_be_read_is_a_row_with_its_error(model: dn2.Model, paths: list[Path], name: str) -> None:
    bad, why = BAD[name]
    results = model.score([as_array(paths[0]), bad, as_array(paths[1])])
    assert [row.error is None for row in results] == [True, False, True]
    assert re.search(why, results[1].error or "")
    if name != "a number":
        with pytest.raises(dn2.UnreadableItem, match=why):
            model.score_one(bad)


def test_pictures_in_memory_are_as_large_as_files_may_be(model: dn2.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PIXELS", 1_000)
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 50)
    large = np.zeros((40, 30), np.uint8)
    errors = [row.error for row in model.score([large, Image.fromarray(large), encoded(Image.fromarray(large))])]
    assert errors[:2] == ["30 x 40 pixels exceed the limit of 1,000"] * 2
    assert "more than the limit of 50" in errors[2]
    monkeypatch.setattr(limits, "MAX_SIDE", 35)
    assert "a side" in model.score([large[:1].repeat(20, axis=1)[:, :36]]).rows[0].error


@pytest.mark.parametrize(
    ("inputs", "options", "why"),
    [
        ([U8, U8], {"names": ["a"]}, "there are 2 items, got 1 names"),
        ([U8, U8], {"names": ["a", "a"]}, "names of items must differ, got 'a' twice"),
        ([U8, U8], {"names": "ab"}, "must be a list of texts"),
        ([U8, U8], {"names": ["a", 3]}, "must be texts that are not empty, got 3"),
        ({}, {}, "the dict is empty"),
        ({"a": "x.png"}, {}, "'x.png' is named by its path: give a list"),
        ([], {}, "no input given"),
    ],
)
def test_names_that_do_not_fit_are_refused(model: dn2.Model, inputs: Any, options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        model.score(inputs, **options)


def test_files_are_named_by_their_paths(model: dn2.Model, paths: list[Path]) -> None:
    with pytest.raises(InputError, match="names= is for items from memory"):
        model.score([str(paths[0]), U8], names=["a", "b"])
    with pytest.raises(InputError, match="names= is for items from memory"):
        dn2.fit(paths, names=[path.name for path in paths], cache=False)


def test_a_model_of_pictures_from_memory_is_that_of_their_files(
    model: dn2.Model, world: Path, paths: list[Path], tmp_path: Path
) -> None:
    made = dn2.fit([as_array(path) for path in paths], backbone=str(world / "tiny.onnx"), cache=False)
    assert [(item.name, item.path) for item in made.items[:2]] == [("picture 1", ""), ("picture 2", "")]
    pixels = as_array(paths[0])
    assert made.items[0].sha256 == hashlib.sha256(b"(32, 32) " + pixels.tobytes()).hexdigest()
    assert np.array_equal(made.calibration.scores, model.calibration.scores)
    queries = sorted((world / "other").iterdir())
    scores = [row.anomaly_score for row in model.score(queries)]
    assert [row.anomaly_score for row in made.score(queries)] == scores
    # add, remove, save and load
    made.add([queries[0].read_bytes()], names=["new"])
    assert made.items[-1][:2] == ("new", "")
    assert made.items[-1].sha256 == hashlib.sha256(queries[0].read_bytes()).hexdigest()
    with pytest.raises(InputError, match="has an item 'picture 1' already"):
        made.add(pixels)
    made.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2", cache=False)
    assert again.score([as_array(queries[1])]).rows == made.score([as_array(queries[1])]).rows
    assert [row.anomaly_score for row in again.remove("new").score(queries)] == scores


def test_reference_items_are_known_again_by_their_bytes_or_pixels(model: dn2.Model, paths: list[Path]) -> None:
    assert model.score([path.read_bytes() for path in paths[:4]]).reference_items == 4
    assert model.score([as_array(path) for path in paths[:4]]).reference_items == 4  # at distance 0


def test_a_page_shows_pictures_from_memory_after_their_arrays_are_gone(
    model: dn2.Model, paths: list[Path], tmp_path: Path
) -> None:
    results = model.score([as_array(paths[0]), paths[1].read_bytes(), str(paths[2]), U8 * 1.0])
    kept = results.context.files
    assert [type(item.content) for item in kept] == [bytes, bytes, type(None), type(None)]
    assert all(Image.open(io.BytesIO(item.content)).format == "JPEG" for item in kept[:2])
    results.to_html(tmp_path / "page.html")
    found = model.kind.pictures(kept, model, None).of_items([row.item for row in results])
    assert sorted(found) == sorted(["picture 1", "picture 2", str(paths[2])])
    copied = pickle.loads(pickle.dumps(results))  # noqa: S301  which was made here
    assert copied.rows == results.rows


def test_a_report_made_later_says_that_pictures_from_memory_are_not_found(
    model: dn2.Model, paths: list[Path], tmp_path: Path
) -> None:
    from dn2.model.scoring import read_scored

    model.score([as_array(path) for path in paths[:3]]).to_csv(tmp_path / "results.csv")
    later = read_scored(model, tmp_path / "results.csv", tmp_path)
    later.to_html(tmp_path / "page.html")
    assert "another file by now: 3 of 3 items" in (tmp_path / "page.html").read_text()


def test_what_is_in_the_cache_is_found_by_pixels(world: Path, paths: list[Path], tmp_path: Path) -> None:
    with_cache = dn2.ImageEmbedder(str(world / "tiny.onnx"), cache=dn2.Cache(tmp_path / "cache.sqlite"))
    array, picture = as_array(paths[0]), Image.open(paths[0])
    first = next(with_cache.embed([array]))
    again = next(with_cache.embed([picture]))
    assert (bool(first.new), bool(again.new)) == (True, False)
    assert first.digest == again.digest
    assert np.array_equal(first.vector, again.vector)
    with_cache.cache.close()


def test_the_embedder_takes_every_form(world: Path, paths: list[Path]) -> None:
    embedder = dn2.ImageEmbedder(str(world / "tiny.onnx"), cache=False)
    expected = embedder.transform(paths[:1])
    for form in FORMS.values():
        assert np.array_equal(embedder.transform([form(paths[0])]), expected)
    assert np.array_equal(embedder.transform(as_array(paths[0])), expected)
    assert np.array_equal(embedder.transform(np.stack([as_array(paths[0])] * 3, axis=2)[None]), expected)
    with pytest.raises(dn2.UnreadableItem, match="picture 2: a picture in memory must hold"):
        embedder.transform([as_array(paths[0]), U8 * 1.0])


def test_groups_from_memory_come_by_name(world: Path, paths: list[Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "backbone": str(world / "tiny.onnx"),
        "groups": True,
        "normalize": "unit",
        "cache": False,
    }
    lots = {f"lot {n}": paths[3 * n : 3 * n + 3] for n in range(8)}
    for name, files in lots.items():
        (tmp_path / name).mkdir()
        for number, path in enumerate(files):
            (tmp_path / name / f"{number}.png").write_bytes(path.read_bytes())
    from_files = dn2.fit(tmp_path, **options)
    arrays = {name: [as_array(path) for path in files] for name, files in lots.items()}
    from_memory = dn2.fit(arrays, **options)
    assert np.array_equal(from_memory.calibration.scores, from_files.calibration.scores)
    results = from_memory.score({"new": [*arrays["lot 1"], U8 * 1.0], "none": []})
    assert [row.error for row in results] == [None, "a group without pictures"]
    assert [row.item for row in results.unreadable] == ["none", "new/picture 4"]
    results.to_html(tmp_path / "page.html")
    with pytest.raises(InputError, match="come as a dict of lists"):
        from_memory.score(arrays["lot 1"])
    with pytest.raises(InputError, match="compares groups"):
        from_memory.score_one(arrays["lot 1"][0])


def test_what_a_two_dimensional_array_is_depends_on_what_is_asked(model: dn2.Model, paths: list[Path]) -> None:
    flat = as_array(paths[0])
    assert dn2.fit(flat).describe()["kind"] == "vector"
    assert [row.item for row in model.score(flat)] == ["picture 1"]
    with pytest.raises(dn2.ReferenceTooSmall):
        dn2.fit(flat, kind="image", cache=False)


@pytest.mark.parametrize("form", ["bytes", "pillow", "array", "dict"])
def test_pictures_are_told_from_other_things(world: Path, paths: list[Path], form: str) -> None:
    pictures = [FORMS["array" if form == "dict" else form](path) for path in paths[:5]]
    inputs = dict(enumerate(pictures)) if form == "dict" else pictures
    assert dn2.fit(inputs, backbone=str(world / "tiny.onnx"), cache=False).describe()["kind"] == "image"
