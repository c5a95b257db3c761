"""Inputs in an object store: read as those on a disk are, and opened only where a user names them."""

from __future__ import annotations

import json
import pickle
import shutil
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy

import dn2
from cli.conftest import dn2_command
from dn2.errors import InputError, UnreadableItem
from dn2.inputs.files import find_items
from dn2.inputs.leaving_out import leaving_out
from dn2.networks.pixels import SUFFIXES
from dn2.networks.sources import open_picture
from dn2.system import stores
from dn2.system.stores import parse_url
from forked import in_child
from small_models import networks_once, own_cache, world
from small_store import BUCKET, SmallStore, store

__all__ = ["dn2_command", "networks_once", "own_cache", "store", "world"]


@pytest.fixture(scope="module")
def filled(store: SmallStore, world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallStore, Path]:
    """The store, and a folder with the same files: pictures, tables, messages and vectors."""
    folder = tmp_path_factory.mktemp("local")
    shutil.copytree(world / "normal", folder / "normal")
    names = ("b/z.png", "a/deep/y.png", "old/x.png", ".hidden/a.png", "@eaDir/b.png", "b/.c.png")
    for name, picture in zip(names, sorted((world / "more").iterdir()), strict=False):
        target = folder / "normal" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, target)
    (folder / "normal" / "broken.png").write_bytes(b"no picture")
    (folder / "normal" / "notes.md").write_text("no picture either")
    shutil.copytree(world / "other", folder / "other")
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)).round(3), columns=["a", "b", "c"])
    (folder / "rows").mkdir()
    rows.to_csv(folder / "rows" / "first.csv.gz", index=False)
    rows.to_csv(folder / "rows" / "second.csv", index=False)
    rows.to_parquet(folder / "rows.parquet")
    np.save(folder / "vectors.npy", rows.to_numpy())
    safetensors.numpy.save_file({"embeddings": rows.to_numpy(np.float32)}, folder / "vectors.safetensors")
    np.savez(folder / "vectors.npz", embeddings=rows.to_numpy())
    (folder / "records.jsonl").write_text("\n".join(json.dumps({"body": f"order {n} is late"}) for n in range(40)))
    (folder / "messages").mkdir()
    for number in range(12):
        (folder / "messages" / f"{number}.txt").write_text(f"please send order {number}")
    (folder / "lines.txt").write_text("\n".join(f"order {number} is late" for number in range(40)))
    store.put_folder(folder)
    return store, folder


def fit_digits(inputs: Any, world: Path, **options: Any) -> dn2.Model:
    """Fit pictures with the small network, and without a cache, which would read nothing twice."""
    return dn2.fit(inputs, backbone=str(world / "tiny.onnx"), cache=None, **options)


def rows_of(results: Any) -> list[tuple[Any, ...]]:
    """Return what results say of each item."""
    return [(row.item, row.anomaly_score, row.p_value, row.neighbors, row.error) for row in results]


def test_pictures_of_a_store_are_fitted_and_scored_as_those_of_a_disk(filled, world):
    store, folder = filled
    store.requests.clear()
    models = [fit_digits(one, world, exclude="old") for one in (store.url("normal/"), folder / "normal")]
    names = [[item.name for item in model.items] for model in models]
    assert names[0] == names[1]
    assert {"a/deep/y.png", "b/z.png"} < set(names[0])
    assert [item.sha256 for item in models[0].items] == [item.sha256 for item in models[1].items]
    assert models[0].items[0].path == f"s3://{BUCKET}/normal/{names[0][0]}"
    assert [row.error for row in models[0].unreadable] == [row.error for row in models[1].unreadable]
    read = Counter(one for one in store.requests if one.endswith(".png"))
    assert set(read.values()) == {1}  # each object is read once, and only what is an item
    assert {one.split("/normal/")[1] for one in read} == {*names[0], "broken.png"}

    both = [models[0].score([one("other"), one("normal/b")]) for one in (store.url, lambda name: folder / name)]
    assert rows_of(both[0]) == rows_of(both[1])
    assert both[0][0].item.startswith("other/")
    known = models[0].score_known(store.url("normal/b"), store.url("other"))
    assert known.is_anomalous.sum() == len(list((folder / "other").iterdir()))
    with pytest.raises(InputError, match=rf"'s3://{BUCKET}/other/\w+.png' is given as both"):
        models[0].score_known(store.url("other"), store.url("other"))


def test_objects_come_in_the_order_of_a_walk_through_folders(filled):
    store, folder = filled
    for exclude in ((), ("b/**", "deep"), ("*9.png",)):
        with leaving_out(exclude, is_told=False):
            found = [find_items(one, SUFFIXES) for one in (parse_url(store.url("")), folder)]
        assert [item.name for item in found[0]] == [item.name for item in found[1]]
    one = find_items(parse_url(store.url("normal/broken.png")), SUFFIXES)
    assert [item.name for item in one] == [f"s3://{BUCKET}/normal/broken.png"]


def test_groups_of_a_store_are_those_of_a_disk(store, world, tmp_path):
    for number in range(8):
        for place in range(2):
            target = tmp_path / f"lot-{number}" / "day" / f"{place}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sorted((world / "normal").iterdir())[2 * number + place], target)
    store.put_folder(tmp_path, "lots/")
    models = [fit_digits(one, world, groups=True) for one in (store.url("lots"), tmp_path)]
    assert rows_of(models[0].score(store.url("lots"))) == rows_of(models[1].score(tmp_path))
    with pytest.raises(InputError, match="groups are the subfolders of a folder"):
        fit_digits(store.url("lots/lot-0/day/0.png"), world, groups=True)


@pytest.mark.parametrize(
    ("key", "options"),
    [
        *((key, {}) for key in ("rows", "rows.parquet", "vectors.npy", "vectors.npz", "vectors.safetensors")),
        *((key, {"backbone": "characters"}) for key in ("messages", "lines.txt", "records.jsonl")),
    ],
)
def test_rows_and_messages_of_a_store_are_those_of_a_disk(filled, key, options):
    store, folder = filled
    store.requests.clear()
    models = [dn2.fit(one, cache=None, **options) for one in (store.url(key), folder / key)]
    assert models[0].kind.name == models[1].kind.name
    assert set(Counter(one for one in store.requests if one.startswith("GET") and "." in one).values()) == {1}
    assert [item.sha256 for item in models[0].items] == [item.sha256 for item in models[1].items]
    assert {item.path.startswith(f"s3://{BUCKET}/{key}") for item in models[0].items} == {True}
    scored = [model.score(one) for model, one in zip(models, (store.url(key), folder / key), strict=True)]
    assert [row.anomaly_score for row in scored[0]] == [row.anomaly_score for row in scored[1]]


def test_an_object_that_cannot_be_read_is_an_error_row_with_the_words_of_the_store(filled, world, monkeypatch):
    store, folder = filled
    data = next((folder / "other").iterdir()).read_bytes()
    for name in ("denied", "gone", "whole"):
        store.put(f"bad/{name}.png", data)
    store.put("bad/empty.png", b"")
    store.deny("bad/denied.png")
    inputs = parse_url(store.url("bad"))
    assert len(inputs.objects or ()) == 4
    store.remove("bad/gone.png")
    items = {item.name: item for item in find_items(inputs, SUFFIXES)}
    monkeypatch.setattr(dn2.networks.decoding, "MAX_FILE_BYTES", len(data) - 1)
    with pytest.raises(UnreadableItem, match="more than the limit"), open_picture(items["whole.png"].path):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(stores.StoredPath, "opened", lambda path: nullcontext((lambda size: b"cut short", 99)))
    with pytest.raises(UnreadableItem, match="it ends after 9 of 99 bytes"), open_picture(items["whole.png"].path):
        pass
    monkeypatch.undo()
    rows = {row.item: row.error for row in fit_digits(folder / "normal", world).score([inputs, folder / "other"])}
    errors = {name.removeprefix("bad/"): error for name, error in rows.items() if name.startswith("bad/")}
    assert errors["whole.png"] is None
    assert errors["empty.png"] == "the file is empty (0 bytes)"
    assert errors["gone.png"] == "cannot be read: it does not exist in the store"
    assert "ACCESS_DENIED" in errors["denied.png"]
    assert "\n" not in errors["denied.png"]


def test_thousands_of_objects_are_listed_in_one_go(store):
    for number in range(2_100):
        store.put(f"many/{number % 7}/{number}.png", b"")
    store.requests.clear()
    inputs = parse_url(store.url("many"))
    for _ in range(2):  # as a guess of the kind and a search for items do
        assert len(find_items(inputs, SUFFIXES)) == 2_100
    assert Counter(store.requests) == {f"GET /{BUCKET}": 4, f"HEAD /{BUCKET}/many": 1}  # is it a folder, and 3 pages


def test_an_item_of_a_store_goes_to_other_processes_as_a_few_texts(filled, world):
    store, folder = filled
    items = find_items(parse_url(store.url("other")), SUFFIXES)
    with open_picture(items[0].source) as picture:
        digest = picture.digest
    pickled = pickle.dumps(items[0])
    assert len(pickled) < 500

    def read_there() -> str:
        with open_picture(pickle.loads(pickled).source) as picture:  # noqa: S301
            return picture.digest

    assert in_child(read_there) == digest
    urls = [store.url(f"other/{Path(item.path).name}") for item in items[:2]]
    pictures = sorted((folder / "other").iterdir())[:2]
    embedder = dn2.ImageEmbedder(str(world / "tiny.onnx"), cache=None)
    assert embedder.transform(urls).tolist() == embedder.transform(pictures).tolist()


def test_commands_take_urls_and_never_show_how_the_store_is_reached(filled, world, dn2_command, tmp_path, monkeypatch):
    store, folder = filled
    monkeypatch.chdir(tmp_path)
    said = [
        dn2_command("fit", store.url("normal"), "--backbone", world / "tiny.onnx", "-o", "m"),
        dn2_command("add", "m", store.url("other/0004.png")),
        dn2_command("score", "m", store.url("other"), "-o", "r.jsonl", "--report", "r.html"),
        dn2_command("report", "r.jsonl", "--model", "m", "--root", store.url("other"), "-o", "again.html"),
        dn2_command("evaluate", "m", "--normal", store.url("normal"), "--anomalous", store.url("other"), "--json"),
        dn2_command("embed", store.url("other"), "--backbone", world / "tiny.onnx", "-o", "e.npz"),
        dn2_command("score", "--self", store.url("rows/second.csv"), "--window", 5, "-o", "self.csv"),
    ]
    assert [done.status for done in said] == [3, 0, 0, 0, 3, 0, 0]
    assert "not found" not in said[3].err
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    written += "".join(done.out + done.err for done in said).encode()
    for secret in ("endpoint_override", "127.0.0.1", "an-id", "a-secret"):
        assert secret.encode() not in written
    items = [json.loads(line)["item"] for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert items == sorted(file.name for file in (folder / "other").iterdir())


def test_what_a_model_knows_of_a_store_is_never_opened(filled, world, dn2_command, tmp_path, monkeypatch):
    store, folder = filled
    monkeypatch.chdir(tmp_path)
    fit_digits(store.url("normal"), world).save("m")
    store.requests.clear()
    assert dn2_command("score", "m", folder / "other", "--report", "r.html", "-o", "r.csv").status == 0
    assert dn2_command("report", "r.csv", "--model", "m", "--root", folder / "other", "-o", "again.html").status == 0
    assert "data:image" in Path("again.html").read_text()  # the model's thumbnails among them
    assert dn2_command("inspect", "m", "--items").status == 0
    assert dn2_command("export", "m", "-o", "exported", "--format", "openvino").status == 0
    known = dn2.load("m").items[0].path
    for text in (known, f"{known}?{store.query}", Path(known)):  # as patches look for the picture of a neighbour
        with pytest.raises(UnreadableItem), open_picture(text):
            pass
    assert store.requests == []


def test_urls_in_lists_and_among_messages_are_not_opened(filled, dn2_command, tmp_path):
    store, _ = filled
    store.requests.clear()
    (tmp_path / "list.txt").write_text(store.url("normal"))
    for listed in (f"@{tmp_path / 'list.txt'}", f"@{store.url('lines.txt')}"):
        refused = dn2_command("fit", listed, "-o", tmp_path / "m")
        assert refused.status == 2
        assert "is a URL where none is opened" in refused.err
        assert "endpoint" not in refused.err
    model = dn2.fit([f"{store.url('normal')} of {number}" for number in range(30)], kind="text", backbone="characters")
    assert [row.error for row in model.score([store.url("normal"), "two words"])] == [None, None]
    with pytest.raises(InputError, match="is a URL where none is opened"):
        model.score([f"s3://{BUCKET}/lines.txt"])
    assert store.requests == []


def test_a_prefix_that_holds_nothing_and_a_store_out_of_reach_are_one_line(store, dn2_command, tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "ATTEMPTS", 1)
    nothing = dn2_command("fit", store.url("nothing"), "-o", tmp_path / "m")
    closed = f"s3://{BUCKET}/a?endpoint_override=127.0.0.1:1&scheme=http&region=x"
    away = dn2_command("fit", closed, "-o", tmp_path / "m")
    assert (nothing.status, away.status) == (2, 2)
    assert nothing.err == f"dn2: s3://{BUCKET}/nothing does not exist; name a folder or an object of the bucket\n"
    assert away.err.startswith(f"dn2: s3://{BUCKET}/a cannot be listed: ")
    assert away.err.count("\n") == 1
