"""Work on a cluster of two nodes, both on this machine: what comes out is what one machine gives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import dn2
from cluster_work import always_lost, broken, doubled, lost_at_first, refused
from dn2.errors import ClusterError, InputError, ReferenceTooSmall
from dn2.kinds import batches
from dn2.kinds.image.apart import cut, embed_sources, name_of_source
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.neighbors import blocks, choice, leave_one_out
from dn2.scale import cluster as clusters
from dn2.scale.starting import import_ray, start
from dn2.store.partitions import name_of
from dn2.system.workers import each, workers, working
from made_series import pump
from small_models import write_digits
from small_store import store

__all__ = ["store"]

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]  # of Ray's own

pytest.importorskip("ray", reason="needs Ray, of the extra ray")


@pytest.fixture(scope="module")
def nodes(store):
    """Start a head and a node of two processors, which have the keys of the store, and connect to them."""
    ray = import_ray()
    tests = str(Path(__file__).parents[1])  # where workers find `cluster_work`
    os.environ["PYTHONPATH"] = os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    started.add_node(num_cpus=2)
    start(ray, started.address)
    yield started
    ray.shutdown()
    started.shutdown()


def same(here: Any, there: Any) -> None:
    """Check that two lists of rows are the same to the bit, evidence included."""
    assert [row.as_dict() for row in here] == [row.as_dict() for row in there]
    assert len(here) > 0


def files_of(model: Any, folder: Path) -> dict[str, bytes]:
    """Save a model, and return its files by name."""
    model.save(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def fit_both(tmp_path: Path, inputs: Any, **options: Any) -> tuple[Any, Any]:
    """Fit here and on the cluster, and check that the saved models are the same."""
    here, there = (dn2.fit(inputs, on=on, cache=False, **options) for on in (None, "ray"))
    assert files_of(here, tmp_path / "here.dn2") == files_of(there, tmp_path / "there.dn2")
    return here, there


def test_pictures_are_fitted_scored_and_refused_as_on_one_machine(nodes, tmp_path, caplog):
    write_digits(tmp_path / "good", range(150))
    write_digits(tmp_path / "new", range(200, 340))
    (tmp_path / "new" / "0250.png").write_bytes(b"no picture")
    here, there = fit_both(tmp_path, tmp_path / "good", backbone="lite0@32")
    results = there.score(tmp_path / "new", on="ray")
    same(here.score(tmp_path / "new"), results)
    assert [row.item for row in results.errors] == ["0250.png"]
    assert results.errors[0].error


def test_what_workers_embed_is_embedded_once(nodes, tmp_path, caplog):
    write_digits(tmp_path / "good", range(300))
    embedder, cache = PlainImageEmbedder("lite0@32", cache=dn2.Cache(tmp_path / "c" / "cache.sqlite")), tmp_path / "c"

    def embed() -> tuple[int, list[Any]]:
        paths = sorted((tmp_path / "good").iterdir())
        with working("ray"):
            pictures = list(embed_sources(embedder, paths))
        return sum(bool(one.new) for one in pictures), [one.vector.tolist() for one in pictures]

    first = embed()
    kept = {path: path.read_bytes() for path in (cache / "partitions").iterdir()}
    assert first[0] == 300
    assert len(kept) > 1
    assert embed() == (0, first[1])
    assert {path: path.read_bytes() for path in kept} == kept

    write_digits(tmp_path / "good", [1_000])  # the last name: parts before it stay as they are
    first_part = next(iter(cut(sorted((tmp_path / "good").iterdir()), name_of_source)))
    damaged = cache / "partitions" / f"{name_of(map(name_of_source, first_part))}.parquet"
    damaged.write_bytes(kept[damaged][:-9])
    _, vectors = embed()
    assert vectors[:300] == first[1]
    assert f"the partition {damaged} is damaged" in caplog.text
    assert damaged.read_bytes() == kept[damaged]


def test_workers_read_pictures_from_an_object_store(nodes, store, tmp_path):
    write_digits(tmp_path / "good", range(60))
    (tmp_path / "good" / "0007.png").write_bytes(b"no picture")
    store.put_folder(tmp_path)
    store.requests.clear()
    here, there = (
        dn2.fit(one, backbone="lite0@32", cache=False, on=on)
        for one, on in ((tmp_path / "good", None), (store.url("good/"), "ray"))
    )
    assert [item[:1] + item[2:] for item in here.items] == [item[:1] + item[2:] for item in there.items]
    assert [row.item for row in there.unreadable] == ["0007.png"]
    same(here.score(tmp_path / "good"), there.score(store.url("good/"), on="ray"))
    read = Counter(one for one in store.requests if one.endswith(".png"))
    assert set(read.values()) == {2}  # once to fit, and once to score


def test_of_a_model_that_was_changed_workers_see_the_change(nodes, tmp_path):
    write_digits(tmp_path / "good", range(30))
    model = dn2.fit(tmp_path / "good", backbone="lite0@32")
    model.save(tmp_path / "good.dn2")
    model.remove(["0003.png"])
    same(model.score(tmp_path / "good"), model.score(tmp_path / "good", on="ray"))


def test_regions_of_pictures_are_those_of_one_machine(nodes, tmp_path):
    write_digits(tmp_path / "good", range(24), side=64)
    write_digits(tmp_path / "new", range(40, 52), side=64)
    Image.effect_noise((64, 64), 200).save(tmp_path / "new" / "noise.png")
    here, there = fit_both(tmp_path, tmp_path / "good", patches=True, resolution=64, bank=40, false_alarm_rate=0.1)
    found = there.score(tmp_path / "new", on="ray")
    same(here.score(tmp_path / "new"), found)
    assert any(row.regions for row in found)


def test_rows_and_series_are_scored_as_on_one_machine(nodes, monkeypatch):
    monkeypatch.setattr(batches, "ROWS_AT_ONCE", 256)
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"amount": rng.gamma(2, size=1_000), "kind": rng.choice(["a", "b", "c"], 1_000)})
    table.loc[700, "kind"] = "never seen"
    inputs = {"table": (table[:400], table[400:]), "series": (pump(900, seed=0), pump(700, seed=1))}
    for kind, (normal, new) in inputs.items():
        model = dn2.fit(normal, kind=kind)
        same(model.score(new), model.score(new, on="ray"))


def test_messages_are_fitted_and_scored_as_on_one_machine(nodes, tmp_path):
    names = [f"the {colour} {what}" for colour in ("red", "blue") for what in ("train", "bus", "van")]
    texts = [f"{name} arrived at {hour}" for name in names for hour in range(200)]
    here, there = fit_both(tmp_path, texts[:600], backbone="characters")
    new = [*texts[1100:], "", "Ω"]
    same(here.score(new), there.score(new, on="ray"))


def test_the_meaning_of_messages_is_embedded_once(nodes, tmp_path):
    cache, texts = dn2.Cache(tmp_path / "cache" / "cache.sqlite"), [f"train {hour} is late" for hour in range(30)]
    here = dn2.fit(texts, kind="text", cache=False)
    written = set()
    for _ in range(2):
        there = dn2.fit(texts, kind="text", cache=cache, on="ray")
        same(here.score(texts), there.score(texts, on="ray"))
        written |= {(path.name, path.stat().st_ino) for path in (tmp_path / "cache" / "partitions").iterdir()}
    assert len(written) == 1  # by the first fit


def test_workers_find_the_neighbours_that_calibrate_where_that_is_worth_it(nodes, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(5_000, 6)).astype(np.float32)
    rows[10] = rows[4_000]
    parts = [str(place // 2) for place in range(5_000)]
    here = dn2.fit(rows, part=parts)
    monkeypatch.setattr(leave_one_out, "WORTH_WORKERS", 0)
    monkeypatch.setattr(leave_one_out, "TIMES_AS_MANY", 0)
    there = dn2.fit(rows, part=parts, on="ray")
    for name in ("members", "distances", "neighbors"):
        known, found = (getattr(model.detector.leave_one_out, name) for model in (here, there))
        assert np.array_equal(known, found)


@pytest.mark.parametrize("storage", ["auto", "uint8"])
@pytest.mark.parametrize("of_parts", [False, True])
def test_a_set_larger_than_memory_is_fitted_in_partitions(nodes, monkeypatch, tmp_path, of_parts, storage):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 64)
    monkeypatch.setattr(choice, "FIXED_BYTES", 0)
    monkeypatch.setattr(choice, "BYTES_A_ROW", 1)
    rows = np.random.default_rng(0).integers(0, 4, (300, 5)).astype(np.float32)  # full of ties
    options: dict[str, Any] = {"index": "exact", "storage": storage, "normalize": "unit", "false_alarm_rate": 0.05}
    if of_parts:
        options["part"] = [str(place // 7) for place in range(300)]
    with pytest.raises(InputError, match="GB of memory"):
        dn2.fit(rows, memory=3_000, **options)
    partitioned = Mock(wraps=clusters.partitioned)
    monkeypatch.setattr(clusters, "partitioned", partitioned)
    here, there = dn2.fit(rows, **options), dn2.fit(rows, memory=3_000, on="ray", cache=False, **options)
    assert partitioned.call_args.args[2] == 2
    for name in ("members", "distances", "neighbors"):
        known, found = (getattr(model.detector.leave_one_out, name) for model in (here, there))
        assert np.array_equal(known, found)
    same(here.score(rows[:40] + 0.25), there.score(rows[:40] + 0.25))


def test_pictures_of_a_set_larger_than_memory_are_saved_as_ever(nodes, monkeypatch, tmp_path):
    monkeypatch.setattr(choice, "FIXED_BYTES", 0)
    monkeypatch.setattr(choice, "BYTES_A_ROW", 20)
    write_digits(tmp_path / "good", range(60))
    options: dict[str, Any] = {"backbone": "lite0@32", "index": "exact"}
    here = files_of(dn2.fit(tmp_path / "good", **options), tmp_path / "here.dn2")
    cache = dn2.Cache(tmp_path / "cache" / "cache.sqlite")
    there = dn2.fit(tmp_path / "good", memory=300_000, on="ray", cache=cache, **options)
    assert not list((tmp_path / "cache").glob("dn2-fit-*"))
    assert {**files_of(there, tmp_path / "there.dn2"), "model.json": b""} == {**here, "model.json": b""}


@pytest.mark.parametrize("of_parts", [False, True])
def test_a_reference_set_in_partitions_is_searched_as_a_whole(nodes, monkeypatch, of_parts):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 64)
    monkeypatch.setattr(choice, "FIXED_BYTES", 0)
    rows = np.random.default_rng(0).integers(0, 4, (300, 5)).astype(np.float32)  # full of ties
    parts = {"part": [str(place // 7) for place in range(300)]} if of_parts else {}
    model = dn2.fit(rows, index="exact", **parts)
    there = model.score(
        rows[:90] + 0.25, on="ray", memory=64 * 5 * 4 * 2, **{name: part[:90] for name, part in parts.items()}
    )
    same(model.score(rows[:90] + 0.25, **{name: part[:90] for name, part in parts.items()}), there)


def test_the_command_line_prints_what_it_prints_without_a_cluster(nodes, tmp_path):
    write_digits(tmp_path / "good", range(40))
    write_digits(tmp_path / "new", range(50, 60))
    dn2.fit(tmp_path / "good", backbone="lite0@32").save(tmp_path / "good.dn2")
    options: dict[str, Any] = {"cwd": tmp_path, "capture_output": True, "text": True, "check": True}
    options["env"] = {**os.environ, "RAY_ADDRESS": nodes.address}
    command = [sys.executable, "-m", "dn2", "score", "good.dn2", "new", "--json"]
    here, there = (subprocess.run([*command, *on], **options) for on in ([], ["--on", "ray"]))
    assert (here.stdout, here.stderr) == (there.stdout, there.stderr)
    assert len(here.stdout.splitlines()) == 10


# Work that fails


def test_what_is_made_comes_in_order(nodes):
    with working("ray?cpus=1"):
        assert list(each(doubled, 2, range(40))) == list(range(0, 80, 2))
        assert list(each(doubled, 2, [])) == []
        assert workers() is not None
    assert workers() is None
    assert list(each(doubled, 2, range(3))) == [0, 2, 4]


def test_work_of_workers_that_are_lost_is_done_again(nodes, tmp_path):
    with working("ray?cpus=1"):
        assert list(each(lost_at_first, tmp_path, range(4))) == [0, 2, 4, 6]
    assert {path.name for path in tmp_path.iterdir()} == {"0", "3"}


def test_a_part_that_ends_every_worker_is_given_up_with_a_word(nodes, monkeypatch):
    monkeypatch.setattr(clusters, "MOST_TRIES", 1)
    words = "begun 1 times, and each time its worker was lost; it is part 2"
    with working("ray"), pytest.raises(ClusterError, match=words):
        list(each(always_lost, None, range(3)))


def test_what_dn2_refuses_in_a_worker_is_refused_here(nodes):
    with working("ray"), pytest.raises(ReferenceTooSmall, match="too few, on purpose"):
        list(each(refused, None, [1]))


def test_workers_of_another_version_are_told_apart(nodes, monkeypatch):
    monkeypatch.setattr(clusters, "Parcel", partial(clusters.Parcel, version="9.9"))
    with working("ray"), pytest.raises(ClusterError, match=r"workers need dn2 9\.9, as this machine has"):
        list(each(doubled, 2, [1]))


def test_an_error_of_the_program_is_said_in_a_line(nodes):
    with working("ray"), pytest.raises(ClusterError, match=r"ZeroDivisionError.*of a programmer") as caught:
        list(each(broken, None, [1]))
    assert "\n" not in str(caught.value)


def test_ray_is_told_to_send_nothing(nodes):
    from ray._common.usage import usage_lib

    assert not usage_lib.usage_stats_enabled()
