"""A watch of a folder: each finished file is scored once, whatever happens, as `Model.score` scores it."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import dn2
from dn2.errors import InputError, ModelError
from dn2.monitor.arriving import Arrivals
from dn2.monitor.files import Deciding, FileScorer
from dn2.monitor.journal import Journal
from dn2.monitor.messages import Judge, drift_message, number_of
from dn2.monitor.sinks import Log
from dn2.monitor.watch import DRIFT, Watch, drift_of
from made_series import pump
from small_models import places_of, write_digits
from small_sinks import wait_for

AS_THE_MODEL = Deciding()


class Place:
    """A folder that is watched, and the log of it.

    model : the saved model; folder : what is watched."""

    def __init__(self, place: Path, model: Path) -> None:
        self.model, self.folder, self.log = model, place / "in", place / "log.jsonl"
        self.state = place / "journal.sqlite"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.exclude: list[str] = []
        self.patience = 0.1

    def run(
        self, deciding: Deciding = AS_THE_MODEL, meddle: Callable[[Watch], object] = lambda _: None, **how: Any
    ) -> Watch:
        """Watch until what is there is done."""
        journal = Journal(self.state)
        try:
            watch = self.opened(journal, deciding)
            meddle(watch)
            watch.run(how.pop("stopped", threading.Event()), every=0.01, **{"once": True, **how})
        finally:
            journal.close()
        return watch

    def opened(self, journal: Journal, deciding: Deciding) -> Watch:
        """Return a watch that has not begun."""
        kept = journal.about(DRIFT)
        drift = None if kept is None else json.loads(kept)
        scorer = FileScorer(self.model, lambda: dn2.load(self.model, cache=False), deciding, drift)
        suffixes = scorer.model.kind.suffixes
        arrivals = Arrivals(self.folder, suffixes, self.exclude, settle=0.02, patience=self.patience)
        return Watch(arrivals, scorer, journal, [Log(self.log)])

    def messages(self) -> list[dict[str, Any]]:
        """Return what is in the log."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def items(self) -> list[str]:
        """Return the names of what is in the log."""
        return [message["item"] for message in self.messages()]


def rows(seed: int, n: int = 3, moved: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 4)) + moved).astype(np.float32)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of vectors, which takes the shortest to load."""
    folder = tmp_path_factory.mktemp("vectors") / "v.dn2"
    dn2.fit(np.random.default_rng(0).normal(size=(200, 4))).save(folder)
    return folder


@pytest.fixture
def place(tmp_path: Path, vectors: Path) -> Place:
    return Place(tmp_path, vectors)


@pytest.fixture
def pictures(tmp_path: Path, saved: Path) -> Place:
    return Place(tmp_path, saved)


# Once


def test_each_file_is_scored_once_also_after_a_restart(place):
    np.save(place.folder / "a.npy", rows(1))
    np.save(place.folder / "b.npy", rows(2, moved=9))
    assert place.run().tally.files == 2
    assert place.items() == [f"{name}.npy:{row}" for name in "ab" for row in (1, 2, 3)]
    np.save(place.folder / "c.npy", rows(3, 1))
    assert place.run().tally.files == 1
    assert place.items()[6:] == ["c.npy:1"]
    assert [message["sequence"] for message in place.messages()] == [1, 2, 3, 4, 5, 6, 7]
    assert place.run().tally.files == 0


def test_what_is_said_of_an_item_is_what_score_says(pictures, world):
    shutil.copytree(world / "more", pictures.folder / "line 1" / "good")
    shutil.copytree(world / "other", pictures.folder / "line 1" / "odd")
    pictures.run()
    model = dn2.load(pictures.model, cache=False)
    expected = {row.item: row for row in model.score(pictures.folder)}
    messages = pictures.messages()
    assert sorted(message["item"] for message in messages) == sorted(expected)
    for message in messages:
        row = expected[message["item"]]
        of_row = {name: message[name] for name in row.as_dict()}
        assert of_row == row.as_dict()
        assert message["decision"] == ("reject" if row.is_anomaly else "accept")
        assert message["model"] == "zeros.dn2"
        manifest = json.loads((pictures.model / "model.json").read_text())
        assert message["model_version"] == manifest["digest"][:16]
        assert message["time"].endswith("Z")
    assert {message["decision"] for message in messages} == {"accept", "reject"}


def test_a_warning_an_audit_and_another_rate_are_those_of_score(place):
    np.save(place.folder / "a.npy", rows(1, 100, 0.8))
    deciding = Deciding(false_alarm_rate=0.05, warn_rate=0.2, audit=3)
    place.run(deciding)
    results = dn2.load(place.model).score(place.folder, false_alarm_rate=0.05, warn_rate=0.2, audit=3)
    assert [message["decision"] for message in place.messages()] == [row.decision for row in results]
    assert [message["audit"] for message in place.messages()] == [row.audit for row in results]
    assert {"accept", "warn", "reject"} == {row.decision for row in results}


def test_a_file_that_is_written_again_is_scored_again(place):
    np.save(place.folder / "latest.npy", rows(1, 1))
    place.run()
    np.save(place.folder / "latest.npy", rows(2, 1, 9))
    place.run()
    assert place.items() == ["latest.npy:1", "latest.npy:1"]
    assert [message["decision"] for message in place.messages()] == ["accept", "reject"]


def test_a_file_that_changes_while_it_is_scored_counts_as_it_is_afterwards(place):
    np.save(place.folder / "a.npy", rows(1, 1))

    def meddle(watch: Watch) -> None:
        score, left = watch.scorer.score, [True]

        def scored(arrivals, files):
            found = score(arrivals, files)
            if left:
                left.clear()
                np.save(place.folder / "a.npy", rows(2, 2, 9))
            return found

        watch.scorer.score = scored  # type: ignore[method-assign]

    assert place.run(meddle=meddle).tally.files == 0  # what was there at first has gone
    place.run()
    assert [message["decision"] for message in place.messages()] == ["reject", "reject"]


def test_a_file_in_two_halves_is_scored_as_a_whole(pictures, world):
    (picture,) = write_digits(pictures.folder.parent, places_of(0)[60:61])
    data = picture.read_bytes()
    stopped = threading.Event()
    pictures.patience = 30.0
    watching = threading.Thread(target=pictures.run, kwargs={"stopped": stopped, "once": False})
    watching.start()
    target = pictures.folder / "slow.png"
    with open(target, "wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        stopped.wait(0.3)  # more than a file takes to be finished
        assert pictures.items() == []
        file.write(data[len(data) // 2 :])
    wait_for(lambda: pictures.items() == ["slow.png"])
    stopped.set()
    watching.join()
    assert pictures.messages()[0]["error"] is None


# What cannot be read


def test_a_file_that_cannot_be_read_is_an_error_after_a_while_and_stops_nobody(pictures, world):
    shutil.copy(next((world / "more").iterdir()), pictures.folder / "good.png")
    (pictures.folder / "bad.png").write_text("no picture")
    (pictures.folder / "empty.png").touch()
    tally = pictures.run().tally
    assert (tally.files, tally.of("error"), tally.of("accept")) == (3, 2, 1)
    first, *others = pictures.messages()
    assert first["item"] == "good.png"
    assert sorted(message["item"] for message in others) == ["bad.png", "empty.png"]
    assert {message["decision"] for message in others} == {"error"}
    assert all("not a picture" in message["error"] or "empty" in message["error"] for message in others)
    assert pictures.run().tally.files == 0
    shutil.copy(next((world / "more").iterdir()), pictures.folder / "bad.png")
    pictures.run()
    assert (pictures.items()[3:], pictures.messages()[3]["error"]) == (["bad.png"], None)


def test_a_table_with_other_columns_is_an_error_of_its_own(tmp_path):
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    dn2.fit(frame).save(tmp_path / "t.dn2")
    place = Place(tmp_path, tmp_path / "t.dn2")
    frame[:2].to_csv(place.folder / "1.csv", index=False)
    (place.folder / "2.csv").write_text("x,y\n1,2\n")
    frame[2:3].to_csv(place.folder / "3.csv", index=False)
    (place.folder / "settings.json").write_text("{}")
    place.run()
    assert place.items() == ["1.csv:1", "1.csv:2", "3.csv:1", "2.csv"]
    assert [message["decision"] == "error" for message in place.messages()] == [False, False, False, True]


def test_pictures_compared_patch_by_patch_have_regions(tmp_path, saved_plates, plates):
    place = Place(tmp_path, saved_plates)
    shutil.copytree(plates / "new", place.folder, dirs_exist_ok=True)
    watch = place.run()
    scored = watch.scorer.model.score(plates / "new")
    expected = {row.item: json.loads(json.dumps(row.as_dict())) for row in scored}
    found = {
        message["item"]: {name: message[name] for name in expected[message["item"]]} for message in place.messages()
    }
    assert found == expected
    assert found["bad/200.png"]["regions"]
    assert "it would take too long" in str(watch.scorer.unwatched)


def test_series_give_intervals_and_are_not_watched_for_drift(tmp_path):
    pump(400, seed=0).to_csv(tmp_path / "good.csv", index=False)
    dn2.fit(tmp_path / "good.csv", kind="series").save(tmp_path / "s.dn2")
    place = Place(tmp_path, tmp_path / "s.dn2")
    pump(300, seed=1).to_csv(place.folder / "new.csv", index=False)
    watch = place.run()
    assert place.messages()
    assert all(message["item"].startswith("new.csv") for message in place.messages())
    assert "near in time" in str(watch.scorer.unwatched)
    assert {message["drift"] for message in place.messages()} == {None}
    assert json.loads(drift_of(watch.scorer))["state"] == "unwatched"


def test_a_file_that_brings_a_reader_down_is_its_own_error(pictures, world, monkeypatch, caplog):
    for name, path in zip("abc", sorted((world / "more").iterdir()), strict=False):
        shutil.copy(path, pictures.folder / f"{name}.png")
    calls = []

    def meddle(watch: Watch) -> None:
        score = watch.scorer.model.score

        def scored(inputs, **how):
            calls.append([path.name for path in inputs[0].files])
            if "b.png" in calls[-1]:
                raise ZeroDivisionError("odd")
            return score(inputs, **how)

        monkeypatch.setattr(watch.scorer.model, "score", scored)

    pictures.run(meddle=meddle)
    assert calls == [["a.png", "b.png", "c.png"], ["a.png"], ["b.png"], ["c.png"], ["b.png"]]
    assert pictures.items() == ["a.png", "c.png", "b.png"]
    assert pictures.messages()[2]["error"] == "odd"
    assert "a fault of dn2's at b.png" in caplog.text


def test_names_in_files_may_come_again_in_others(place):
    for name in "ab":
        np.savez(place.folder / f"{name}.npz", embeddings=rows(1, 2), items=["one", "two"])
    place.run()
    assert place.items() == ["one", "two"] * 2
    assert [message["file"] for message in place.messages()] == ["a.npz", "a.npz", "b.npz", "b.npz"]
    assert {message["error"] for message in place.messages()} == {None}


def test_a_model_that_fails_ends_the_watch_and_no_file_is_blamed(place, monkeypatch):
    np.save(place.folder / "a.npy", rows(1, 1))

    def meddle(watch: Watch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise ModelError("gone")

        monkeypatch.setattr(watch.scorer.model, "score", fail)

    with pytest.raises(ModelError, match="gone"):
        place.run(meddle=meddle)
    place.run()
    assert place.items() == ["a.npy:1"]


# What belongs together, and what does not


def test_parts_go_by_the_rule_of_the_model(tmp_path):
    photos = np.random.default_rng(0).normal(size=(60, 4)).repeat(2, axis=0)
    names = [f"part{place // 2:02d}_{place % 2}" for place in range(120)]
    np.savez(tmp_path / "good.npz", embeddings=photos, items=names)
    dn2.fit(tmp_path / "good.npz", part=r"(part\d+)").save(tmp_path / "p.dn2")
    place = Place(tmp_path, tmp_path / "p.dn2")
    np.savez(place.folder / "new.npz", embeddings=rows(1, 2), items=["part90_0", "part90_1"])
    place.run()
    assert [message["part"] for message in place.messages()] == ["part90", "part90"]


def test_models_that_single_files_do_not_fit_are_refused(tmp_path, saved_lots):
    with pytest.raises(InputError, match="single files are watched for, and this model compares groups"):
        Place(tmp_path, saved_lots).run()


def test_rates_that_cannot_be_are_refused_before_any_work(place):
    with pytest.raises(dn2.ReferenceTooSmall):
        place.run(Deciding(false_alarm_rate=1e-6))
    with pytest.raises(InputError, match="warn_rate must lie between"):
        place.run(Deciding(warn_rate=0.001))
    with pytest.raises(InputError, match="audit must be a whole number"):
        place.run(Deciding(audit=1))
    with pytest.raises(InputError, match="not fitted with a mask for each item"):
        place.run(Deciding(mask="masks"))


# Drift, and a model that changes


def test_drift_is_watched_over_restarts_and_said_once(place, caplog):
    np.save(place.folder / "1.npy", rows(1, 300))
    watch = place.run()
    assert json.loads(drift_of(watch.scorer)) == {
        "state": "unchanged",
        "model": "v.dn2",
        "model_version": watch.scorer.judge.version,
    }
    np.save(place.folder / "2.npy", rows(2, 300, 1.5))
    watch = place.run()
    assert watch.scorer.monitor is not None
    assert watch.scorer.monitor.n_seen == 600
    np.save(place.folder / "3.npy", rows(3, 2))
    watch = place.run()
    found = json.loads(drift_of(watch.scorer))
    assert found["state"] == "changed"
    assert abs(found["since"]["number"] - 301) <= 3
    assert found["noticed_at"]["name"].startswith("2.npy:")
    assert [message["drift"] for message in place.messages()] == [False] * 300 + [True] * 302
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("drift: ")]
    assert line.endswith(f"if they are normal, dn2 recalibrate {place.model} NORMALS, with normal items of now")


def test_a_state_of_drift_that_nobody_knows_is_begun_anew(place, caplog):
    np.save(place.folder / "1.npy", rows(1, 1))
    place.run()
    journal = Journal(place.state)
    journal.record([], [], {DRIFT: '{"delta": 0.01, "seed": 0}'})
    journal.close()
    np.save(place.folder / "2.npy", rows(2, 1))
    watch = place.run()
    assert "drift is watched anew" in caplog.text
    assert watch.scorer.monitor is not None
    assert watch.scorer.monitor.n_seen == 1


def test_a_model_that_is_replaced_decides_from_then_on(place, vectors, tmp_path, caplog):
    caplog.set_level(logging.INFO, "dn2")
    place.model = Path(shutil.copytree(vectors, tmp_path / "v.dn2"))
    np.save(place.folder / "a.npy", rows(1, 1, 9))
    stopped = threading.Event()
    watching = threading.Thread(target=place.run, kwargs={"stopped": stopped, "once": False})
    watching.start()
    wait_for(lambda: len(place.messages()) == 1)
    model = dn2.load(place.model)
    model.add(np.concatenate([rows(1, 1, 9)] * 5), names=list("pqrst"))
    model.save(place.model)
    wait_for(lambda: "decides from now on" in caplog.text)
    np.save(place.folder / "b.npy", rows(1, 1, 9))
    wait_for(lambda: len(place.messages()) == 2)
    stopped.set()
    watching.join()
    before, after = place.messages()
    assert (before["decision"], after["decision"]) == ("reject", "accept")
    assert before["model_version"] != after["model_version"]


def test_a_model_that_is_damaged_leaves_the_one_before(place, vectors, tmp_path, caplog):
    place.model = Path(shutil.copytree(vectors, tmp_path / "v.dn2"))
    scorer = FileScorer(place.model, lambda: dn2.load(place.model), Deciding(), None)
    model = scorer.model
    assert not scorer.refresh()
    dn2.load(place.model).add(rows(5, 1), names=["one more"]).save(place.model)
    manifest = (place.model / "model.json").read_bytes()
    (place.model / "model.json").write_bytes(manifest[:-20])
    assert not scorer.refresh()
    assert scorer.model is model
    (place.model / "model.json").write_bytes(manifest)
    assert scorer.refresh()
    assert len(scorer.model.items) == 201
    assert "the model was replaced, and the one before decides on: " in caplog.text


# Delivery


def test_a_log_that_is_no_longer_named_is_said_to_miss_what_waits(place, caplog, tmp_path):
    place.log.mkdir()  # so that nothing can be written
    np.save(place.folder / "a.npy", rows(1))
    with pytest.raises(OSError, match="Is a directory"):
        place.run()
    place.log.rmdir()
    place.run()
    journal = Journal(place.state)
    journal.record([], [], {})
    journal._file.execute("UPDATE sinks SET position = 1")
    journal.close()
    place.log = tmp_path / "other.jsonl"
    place.run()
    assert "log.jsonl is no longer named: 2 results are not delivered to it" in caplog.text


def test_what_waits_for_a_sink_is_counted(place):
    np.save(place.folder / "a.npy", rows(1))

    def meddle(watch: Watch) -> None:
        def refuse(_: object) -> int:
            raise OSError(28, "No space left on device")

        watch._deliveries[0].sink.send = refuse  # type: ignore[method-assign]

    assert place.run(meddle=meddle).tally.undelivered == {str(place.log): 3}
    place.run()
    assert len(place.messages()) == 3


def test_an_error_of_a_delivery_ends_the_watch(place):
    def meddle(watch: Watch) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        watch._deliveries[0].sink.rest = fail  # type: ignore[method-assign]

    with pytest.raises(ZeroDivisionError):
        place.run(meddle=meddle, once=False)


def test_a_number_is_read_from_a_line_of_the_same_journal_alone():
    assert number_of(b'{"id": "ab-7", "sequence": 7}', "ab") == 7
    assert number_of(b'{"id": "cd-7", "sequence": 7}', "ab") is None
    assert number_of(b'{"id": "ab-7", "sequence": "7"}', "ab") is None
    assert number_of(b'["ab-7"]', "ab") is None
    assert number_of(b"\xff", "ab") is None


def test_the_state_of_drift_without_a_monitor_is_unwatched():
    assert json.loads(drift_message(Judge("m", "v"), None, is_watched=False)) == {
        "state": "unwatched",
        "model": "m",
        "model_version": "v",
    }
