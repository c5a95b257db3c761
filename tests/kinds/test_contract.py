"""What every kind of data keeps: one contract, run for each that the registry names."""

from __future__ import annotations

import gc
import inspect
import json
import re
import weakref
from pathlib import Path
from typing import Any

import pytest

import dn2
from dn2.errors import InputError
from dn2.kinds.options import options_in
from dn2.kinds.registry import KINDS, kind_of, options_of, owners_of, room_of
from dn2.model.words import describe_model
from dn2.results.files import read_rows
from dn2.system.printing import printable
from kinds.samples import Sample, sample_of

pytestmark = pytest.mark.parametrize("kind", KINDS, scope="module")


@pytest.fixture(scope="module")
def sample(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return sample_of(kind, tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="module")
def model(kind: str, sample: Sample) -> dn2.Model:
    """A model of the sample's normal items; not to be changed."""
    return dn2.fit(sample.normal, kind=kind, **sample.options)


@pytest.fixture(scope="module")
def results(model: dn2.Model, sample: Sample) -> dn2.Results:
    return model.score(sample.queries)


def bits(results: dn2.Results) -> list[Any]:
    """Return what must not change by as much as a bit."""
    return [(row, row.anomaly_score, [near.distance for near in row.neighbors]) for row in results]


def test_a_model_is_of_the_kind_asked_for_and_knows_its_items(kind: str, model: dn2.Model) -> None:
    assert model.kind.name == kind
    assert isinstance(model.kind, kind_of(kind))
    assert model.describe()["kind"] == kind
    assert model.calibration.sample_size > 0
    assert len({item.name for item in model.items}) == len(model.items) > 20


def test_what_is_strange_scores_highest_and_every_row_is_whole(sample: Sample, results: dn2.Results) -> None:
    scored = [row for row in results if row.error is None]
    assert max(scored, key=lambda row: row.anomaly_score or 0).item.rpartition("/")[2].startswith(sample.strange)
    for row in scored:
        assert row.anomaly_score >= 0  # type: ignore[operator]
        assert 0 < row.p_value <= 1  # type: ignore[operator]
        assert row.is_anomaly == (row.p_value <= results.false_alarm_rate)
        assert [near.distance for near in row.neighbors] == sorted(near.distance for near in row.neighbors)
    errors = [row for row in results if row.error is not None]
    assert [row.item.rpartition("/")[2] for row in errors] == ([] if sample.unreadable is None else [sample.unreadable])
    assert all(
        (row.anomaly_score, row.p_value, row.is_anomaly, row.neighbors) == (None, None, None, ()) for row in errors
    )


def test_a_model_that_scored_is_freed_once_nobody_holds_it(model: dn2.Model, sample: Sample, tmp_path: Path) -> None:
    model.save(tmp_path / "m.dn2")
    loaded = dn2.load(tmp_path / "m.dn2", cache=dn2.Cache(tmp_path / "cache.sqlite"))
    loaded.score(sample.queries)
    freed = weakref.ref(loaded)
    del loaded
    gc.collect()
    assert freed() is None


def test_what_is_not_one_item_gets_no_verdict(model: dn2.Model) -> None:
    with pytest.raises(InputError, match=r"score_one takes one|Model\.score"):
        model.score_one([object(), object()])


def test_a_saved_model_scores_alike_and_saves_the_same_bytes(
    model: dn2.Model, results: dn2.Results, sample: Sample, tmp_path: Path
) -> None:
    model.save(tmp_path / "one.dn2")
    loaded = dn2.load(tmp_path / "one.dn2")
    assert bits(loaded.score(sample.queries)) == bits(results)
    assert json.dumps(loaded.describe(), default=float) == json.dumps(model.describe(), default=float)
    loaded.save(tmp_path / "two.dn2")
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one.dn2", "two.dn2")]
    assert files[0] == files[1]


def test_items_added_and_removed_again_change_no_bit(
    kind: str, results: dn2.Results, sample: Sample, tmp_path: Path
) -> None:
    changed = dn2.fit(sample.normal, kind=kind, **sample.options)
    before = {item.name for item in changed.items}
    changed.add(sample.more)
    assert len(changed.items) > len(before)
    with pytest.raises(InputError, match="already"):
        changed.add(sample.more)
    changed.save(tmp_path / "m.dn2")
    changed = dn2.load(tmp_path / "m.dn2")
    changed.remove([item.name for item in changed.items if item.name not in before])
    assert bits(changed.score(sample.queries)) == bits(results)


def test_what_is_told_to_be_normal_is_an_alarm_no_more_and_undone_to_the_bit(
    kind: str, results: dn2.Results, sample: Sample, tmp_path: Path
) -> None:
    changed = dn2.fit(sample.normal, kind=kind, **sample.options)
    changed.save(tmp_path / "m.dn2")
    scored = [row for row in results if row.error is None]
    strange = next(row for row in scored if row.item.rpartition("/")[2].startswith(sample.strange))
    if not changed.kind.takes_verdicts:
        with pytest.raises(InputError, match="verdicts are of single items"):
            changed.feedback({strange.item: "normal"}, sample.queries)
        return
    others = {row.item: "defect" for row in scored if row.is_anomaly and row is not strange}
    heard = changed.feedback({strange.item: "normal", **others}, sample.queries)
    assert (heard.neighbors, heard.tests) == ([strange.item], len(others))
    changed.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2").score(sample.queries)
    assert bits(again) == bits(changed.score(sample.queries))
    assert not next(row for row in again if row.item == strange.item).is_anomaly
    changed.undo()
    assert bits(changed.score(sample.queries)) == bits(results)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_results_come_back_from_their_file(model: dn2.Model, results: dn2.Results, ending: str, tmp_path: Path) -> None:
    results.save(tmp_path / f"r.{ending}")
    assert read_rows(tmp_path / f"r.{ending}", model.kind.evidence) == list(results)
    named = () if model.kind.evidence is None else model.kind.evidence.file_columns
    assert set(results.columns[6:]) <= set(named)


def test_rows_are_said_in_one_line_that_no_terminal_is_steered_by(results: dn2.Results) -> None:
    for row in results:
        assert "\n" not in repr(row)
        if row.evidence is not None and row.error is None:
            name, words = row.evidence.say(row.neighbors, row.item)
            assert name
            assert words
            assert printable(f"{name} {words}") == f"{name} {words}"


def test_a_model_is_described_in_words(model: dn2.Model) -> None:
    described = describe_model(model.describe())
    assert {"kind", "reference items", "neighbours", "calibration"} <= {name for name, _ in described}
    assert all(name and value and "\n" not in value for name, value in described)
    assert model.kind.one
    assert model.kind.many


def test_a_page_shows_the_rows(kind: str, results: dn2.Results, sample: Sample, tmp_path: Path) -> None:
    results.to_html(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    data = json.loads(re.findall(r'<script[^>]* id="data"[^>]*>(.*?)</script>', page, re.S)[0])
    assert len(data["items"]["name"]) == sum(row.error is None for row in results)
    assert any(sample.strange in name for name in data["items"]["name"])
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_every_option_is_checked_documented_and_belongs(kind: str, sample: Sample) -> None:
    own = options_in(options_of(kind))
    documented = inspect.getdoc(dn2.fit) or ""
    for name, option in own.items():
        assert kind in owners_of(name)
        assert option.help.endswith(".")
        assert name in inspect.signature(dn2.fit).parameters
        assert re.search(rf"^{name} :", documented, re.M), name
        with pytest.raises(InputError, match=f"^{name} must be"):
            options_of(kind).of({name: object()})
    foreign = {name for other in KINDS for name in options_in(options_of(other))} - own.keys()
    for name in foreign:
        wrong = "x" if options_in(options_of(owners_of(name)[0]))[name].type is not bool else True
        with pytest.raises(InputError, match=f"^{name} belongs to .* and the items here are of the kind {kind}"):
            dn2.fit(sample.normal, kind=kind, **{**sample.options, name: wrong})


def test_what_stands_above_a_kind_is_found_by_its_name(kind: str) -> None:
    for room in ("page", "bench"):
        found = room_of(kind, room)
        assert found is None or found.__name__ == f"dn2.kinds.{kind}.{room}"
