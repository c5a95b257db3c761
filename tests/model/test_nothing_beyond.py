"""What a saved model says never makes dn2 open a path, a device or a hub beyond its folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save

import dn2
from cli.conftest import Command, dn2_command
from dn2 import BackboneError, Dn2Error, ModelError
from dn2.kinds.text.kind import TextKind
from dn2.model.loading import verify
from small_models import folder, own_cache, replace_part, reseal, saved, small_shards, start_python, world

__all__ = ["dn2_command", "folder", "own_cache", "saved", "small_shards", "world"]

# Loads models, notes whatever is opened and each connection, and prints what names the canary.
LOADER = """
import json, sys
seen = []
def audit(event, given):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(given[0], str) and "canary" in given[0]:
        seen.append(given[0])
    elif event in ("socket.connect", "socket.getaddrinfo"):
        seen.append(event)
import dn2
sys.addaudithook(audit)
answers = []
for place in sys.argv[1:]:
    try:
        answers.append(str(len(dn2.load(place).items)))
    except dn2.Dn2Error as error:
        answers.append(type(error).__name__)
print(json.dumps([answers, seen]))
"""


def loaded(*models: Path) -> tuple[list[str], list[str]]:
    """Load models in a process of their own: how many items each has, or the error; and what was reached."""
    process = start_python(LOADER, *models)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    answers, seen = json.loads(out)
    return answers, seen


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of messages by their characters; not to be changed."""
    place = tmp_path_factory.mktemp("messages") / "m.dn2"
    texts = np.array([f"please send order {number}" for number in range(30)])
    dn2.fit(texts, kind="text", backbone="characters").save(place)
    return place


def test_a_name_in_a_model_is_neither_opened_nor_looked_up(saved: Path, messages: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "net.json").write_text('{"size": [64, 64]}')
    os.mkfifo(canary / "net.onnx")  # whoever opens it waits for ever
    (canary / "zero.onnx").symlink_to("/dev/zero")
    names = [str(canary / "net.onnx"), str(canary / "zero.onnx"), f"lite0@32+{canary / 'net.onnx'}", "canary/net.onnx"]
    names += [str(canary), f"{canary}+characters", "canary/evil", "canary/evil+characters", "timm/hf-hub:canary/evil"]
    names += [f"timm/resnet18:{canary / 'net.onnx'}", f"timm/local-dir:{canary}", "../canary", ""]
    models = []
    for source in (saved, messages):
        for number, name in enumerate(names):
            model = Path(shutil.copytree(source, tmp_path / f"{source.name}-{number}"))
            reseal(model, lambda manifest, name=name: manifest["embedder"].update(backbone=name))
            if source == saved and number % 2:
                reseal(model, lambda manifest: manifest["contents"].pop("network"))
            models.append(model)
    answers, seen = loaded(*models)
    assert seen == []
    assert all(answer.isalpha() or answer == "40" for answer in answers)
    assert [name for name, answer in zip(names, answers, strict=False) if answer == "40"] == [  # what it holds, renamed
        name
        for number, name in enumerate(names)
        if name.endswith(".onnx") and "+" not in name and ":" not in name and number % 2 == 0
    ]


def test_the_paths_of_items_are_never_opened(saved: Path, world: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    os.mkfifo(canary)
    model = Path(shutil.copytree(saved, tmp_path / "m.dn2"))
    (name,) = json.loads((model / "model.json").read_text())["contents"]["items"][:1]
    rows = [{**json.loads(line), "path": str(canary)} for line in (model / name).read_text().splitlines()]
    replace_part(model, "items", "".join(json.dumps(row) + "\n" for row in rows).encode())
    code = "import sys, dn2; dn2.load(sys.argv[1]).score(sys.argv[2]).to_html(sys.argv[3])"
    process = start_python(code, model, world / "more", tmp_path / "page.html")
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


@pytest.mark.parametrize("kind", ["items", "reference", "network", "golden"])
def test_a_link_in_the_place_of_a_file_is_refused_wherever_it_leads(folder: Path, tmp_path: Path, kind: str) -> None:
    name = json.loads((folder / "model.json").read_text())["contents"][kind][0]
    shutil.move(folder / name, tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(ModelError, match=name):
        dn2.load(folder)
    (tmp_path / "link.dn2").symlink_to(shutil.copytree(folder, tmp_path / "copied.dn2"))  # which follows the link
    assert len(dn2.load(tmp_path / "link.dn2").items) == 40  # the user names the folder, and may do so by a link


def test_a_model_names_no_other_network_than_it_holds(folder: Path, world: Path) -> None:
    for change in (
        lambda manifest: manifest["contents"].pop("network"),
        lambda manifest: manifest["embedder"].update(backbone="lite0@64"),
        lambda manifest: manifest["embedder"].update(backbone="tiny.onnx+tiny.onnx"),
        lambda manifest: manifest["embedder"].update(backbone=5),
        lambda manifest: manifest["embedder"].update(digest="0" * 64),
    ):
        copy = Path(shutil.copytree(folder, folder.parent / "copy.dn2", dirs_exist_ok=True))
        reseal(copy, change)
        with pytest.raises(Dn2Error):
            dn2.load(copy)
        shutil.rmtree(copy)


def test_a_backbone_named_by_the_user_is_opened_and_must_be_the_one(
    folder: Path, messages: Path, world: Path, dn2_command: Command
) -> None:
    reseal(folder, lambda manifest: manifest["contents"].pop("network"))
    with pytest.raises(BackboneError, match=r"and does not hold it, .* name it yourself: backbone="):
        dn2.load(folder)
    assert len(dn2.load(folder, backbone=str(world / "tiny.onnx")).items) == 40
    with pytest.raises(dn2.NotReproducible, match="is not the one that the model was made with"):
        dn2.load(folder, backbone="lite0@32")
    assert len(dn2.load(messages, backbone="characters").items) == 30
    assert dn2_command("inspect", folder).status == 2
    assert dn2_command("inspect", folder, "--backbone", world / "tiny.onnx").status == 0
    assert dn2_command("verify", folder, "--backbone", world / "tiny.onnx").status == 0


def test_a_model_that_joins_very_many_networks_is_refused_before_they_are_made(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="a backbone joins at most 8 networks, got 9"):
        dn2.ImageEmbedder("+".join(f"lite0@{side}" for side in range(32, 41))).specs  # noqa: B018


def test_a_model_of_links_says_how_to_copy_it(folder: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked.dn2"
    linked.mkdir()
    for path in folder.iterdir():
        (linked / path.name).symlink_to(path)
    with pytest.raises(ModelError, match=r"model\.json cannot be read: it is a link.*cp -rL MODEL NEW"):
        dn2.load(linked)
    subprocess.run(["cp", "-rL", linked, tmp_path / "copied.dn2"], check=True)
    assert len(dn2.load(tmp_path / "copied.dn2").items) == 40


def test_values_that_are_shown_must_be_those_that_were_embedded(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"number": rng.normal(size=80), "category": [f"c{row % 3}" for row in range(80)]})
    dn2.fit(rows).save(tmp_path / "m.dn2")
    name = next(path.name for path in (tmp_path / "m.dn2").iterdir() if path.name.startswith("values"))
    values = load_file(tmp_path / "m.dn2" / name)["values"]
    values[1, 0] += 1  # a row that loading does not look at, and verify does
    replace_part(tmp_path / "m.dn2", "values", save({"values": values}))
    with pytest.raises(ModelError, match="the kept rows must embed to the vectors of the model"):
        verify(tmp_path / "m.dn2")


@pytest.mark.parametrize("storage", ["float32", "float16", "uint8"])
def test_a_last_bit_of_an_embedding_does_not_refuse_messages(
    tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = np.array([f"order {number}: please send {number % 7} pumps" for number in range(60)])
    dn2.fit(texts, kind="text", backbone="characters", storage=storage).save(tmp_path / "m.dn2")
    embed_kept = TextKind.embed_kept

    def otherwise(kind: TextKind, places: Any) -> Any:
        found = embed_kept(kind, places)
        assert found is not None
        return found[0], found[1] * np.float32(1 + 1e-5)

    monkeypatch.setattr(TextKind, "embed_kept", otherwise)
    assert len(dn2.load(tmp_path / "m.dn2").items) == 60


def test_a_model_without_a_network_takes_none(tmp_path: Path) -> None:
    dn2.fit(np.random.default_rng(0).normal(size=(30, 4)), kind="vector").save(tmp_path / "v.dn2")
    with pytest.raises(ModelError, match="a model of the kind vector has no backbone; leave it out"):
        dn2.load(tmp_path / "v.dn2", backbone="lite0")
