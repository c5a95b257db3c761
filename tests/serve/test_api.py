"""The service's own interface, `/v1`: what it answers, what it refuses, and what it keeps."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

import dn2
from dn2.errors import InputError
from dn2.model.answering import Policy
from dn2.serve import received
from dn2.serve.limits import Limits
from dn2.serve.running import Settings, is_loopback
from serve_models import Opening, opened, png, saved_parts, saved_vectors, vectors
from small_patches import picture as plate
from small_patches import plate_model, plates, saved_plates

__all__ = ["opened", "plate_model", "plates", "saved_parts", "saved_plates", "saved_vectors"]

TOKEN = "0123456789abcdefghij"
FAR = [9.0, 9.0, 9.0, 9.0]
NEAR = [0.0, 0.0, 0.0, 0.0]


def scored(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return list(response.json()["results"])


# scoring


def test_pictures_are_scored_in_every_way_in_which_they_come(opened: Opening, saved_parts: Path) -> None:
    client, _ = opened(saved_parts)
    odd, usual = png(300, strange=True), png(301)
    expected = {row.item: row for row in dn2.load(saved_parts).score({"odd.png": odd, "usual.png": usual})}
    assert [expected["odd.png"].is_anomaly, expected["usual.png"].is_anomaly] == [True, False]
    forms = [
        client.post("/v1/score", files=[("file", ("odd.png", odd)), ("file", ("usual.png", usual))]),
        client.post("/v1/score?name=odd.png", content=odd),
        client.post("/v1/score?name=usual.png&model=parts", content=usual, headers={"content-type": "image/png"}),
    ]
    for response in forms:
        for result in scored(response):
            row = expected[result["item"]]
            assert result["anomaly_score"] == pytest.approx(row.anomaly_score, rel=1e-4)
            assert (result["p_value"], result["is_anomaly"]) == (row.p_value, row.is_anomaly)
            assert result["decision"] == ("reject" if row.is_anomaly else "accept")
            assert result["neighbors"][0]["item"] == row.neighbors[0].item
    assert forms[0].json()["version"] == dn2.load(saved_parts).origin.digest[:16]


def test_a_broken_picture_has_an_error_and_those_beside_it_none(opened: Opening, saved_parts: Path) -> None:
    client, _ = opened(saved_parts)
    files = [("file", ("a.png", png(1))), ("file", ("b.png", b"no picture")), ("file", ("c.png", b""))]
    assert [(row["decision"], row["error"] is None) for row in scored(client.post("/v1/score", files=files))] == [
        ("accept", True),
        ("error", False),
        ("error", False),
    ]


def test_rows_messages_and_columns_are_scored(opened: Opening, saved_vectors: Path, tmp_path: Path) -> None:
    table = pd.DataFrame(vectors(200), columns=list("abcd")).assign(city=["Rome", "Oslo"] * 100)
    dn2.fit(table).save(tmp_path / "rows.dn2")
    client, _ = opened(saved_vectors, tmp_path / "rows.dn2")
    found = scored(client.post("/v1/score?model=points", json={"items": [FAR, NEAR], "names": ["far", "near"]}))
    assert [(one["item"], one["decision"]) for one in found] == [("far", "reject"), ("near", "accept")]
    row = {"a": 0.1, "b": 0, "c": None, "d": 30.5, "city": "Rome"}
    found = scored(client.post("/v1/score?model=rows", json={"items": [row]}))
    assert found[0]["columns"][0]["column"] == "d"
    columns = {name: [value, value] for name, value in row.items()}
    assert len(scored(client.post("/v1/score?model=rows", json={"columns": columns}))) == 2


def test_a_model_of_patches_shows_where(opened: Opening, saved_plates: Path) -> None:
    client, _ = opened(saved_plates)
    file = io.BytesIO()
    Image.fromarray(plate(1, strange=True)).save(file, "PNG")
    (row,) = scored(client.post("/v1/score", content=file.getvalue()))
    assert row["regions"]
    links = row["links"]
    for link in (links["picture"], links["map"], links["crops"][0]):
        shown = client.get(link)
        assert shown.status_code == 200, shown.text
        assert shown.headers["content-type"] == Image.open(io.BytesIO(shown.content)).get_format_mimetype()
    drawn = np.asarray(Image.open(io.BytesIO(client.get(links["map"]).content)).convert("RGBA"))[..., 3]
    strangest = np.unravel_index(drawn.argmax(), drawn.shape) / np.array(drawn.shape)
    left, top, right, bottom = row["regions"][0]["box"]
    assert top / 72 - 0.1 <= strangest[0] <= bottom / 72 + 0.1
    assert left / 96 - 0.1 <= strangest[1] <= right / 96 + 0.1
    assert client.get(f"{links['item']}/crops/99").status_code == 404


# what is wrong


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"items": []}, 422, "at least one item"),
        ({"items": "abc"}, 422, "must be a list, got a text"),
        ({}, 422, "either items or columns"),
        ({"items": [NEAR], "columns": {"a": [1]}}, 422, "either items or columns"),
        ({"items": [NEAR], "path": "/etc/passwd"}, 422, "no 'path'"),
        ([NEAR], 422, "got a list"),
        ({"items": [NEAR], "names": ["a", "b"]}, 422, "names must be a list of 1 texts"),
        ({"items": [NEAR], "names": [1]}, 422, "names must be a list of 1 texts"),
        ({"items": [NEAR], "part": ["a"]}, 422, "fitted without"),
        ({"items": [[NEAR]]}, 422, "got a list"),
        ({"items": ["/etc/passwd"]}, 422, "a list of numbers, got a text"),
        ({"items": [{"path": "/etc/passwd"}]}, 422, "a list of numbers, got an object"),
        ({"items": [["a", "b", "c", "d"]]}, 422, "vectors come as"),
        ({"items": [NEAR], "per": ["\ud800"]}, 422, "half a character"),
        ({"items": [[1e400, 0, 0, 0]]}, 400, "no number of JSON"),
        ({"items": [[10**30, 0, 0, 0]]}, 422, "too large"),
        ({"columns": {"a": [1], "b": [1, 2]}}, 422, "lists of one length"),
        ({"columns": {"a": [[1]]}}, 422, "got a list"),
        ({"items": [NEAR] * 1_001}, 413, "at most 1,000 items"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_the_way_out(
    opened: Opening, saved_vectors: Path, body: Any, status: int, why: str
) -> None:
    client, _ = opened(saved_vectors)
    response = client.post("/v1/score", content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code == status, response.text
    assert why in response.json()["error"]


def test_rows_are_objects_as_anything_else_would_be_taken_for_their_columns(opened: Opening, tmp_path: Path) -> None:
    dn2.fit(pd.DataFrame(vectors(200), columns=list("abcd"))).save(tmp_path / "rows.dn2")
    client, _ = opened(tmp_path / "rows.dn2")
    for items in ([0, 0], ["a", "b"], [NEAR, NEAR], [None], [{"a": 1}, 5]):
        response = client.post("/v1/score", json={"items": items})
        assert response.status_code == 422
        assert "an object of its columns" in response.json()["error"]


def test_half_a_character_never_stays_in_what_is_kept(opened: Opening, saved_vectors: Path) -> None:
    client, _ = opened(saved_vectors)
    form = {"content-type": "application/json"}
    (row,) = scored(client.post("/v1/score", json={"items": [FAR]}))
    said = json.dumps({"verdict": "defect", "kind": "\ud800"})
    assert client.post(f"/v1/items/{row['id']}/verdict", content=said, headers=form).json()["kind"] == r"\ud800"
    assert client.get("/review/points/model").status_code == 200


def test_bodies_that_are_no_json_and_no_form_are_refused(opened: Opening, saved_vectors: Path) -> None:
    client, _ = opened(saved_vectors)
    json_form = {"content-type": "application/json"}
    for content in (b"", b"{", b"\xff", b"[" * 100_000, b'{"items": [NaN]}', b"9" * 10_000):
        assert client.post("/v1/score", content=content, headers=json_form).status_code in (400, 422)
    form = {"content-type": "multipart/form-data"}
    assert client.post("/v1/score", content=b"--x\r\n", headers=form).status_code == 400
    assert client.post("/v1/score", content=b"--x", headers={"content-type": form["content-type"] + "; boundary=x"})
    assert client.post("/v1/score", content=png(0)).status_code == 415
    assert client.post("/v1/score?model=other", json={"items": [NEAR]}).status_code == 404
    assert client.post("/v1/score?keep=perhaps", json={"items": [NEAR]}).status_code == 422
    half = json.dumps({"items": [["\ud800"]]}).encode()
    assert "half a character" in client.post("/v1/score", content=half, headers=json_form).json()["error"]


def test_json_of_too_many_values_is_refused_before_they_take_memory(
    opened: Opening, saved_vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = opened(saved_vectors)
    monkeypatch.setattr(received, "SMALL", 10)  # so that these are read in a thread
    assert client.post("/v1/score", json={"items": [NEAR]}).status_code == 200
    monkeypatch.setattr(received, "MOST_VALUES", 5)
    response = client.post("/v1/score", json={"items": [NEAR] * 2})
    assert response.status_code == 413
    assert "at most 5 values" in response.json()["error"]


def test_a_model_of_pictures_takes_no_json_and_no_paths(opened: Opening, saved_parts: Path) -> None:
    client, _ = opened(saved_parts)
    for body in ({"items": ["/etc/passwd"]}, {"columns": {"a": ["/etc/passwd"]}}):
        response = client.post("/v1/score", json=body)
        assert response.status_code in (415, 422)
        assert "bytes of pictures" in response.json()["error"]
    assert scored(client.post("/v1/score", content=b"/etc/passwd"))[0]["decision"] == "error"


def test_a_form_of_too_many_parts_and_a_body_that_is_too_large_are_refused(opened: Opening, saved_parts: Path) -> None:
    client, _ = opened(saved_parts, limits=Limits(body=100_000, items=10))
    files = [("file", (f"{n}.png", b"x")) for n in range(11)]
    response = client.post("/v1/score", files=files)
    assert response.status_code == 400
    assert "Maximum number of files is 10" in response.json()["error"]
    part = b'--x\r\nContent-Disposition: form-data; name="part"\r\n\r\n\r\n'
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/v1/score", content=part * 1_700, headers=form).status_code in (400, 422)
    for content in (b"x" * 100_001, iter([b"x" * 60_000] * 3)):  # the second does not say its length
        response = client.post("/v1/score", content=content)
        assert response.status_code == 413
        assert response.headers["connection"] == "close"
    assert client.post("/v1/score", headers={"content-length": "-5"}).status_code in (400, 413)


def test_a_bomb_of_a_picture_is_an_error_of_that_picture(opened: Opening, saved_parts: Path) -> None:
    client, _ = opened(saved_parts)
    file = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(file, "PNG")
    (row,) = scored(client.post("/v1/score", content=file.getvalue()))
    assert "limit of 178,956,970" in row["error"]


# who may


def test_without_a_token_only_this_machine_by_its_names_is_answered(opened: Opening, saved_vectors: Path) -> None:
    client, _ = opened(saved_vectors)
    assert client.get("/healthz").text == "ok"
    for host, status in (("localhost:80", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("evil.example", 421)):
        assert client.get("/v1/models", headers={"host": host}).status_code == status


def test_a_page_of_another_site_cannot_make_a_browser_change_anything(opened: Opening, saved_vectors: Path) -> None:
    client, _ = opened(saved_vectors)
    body = {"items": [FAR]}
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1234"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert client.post("/v1/score", json=body, headers=headers).status_code == 403
    own = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert client.post("/v1/score", json=body, headers=own).status_code == 200
    assert client.get("/v1/items").json()["items"][0]["item"]


def test_a_token_is_asked_for_everywhere_but_at_health_and_sign_in(opened: Opening, saved_vectors: Path) -> None:
    client, service = opened(saved_vectors, tokens=f"ada {TOKEN}\n")
    paths = ["/v1/models", "/v1/items", "/metrics", "/v2", "/v2/models/points", "/openapi.json", "/nothing", "/"]
    for path in paths:
        assert client.get(path).status_code == 401, path
        for wrong in ("Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", "Bearer \xff"):
            assert client.get(path, headers={"authorization": wrong.encode("latin-1")}).status_code == 401
    assert client.post("/v1/score", json={"items": [FAR]}).status_code == 401
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/v2/health/live", "/login")] == [200] * 4
    bearer = {"authorization": f"Bearer {TOKEN}", "host": "any.example"}
    assert client.get("/v1/models", headers=bearer).status_code == 200
    assert client.get("/review", headers={"accept": "text/html"}).headers["location"] == "/login"
    (row,) = scored(client.post("/v1/score", json={"items": [FAR]}, headers=bearer))
    client.post(f"/v1/items/{row['id']}/verdict", json={"verdict": "defect"}, headers=bearer)
    assert [(one.person, one.verdict) for one in service.store.said("points", 9)] == [("ada", "defect")]


def test_a_person_signs_in_on_a_page_and_out_again(opened: Opening, saved_vectors: Path) -> None:
    client, _ = opened(saved_vectors, tokens=f"ada {TOKEN}\n")
    wrong = client.post("/login", data={"token": "guess"})
    assert (wrong.status_code, wrong.headers["location"], "set-cookie" in wrong.headers) == (
        303,
        "/login?wrong=true",
        False,
    )
    right = client.post("/login", data={"token": TOKEN})
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    page = client.get("/review", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "Sign out ada" in page.text
    assert client.post("/logout").headers["location"] == "/login"
    assert client.get("/v1/models").status_code == 401


def test_a_service_that_others_reach_needs_tokens(saved_vectors: Path, tmp_path: Path) -> None:
    settings = Settings([saved_vectors], "0.0.0.0", 0, tmp_path, 1, None, Policy(), Limits())
    with pytest.raises(InputError, match="whoever reaches 0"):
        settings.check()
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "example.org")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


# what is kept


def test_alarms_audits_and_what_is_asked_are_kept_and_nothing_else(opened: Opening, saved_vectors: Path) -> None:
    client, _ = opened(saved_vectors, policy=Policy(audit=5, warn_rate=0.2))
    items = [*vectors(60, 5).tolist(), FAR]
    rows = scored(client.post("/v1/score", json={"items": items}))
    for row in rows:
        assert ("id" in row) == (bool(row["audit"]) or row["decision"] in ("warn", "reject"))
    assert 3 <= sum(row["audit"] for row in rows) <= 30
    (asked,) = scored(client.post("/v1/score?keep=true", json={"items": [[0.1, 0, 0, 0]], "names": ["asked"]}))
    assert client.get(asked["links"]["item"]).json()["why"] in ("asked", "audit")
    listed = client.get("/v1/items").json()["items"]
    assert {one["id"] for one in listed} == {row["id"] for row in (*rows, asked) if "id" in row}


def test_an_audit_tells_nothing_of_its_score_before_it_is_judged(opened: Opening, saved_vectors: Path) -> None:
    client, _ = opened(saved_vectors, policy=Policy(audit=2))
    rows = scored(client.post("/v1/score", json={"items": vectors(20, 5).tolist()}))
    audit = next(row for row in rows if row["audit"])
    shown = client.get(audit["links"]["item"]).json()
    assert set(shown) & {"anomaly_score", "p_value", "is_anomaly", "decision", "neighbors"} == set()
    client.post(f"{audit['links']['item']}/verdict", json={"verdict": "normal"})
    assert client.get(audit["links"]["item"]).json()["p_value"] == audit["p_value"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"verdict": "good"}, 422),
        ({"verdict": 1}, 422),
        ({}, 422),
        ([], 422),
        ({"verdict": "defect", "kind": 5}, 422),
        ({"verdict": "defect", "person": "somebody else"}, 422),
        ({"verdict": "defect", "kind": "x" * 20_000}, 422),
        ({"verdict": "defect", "kind": "<script>alert(1)</script>"}, 200),
        ({"verdict": None}, 200),
    ],
)
def test_a_verdict_is_normal_defect_unsure_or_taken_back(
    opened: Opening, saved_vectors: Path, said: Any, status: int
) -> None:
    client, _ = opened(saved_vectors)
    (row,) = scored(client.post("/v1/score", json={"items": [FAR]}))
    assert client.post(f"/v1/items/{row['id']}/verdict", json=said).status_code == status
    assert client.post("/v1/items/none/verdict", json={"verdict": "normal"}).status_code == 404


def test_paths_in_addresses_lead_nowhere(opened: Opening, saved_parts: Path) -> None:
    client, _ = opened(saved_parts)
    for path in (
        "/v1/items/..%2F..%2Fetc%2Fpasswd",
        "/v1/items/%2e%2e/picture",
        "/v1/models/..%2f..",
        "/v2/models/%00",
        "/review/..%2Fparts.dn2",
        "/review/%27%20OR%201=1",
        "/v1/items/x/crops/0",
    ):
        response = client.get(path)
        assert response.status_code in (404, 422), path
        assert "root:" not in response.text


def test_what_is_kept_is_taken_into_the_model_and_back(opened: Opening, saved_parts: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(saved_parts, tmp_path / "parts.dn2")
    client, _ = opened(tmp_path / "parts.dn2")
    before = client.get("/v1/models/parts").json()
    files = [("file", ("same.png", png(500 + seed, strange=True))) for seed in range(3)]
    rows = scored(client.post("/v1/score", files=files))
    assert [row["decision"] for row in rows] == ["reject"] * 3
    assert client.post("/v1/models/parts/feedback").status_code == 409
    for row, verdict in zip(rows, ("normal", "normal", "defect"), strict=True):
        client.post(f"/v1/items/{row['id']}/verdict", json={"verdict": verdict})
    taken = client.post("/v1/models/parts/feedback")
    assert taken.status_code == 200, taken.text
    after = client.get("/v1/models/parts").json()
    assert after["version"] == taken.json()["version"] != before["version"]
    assert after["reference_items"] == before["reference_items"] + 2
    again = scored(client.post("/v1/score", content=png(500, strange=True)))
    assert again[0]["decision"] == "accept"
    assert [word for word in taken.json()["words"] if "1 of 1 defects" in word or "defect" in word]
    back = client.post("/v1/models/parts/undo")
    assert back.status_code == 200, back.text
    assert client.get("/v1/models/parts").json()["version"] == before["version"]
    assert client.get("/v1/models/parts").json()["judged"] == 3
    assert scored(client.post("/v1/score", content=png(500, strange=True)))[0]["decision"] == "reject"
    assert client.post("/v1/models/parts/undo").status_code == 409


def test_verdicts_are_taken_in_once_also_where_that_cannot_be_noted(
    opened: Opening, saved_vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(saved_vectors, tmp_path / "points.dn2")
    client, service = opened(tmp_path / "points.dn2")

    def judge(vector: list[float]) -> None:
        (row,) = scored(client.post("/v1/score", json={"items": [vector]}))
        client.post(f"/v1/items/{row['id']}/verdict", json={"verdict": "normal"})

    judge(FAR)
    with monkeypatch.context() as patch:  # nothing is saved
        patch.setattr(dn2.Model, "save", lambda *_: (_ for _ in ()).throw(InputError("read-only")))
        assert client.post("/v1/models/points/feedback").status_code == 409
    assert client.get("/v1/models/points").json()["judged"] == 1
    with monkeypatch.context() as patch:  # it is saved, and then the disk is full
        patch.setattr(service.store, "took_in", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("full")))
        assert client.post("/v1/models/points/feedback").status_code == 503
    n_items = len(dn2.load(tmp_path / "points.dn2").items)
    assert client.post("/v1/models/points/feedback").status_code == 409
    judge([-9.0, 9.0, -9.0, 9.0])
    assert client.post("/v1/models/points/feedback").status_code == 200
    assert len(dn2.load(tmp_path / "points.dn2").items) == n_items + 1


def test_a_model_that_changed_is_taken_over_and_one_that_is_damaged_is_not(
    opened: Opening, saved_vectors: Path, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(saved_vectors, tmp_path / "points.dn2")
    client, service = opened(tmp_path / "points.dn2")
    served = service.models.of(None)
    model = dn2.load(tmp_path / "points.dn2")
    model.add([FAR], names=["far"]).save(tmp_path / "points.dn2")
    served.look()
    (row,) = scored(client.post("/v1/score", json={"items": [FAR]}))
    assert row["neighbors"][0] == {"item": "far", "distance": 0.0}
    manifest = (tmp_path / "points.dn2" / "model.json").read_bytes()
    (tmp_path / "points.dn2" / "model.json").write_bytes(manifest[:-9])
    served.look()
    assert "damaged" in client.get("/v1/models/points").json()["problem"]
    assert scored(client.post("/v1/score", json={"items": [FAR]}))[0]["neighbors"][0]["item"] == "far"
    (tmp_path / "points.dn2" / "model.json").write_bytes(manifest)
    served._again_at = 0.0
    served.look()
    assert client.get("/v1/models/points").json()["problem"] is None


# what is watched


def test_prometheus_reads_the_metrics(opened: Opening, saved_vectors: Path) -> None:
    client, service = opened(saved_vectors)
    served = service.models.of(None)
    while served.monitor is None:
        pass
    client.post("/v1/score", json={"items": [FAR, NEAR, [1.0]]})
    client.get("/v1/items/<b>")
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }
    assert values["dn2_items_total", "points", "reject"] == 1
    assert values["dn2_items_total", "error", "points"] == 1
    assert values["dn2_requests_total", "/v1/score", "200"] == 1
    assert values["dn2_requests_total", "/v1/items/{id}", "404"] == 1
    assert values["dn2_reference_items", "points"] == 300
    assert values["dn2_to_judge", "points"] == 1
    assert values["dn2_model_info", *sorted(["points", served.version])] == 1
    assert values["dn2_drift_alarm", "points"] == 0
    assert values["dn2_let_go_total",] == 0


def test_a_stream_that_changes_is_told_with_its_items_and_the_watch_goes_on_after_a_restart(
    opened: Opening, saved_vectors: Path
) -> None:
    client, service = opened(saved_vectors)
    served = service.models.of(None)
    while served.monitor is None:
        pass
    for seed, shift in ((10, 0.0), (11, 1.5)):
        client.post("/v1/score", json={"items": (vectors(300, seed) + shift).tolist()})
    drift = client.get("/v1/models/points").json()["drift"]
    assert 290 <= drift["alarm"]["since"]["number"] <= 310
    page = client.get("/review/points/model").text
    assert "the items are unlike those before" in page
    assert "dn2 recalibrate" in page
    service.close()
    again, second = opened(saved_vectors)
    while second.models.of(None).monitor is None:
        pass
    assert again.get("/v1/models/points").json()["drift"] == drift


def test_names_are_shown_as_texts_on_every_page(opened: Opening, saved_vectors: Path) -> None:
    client, _ = opened(saved_vectors)
    name = "</script><img src=x onerror=alert(1)>"
    (row,) = scored(client.post("/v1/score", json={"items": [FAR], "names": [name]}))
    client.post(f"/v1/items/{row['id']}/verdict", json={"verdict": "defect", "kind": name})
    for path in ("/review", "/review/points", f"/review/points?open={row['id']}", "/review/points/model", "/login"):
        page = client.get(path)
        assert page.status_code == 200
        assert "<img" not in page.text
        assert page.headers["content-security-policy"] == "frame-ancestors 'none'"


def test_the_description_names_every_path(opened: Opening, saved_vectors: Path) -> None:
    client, _ = opened(saved_vectors)
    about = client.get("/openapi.json").json()
    assert {"/v1/score", "/v2/models/{model}/infer", "/healthz", "/metrics"} <= set(about["paths"])
    assert about["paths"]["/v1/score"]["post"]["requestBody"]["content"]["application/json"]["examples"]
