"""What strangers send is scored as `Model.score` scores it, and is never taken for a path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dn2
from dn2.errors import InputError
from dn2.model.answering import Asked, Policy, answer, together
from dn2.model.model import Model
from dn2.results.rows import Row
from serve_models import png, vectors
from small_language import write_model
from small_series import short_pump
from small_tables import frame

NOTHING = Policy()


def shown(rows: Any) -> list[tuple[Any, ...]]:
    return [(row.item, row.anomaly_score, row.p_value, row.is_anomaly, row.neighbors, row.error) for row in rows]


def of_vectors() -> tuple[Model, list[Any]]:
    return dn2.fit(vectors(200)), [*vectors(3, 1).tolist(), [9.0, 9, 9, 9], [1.0, 2]]


def of_rows() -> tuple[Model, list[Any]]:
    rows = frame(200).to_dict("records")
    return dn2.fit(frame(200)), [*rows[:3], {"other": 1}]


def of_pictures() -> tuple[Model, list[Any]]:
    pictures = [png(seed) for seed in range(60)]
    model = dn2.fit(pictures, backbone="lite0@32", cache=False)
    return model, [png(100), png(101, strange=True), b"no picture", b""]


@pytest.mark.parametrize("make", [of_vectors, of_rows, of_pictures])
def test_what_is_asked_about_is_scored_as_by_the_model_one_by_one_and_together(
    make: Callable[[], tuple[Model, list[Any]]],
) -> None:
    model, items = make()
    names = [f"item {number}" for number in range(len(items))]
    expected = shown(model.score(dict(zip(names, items, strict=True)), progress=False))
    assert shown(answer(model.state, Asked(items, names), NOTHING)) == expected
    alone = [answer(model.state, Asked([item], [name]), NOTHING)[0] for item, name in zip(items, names, strict=True)]
    for one, row in zip(shown(alone), expected, strict=True):
        assert one[:1] + one[3:4] == row[:1] + row[3:4]
        assert (one[-1] is None) == (row[-1] is None)
        if row[1] is not None:
            np.testing.assert_allclose(one[1:3], row[1:3], rtol=1e-4)


def test_a_text_that_is_the_name_of_a_file_is_a_text(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("never to be read\n")
    model = dn2.fit(
        [f"message number {n} about the door" for n in range(30)],
        kind="text",
        backbone=str(write_model(tmp_path / "language")),
        cache=False,
    )
    for items in ([str(secret)], [str(secret), "/etc/passwd"], ["@list.txt", "*.txt"]):
        rows = answer(model.state, Asked(items, [f"n{n}" for n in range(len(items))]), NOTHING)
        assert len(rows) == len(items)
        assert all(row.error is None for row in rows)
    sent, read = (answer(model.state, Asked([text], ["n"]), NOTHING)[0] for text in (str(secret), "never to be read"))
    assert sent.anomaly_score != read.anomaly_score


@pytest.mark.parametrize("item", ["/etc/passwd", {"path": "/etc/passwd"}, ["/etc/passwd"], None, 5, True])
@pytest.mark.parametrize("make", [of_vectors, of_rows])
def test_what_is_no_item_of_the_kind_is_refused_or_an_error(make: Callable[[], Any], item: Any) -> None:
    model, _ = make()
    try:
        rows = answer(model.state, Asked([item], ["n"]), NOTHING)
    except InputError:
        return
    assert [row.error is not None for row in rows] == [True]


def test_points_of_series_come_as_columns() -> None:
    points = short_pump()
    model = dn2.fit(points, kind="series", time="time", window=20)
    new = short_pump(seed=1)
    columns = {name: new[name].astype(str).tolist() if name == "time" else new[name].tolist() for name in new}
    assert shown(answer(model.state, Asked(columns), NOTHING)) == shown(model.score(new))


def test_labels_are_those_that_are_sent_or_else_by_the_models_rule() -> None:
    names = [f"tile{n // 3}_{n % 3}" for n in range(150)]
    rows = vectors(50).repeat(3, axis=0) + vectors(150, 1) / 50
    model = dn2.fit(rows, names=names, part="(.*)_[0-9]+")
    item = rows[0].tolist()
    by_name = answer(model.state, Asked([item], ["tile0_9"]), NOTHING)[0]
    sent = answer(model.state, Asked([item], ["n"], part=["tile0"]), NOTHING)[0]
    strange = answer(model.state, Asked([item, item], ["n", "m"], part=["other", "tile0"]), NOTHING)
    assert by_name.part == sent.part == "tile0"
    assert by_name.anomaly_score == sent.anomaly_score == strange[1].anomaly_score
    assert strange[0].neighbors[0].distance == 0 < sent.neighbors[0].distance
    with pytest.raises(InputError, match="fitted without per="):
        answer(model.state, Asked([item], ["n"], per=["line 1"]), NOTHING)


def test_a_cell_of_a_row_is_its_label_where_the_rule_is_a_column() -> None:
    table = frame(240).assign(customer=[f"c{n // 2}" for n in range(240)])
    model = dn2.fit(table, part="customer")
    row = table.iloc[4].to_dict()
    (scored,) = answer(model.state, Asked([row], ["n"]), NOTHING)
    assert scored.part == "c2"


def test_audits_are_drawn_by_content_and_the_same_again() -> None:
    model = dn2.fit(vectors(200))
    items = vectors(400, 1).tolist()

    def audits(items: list[Any], names: list[str]) -> list[bool | None]:
        return [row.audit for row in answer(model.state, Asked(items, names), Policy(audit=4))]

    drawn = audits(items, ["n"] * 400)
    assert 60 < sum(map(bool, drawn)) < 140
    assert audits(items, ["n"] * 400) == drawn
    assert audits(items[:1], ["n"]) + audits(items[1:2], ["n"]) == drawn[:2]
    columns = {f"c{n}": [float(row[n]) for row in items[:9]] for n in range(4)}
    table = dn2.fit({f"c{n}": vectors(200)[:, n].tolist() for n in range(4)}, kind="table")
    assert [row.audit for row in answer(table.state, Asked(columns), Policy(audit=2))].count(True) in range(1, 9)


def test_an_item_is_decided_at_the_rates_of_the_service() -> None:
    model = dn2.fit(vectors(200))
    items, names = vectors(300, 1).tolist(), [str(n) for n in range(300)]
    rows = answer(model.state, Asked(items, names), Policy(false_alarm_rate=0.05, warn_rate=0.2))
    expected = model.score(items, false_alarm_rate=0.05, warn_rate=0.2)
    assert [row.decision for row in rows] == [row.decision for row in expected]
    with pytest.raises(InputError):
        Policy(warn_rate=0.001).check(model.state)
    with pytest.raises(InputError):
        Policy(audit=1).check(model.state)


def test_a_group_is_a_tuple_of_pictures() -> None:
    groups = {f"box {n}": [png(10 * n + m) for m in range(3)] for n in range(30)}
    model = dn2.fit(groups, groups=True, backbone="lite0@32", cache=False)
    sent = (png(1000), png(1001))
    (row,) = answer(model.state, Asked([sent], ["new box"]), NOTHING)
    (expected,) = model.score({"new box": list(sent)})
    assert shown([row]) == shown([expected])


def test_requests_are_put_together_in_order() -> None:
    some = [Asked([1], ["a"], part=["p"]), Asked([2, 3], ["b", "c"], part=["q", "r"])]
    assert together(some) == Asked([1, 2, 3], ["a", "b", "c"], ["p", "q", "r"])
    assert isinstance(answer(dn2.fit(vectors(50)).state, Asked([[0.0] * 4], ["a"]), NOTHING)[0], Row)
