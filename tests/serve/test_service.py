"""What a service does where something fails: who asks leaves, the disk is full, a folder holds what it should not."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NoReturn

import pytest
from starlette.requests import ClientDisconnect, Request

import dn2
from dn2.errors import InputError
from dn2.model.answering import Policy
from dn2.results.rows import Row
from dn2.serve import served as served_module
from dn2.serve.line import Answer
from dn2.serve.served import check_names
from dn2.serve.service import while_there
from serve_models import Opening, opened, saved_vectors, vectors

__all__ = ["opened", "saved_vectors"]

FAR = [9.0, 9.0, 9.0, 9.0]


def test_a_request_whose_client_left_waits_no_longer() -> None:
    async def leaves() -> Any:
        return {"type": "http.disconnect"}

    async def stays() -> Any:
        await asyncio.sleep(60)

    async def check() -> None:
        left: Future[Answer] = Future()
        with pytest.raises(ClientDisconnect):
            await while_there(Request({"type": "http"}, leaves), left)
        assert left.cancelled()
        answered: Future[Answer] = Future()
        answered.set_result(Answer([Row("a")], "v"))
        assert (await while_there(Request({"type": "http"}, stays), answered)).version == "v"

    asyncio.run(check())


def test_items_are_scored_also_where_nothing_can_be_kept(
    opened: Opening, saved_vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service = opened(saved_vectors)
    (kept,) = client.post("/v1/score", json={"items": [FAR]}).json()["results"]

    def fails(*_: Any) -> NoReturn:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        for name in ("keep", "say", "keep_watch"):
            patch.setattr(service.store, name, fails)
        (row,) = client.post("/v1/score", json={"items": [FAR]}).json()["results"]
        assert (row["decision"], "id" in row) == ("reject", False)
        response = client.post(f"/v1/items/{kept['id']}/verdict", json={"verdict": "defect"})
        assert response.status_code == 503
        assert "disk is full" in response.json()["error"]
        service.keep_watches()
    assert 'dn2_items_not_kept_total{model="points"} 1.0' in client.get("/metrics").text
    assert client.post(f"/v1/items/{kept['id']}/verdict", json={"verdict": "defect"}).status_code == 200


def test_whatever_is_in_a_folder_the_model_that_was_loaded_serves_on(
    opened: Opening, saved_vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, service = opened(saved_vectors)
    one = service.models.of("points")

    def fails(*_: Any, **__: Any) -> NoReturn:
        raise KeyError("files")

    with monkeypatch.context() as patch:
        patch.setattr(served_module, "load", fails)
        patch.setattr(served_module, "_stamp", lambda _: (1,))
        one.look()
    assert "files" in one.problem
    assert one.state.items


def test_the_scores_of_audits_are_not_among_recent_items(opened: Opening, saved_vectors: Path) -> None:
    client, service = opened(saved_vectors, policy=Policy(audit=2))
    results = client.post("/v1/score", json={"items": [[0.0, 0.0, 0.0, n / 100] for n in range(40)]}).json()["results"]
    audits = [bool(row.get("audit")) for row in results]
    assert 0 < sum(audits) < 40
    recent = service.models.of("points").recent
    assert [(one.p_value, one.is_anomaly) == (None, None) for one in recent] == audits


def test_the_title_of_the_page_does_not_tell_how_many_audits_were_flagged(opened: Opening, saved_vectors: Path) -> None:
    client, _ = opened(saved_vectors, policy=Policy(audit=2))
    client.post("/v1/score", json={"items": [[0.0, 0.0, 0.0, n / 100] for n in range(20)]})
    page = client.get("/review/points").text
    assert "anomalous at" not in page.split("<script")[0]
    assert "items to judge</title>" in page


@pytest.mark.parametrize("name", [".dn2", "..dn2", "a\nb.dn2", "\udcff.dn2"])
def test_a_folder_whose_name_no_request_can_say_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rename the folder"):
        check_names([tmp_path / name])


def test_labels_that_were_sent_with_an_item_go_into_the_model_with_its_verdict(opened: Opening, tmp_path: Path) -> None:
    rows = vectors(80).repeat(2, axis=0) + vectors(160, 1) / 50
    model = dn2.fit(rows, part=[f"p{n // 2}" for n in range(160)], false_alarm_rate=0.1)
    model.save(tmp_path / "parts.dn2")
    client, service = opened(tmp_path / "parts.dn2")
    sent = {"items": [[9.0] * 4, [-9.0] * 4], "names": ["a", "b"], "part": ["new", "other"]}
    results = client.post("/v1/score", json=sent).json()["results"]
    assert [row["part"] for row in results] == ["new", "other"]
    for row in results:
        client.post(f"/v1/items/{row['id']}/verdict", json={"verdict": "normal"})
    taken = client.post("/v1/models/parts/feedback")
    assert taken.status_code == 200, taken.text
    items = {item.name: item.part for item in service.models.of(None).state.items}
    assert (items["a"], items["b"]) == ("new", "other")
