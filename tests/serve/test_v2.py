"""The Open Inference Protocol: NVIDIA's client for it, and requests as others write them."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dn2
from dn2.serve.limits import Limits
from serve_models import Opening, Process, opened, png, saved_parts, saved_vectors, vectors
from small_series import short_pump

__all__ = ["opened", "saved_parts", "saved_vectors"]

FAR, NEAR = [9.0, 9.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0]
NAMES = ["anomaly_score", "p_value", "is_anomaly", "decision", "neighbors"]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, saved_parts: Path, saved_vectors: Path) -> Iterator[Process]:
    """Serve a model of pictures and one of vectors."""
    process = Process(tmp_path_factory.mktemp("v2"), saved_parts, saved_vectors)
    yield process
    status, said = process.end()
    assert (status, "fault" in said) == (0, False), said


@pytest.fixture
def triton(process: Process) -> Iterator[Any]:
    """Return NVIDIA's client of HTTP, connected to it."""
    client = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]: the extra dev")
    with client.InferenceServerClient(process.address.removeprefix("http://")) as connected:
        yield client, connected


def test_tritons_client_finds_the_models_and_what_they_take(triton: Any) -> None:
    _, connected = triton
    assert connected.is_server_live()
    assert connected.is_server_ready()
    assert connected.is_model_ready("parts")
    assert not connected.is_model_ready("other")
    assert connected.get_server_metadata()["name"] == "dn2"
    about = connected.get_model_metadata("points")
    assert about["inputs"] == [{"name": "vector", "datatype": "FP32", "shape": [-1, 4]}]
    assert [output["name"] for output in about["outputs"]] == NAMES


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("kind", ["FP32", "FP64", "INT64"])
def test_tritons_client_sends_vectors(triton: Any, saved_vectors: Path, binary: bool, kind: str) -> None:
    client, connected = triton
    sent = np.array([FAR, NEAR, [1, 2, 0, -1]], {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}[kind])
    tensor = client.InferInput("vector", list(sent.shape), kind)
    tensor.set_data_from_numpy(sent, binary_data=binary)
    outputs = [client.InferRequestedOutput(name, binary_data=binary) for name in NAMES]
    for asked in (None, outputs):
        answer = connected.infer("points", [tensor], outputs=asked, request_id="17")
        expected = dn2.load(saved_vectors).score(sent)
        np.testing.assert_allclose(answer.as_numpy("anomaly_score"), [row.anomaly_score for row in expected], rtol=1e-5)
        assert answer.as_numpy("p_value").tolist() == [row.p_value for row in expected]
        assert answer.as_numpy("is_anomaly").tolist() == [row.is_anomaly for row in expected]
        assert [json.loads(one)[0]["item"] for one in answer.as_numpy("neighbors")] == [
            row.neighbors[0].item for row in expected
        ]
        assert answer.get_response()["id"] == "17"


def test_tritons_client_sends_pictures_as_files_and_as_pixels(triton: Any, saved_parts: Path) -> None:
    client, connected = triton
    pictures = [png(900, strange=True), png(901)]
    files = client.InferInput("image", [2], "BYTES")
    files.set_data_from_numpy(np.array(pictures, object))
    pixels = np.stack([np.random.default_rng(seed).integers(110, 130, (40, 40, 3), np.uint8) for seed in (1, 2)])
    pixels[0, 8:32, 8:32] = 0
    raw = client.InferInput("image", [2, 40, 40, 3], "UINT8")
    raw.set_data_from_numpy(pixels)
    for tensor in (files, raw):
        answer = connected.infer("parts", [tensor])
        assert answer.as_numpy("decision").tolist() == [b"reject", b"accept"]


def test_tritons_client_is_told_what_is_wrong(triton: Any) -> None:
    client, connected = triton
    tensor = client.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"no picture"], object))
    with pytest.raises(Exception, match="item 1 cannot be read"):
        connected.infer("parts", [tensor])
    with pytest.raises(Exception, match="in service as version"):
        connected.infer("parts", [tensor], model_version="7")


def one(name: str, kind: str, data: Any, shape: list[int] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": [len(data)] if shape is None else shape, "data": data, **more}


def data_of(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return {output["name"]: output["data"] for output in response.json()["outputs"]}


def test_json_carries_pictures_in_base64_vectors_in_lists_rows_by_column_and_series(
    opened: Opening, saved_parts: Path, saved_vectors: Path, tmp_path: Path
) -> None:
    table = pd.DataFrame(vectors(200), columns=list("abcd")).assign(city=["Rome", "Oslo"] * 100)
    dn2.fit(table).save(tmp_path / "rows.dn2")
    dn2.fit(short_pump(), kind="series", time="time", window=20).save(tmp_path / "pump.dn2")
    client, _ = opened(saved_parts, saved_vectors, tmp_path / "rows.dn2", tmp_path / "pump.dn2")
    encoded = [base64.b64encode(png(900, strange=True)).decode()]
    picture = one("image", "BYTES", encoded, parameters={"content_type": "base64"})
    assert data_of(client.post("/v2/models/parts/infer", json={"inputs": [picture]}))["decision"] == ["reject"]
    for data in ([FAR, NEAR], [*FAR, *NEAR]):
        body = {"inputs": [one("vector", "FP32", data, [2, 4])], "outputs": [{"name": "is_anomaly"}]}
        assert data_of(client.post("/v2/models/points/infer", json=body)) == {"is_anomaly": [True, False]}
    columns = [one(name, "FP64", [0.1, 40.0]) for name in "abcd"] + [one("city", "BYTES", ["Rome", "Rome"])]
    found = data_of(client.post("/v2/models/rows/infer", json={"inputs": columns}))
    assert found["decision"] == ["accept", "reject"]
    about = client.get("/v2/models/rows").json()["inputs"]
    assert {column["name"]: column["datatype"] for column in about} == dict.fromkeys("abcd", "FP64") | {"city": "BYTES"}
    new = short_pump(seed=1)
    points = [one("time", "BYTES", new["time"].astype(str).tolist())]
    points += [one(name, "FP64", new[name].tolist()) for name in new if name != "time"]
    found = data_of(client.post("/v2/models/pump/infer", json={"inputs": points}))
    assert len(found["p_value"]) == len(dn2.load(tmp_path / "pump.dn2").score(new))


GOOD = one("vector", "FP32", FAR, [1, 4])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ([], "an object with inputs"),
        ({}, "inputs, a list"),
        ({"inputs": []}, "inputs, a list"),
        ({"inputs": [5]}, "each input must be an object"),
        ({"inputs": [GOOD | {"shape": [1, 5]}]}, "the 5 elements of its shape, got 4"),
        ({"inputs": [GOOD | {"shape": [-1, 4]}]}, "whole numbers"),
        ({"inputs": [GOOD | {"shape": []}]}, "whole numbers"),
        ({"inputs": [GOOD | {"shape": [1, 1, 1, 1, 4]}]}, "whole numbers"),
        ({"inputs": [GOOD | {"datatype": "BF16"}]}, "the datatype"),
        ({"inputs": [GOOD | {"datatype": ["FP32"]}]}, "the datatype"),
        ({"inputs": [GOOD | {"datatype": {}}]}, "the datatype"),
        ({"inputs": [GOOD | {"datatype": "INT8", "data": [300, 0, 0, 0]}]}, "not all INT8"),
        ({"inputs": [GOOD | {"datatype": "UINT8", "data": [-1, 0, 0, 0]}]}, "not all UINT8|not UINT8"),
        ({"inputs": [GOOD | {"datatype": "INT64", "data": [0.5, 0, 0, 0]}]}, "not all INT64"),
        ({"inputs": [GOOD | {"datatype": "FP16", "data": [1e6, 0, 0, 0]}]}, "too large"),
        ({"inputs": [GOOD | {"datatype": "BYTES"}]}, "must be texts"),
        ({"inputs": [GOOD | {"data": ["a"] * 4}]}, "must be numbers"),
        ({"inputs": [GOOD | {"data": [10**400] * 4}]}, "FP32|vectors"),
        ({"inputs": [GOOD, GOOD]}, "one name"),
        ({"inputs": [GOOD, GOOD | {"name": "other"}]}, "one input, vector, got 2"),
        ({"inputs": [GOOD | {"parameters": {"binary_data_size": 16}}]}, "bytes that follow"),
        ({"inputs": [GOOD | {"parameters": 5}]}, "parameters"),
        ({"inputs": [GOOD], "outputs": [{"name": "other"}]}, "outputs are objects"),
        ({"inputs": [GOOD], "outputs": [{"name": ["p_value"]}]}, "outputs are objects"),
        ({"inputs": [GOOD], "outputs": 5}, "outputs are objects"),
        ({"inputs": [GOOD], "id": 5}, "id must be a text"),
        ({"inputs": [GOOD | {"data": FAR[:3], "shape": [1, 3]}]}, "of the shape [n, 4]"),
        ({"inputs": [GOOD | {"data": FAR, "shape": [4]}]}, "of the shape"),
    ],
)
def test_a_wrong_request_is_refused(opened: Opening, saved_vectors: Path, body: Any, why: str) -> None:
    client, _ = opened(saved_vectors)
    response = client.post("/v2/models/points/infer", content=json.dumps(body))
    assert response.status_code in (400, 422), response.text
    assert any(words in response.json()["error"] for words in why.split("|")), response.text


def test_binary_data_that_do_not_fit_are_refused(opened: Opening, saved_parts: Path) -> None:
    client, _ = opened(saved_parts)
    for data, size in (
        (b"\x05\x00\x00\x00abc", 7),  # the element is longer than what is left
        (b"\x05\x00", 2),
        (struct.pack("<I", 2**32 - 1), 4),
        (b"\x01\x00\x00\x00a", 4),  # a byte belongs to nothing
    ):
        tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": size}}
        head = json.dumps({"inputs": [tensor]}).encode()
        for length in (str(len(head)), "99999999", "-1", "x", "9" * 5_000, b"\xb2"):
            headers = {"inference-header-content-length": length}
            assert client.post("/v2/models/parts/infer", content=head + data, headers=headers).status_code == 400
    squeezed = {"content-encoding": "gzip"}
    assert client.post("/v2/models/parts/infer", content=b"x", headers=squeezed).status_code == 415


def test_more_items_than_one_request_may_have_are_refused_before_each_takes_memory(
    opened: Opening, saved_parts: Path, saved_vectors: Path
) -> None:
    client, _ = opened(saved_parts, saved_vectors, limits=Limits(items=2))
    pixels = one("image", "UINT8", [0] * 9, [3, 1, 1, 3])
    points = one("vector", "FP32", FAR * 3, [3, 4])
    for model, tensor in (("parts", pixels), ("points", points)):
        response = client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]})
        assert response.status_code == 413
        assert "at most 2 items, got 3" in response.json()["error"]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 12}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"inference-header-content-length": str(len(head))}
    response = client.post("/v2/models/parts/infer", content=head + bytes(12), headers=headers)
    assert "the 1 elements of its shape, got more" in response.json()["error"]
