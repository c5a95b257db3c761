"""A service as a process: how it starts and ends, what a kill leaves, and clients that mean no good."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

import dn2
from dn2.serve import running
from dn2.serve.store import Store
from serve_models import Process, saved_vectors, serving

__all__ = ["saved_vectors", "serving"]

FAR = [9.0, 9.0, 9.0, 9.0]


def post(address: str, body: Any) -> Any:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def read_all(connection: socket.socket) -> bytes:
    connection.settimeout(30)
    received = b""
    while more := connection.recv(1 << 16):
        received += more
    return received


def hangs_up(connection: socket.socket, sent: Iterable[bytes]) -> bool:
    """Tell whether the other side closes a connection while something is sent."""
    try:
        for part in sent:
            connection.sendall(part)
    except OSError:
        return True
    return False


def test_a_service_is_killed_under_load_and_no_verdict_that_it_acknowledged_is_lost(
    serving: Callable[..., Process], saved_vectors: Path, tmp_path: Path
) -> None:
    process = serving(saved_vectors)
    acknowledged: list[str] = []
    for _ in range(2):
        stops = threading.Event()

        def judge(stops: threading.Event = stops) -> None:
            try:
                while not stops.is_set():
                    (row,) = post(f"{process.address}/v1/score", {"items": [FAR]})["results"]
                    post(f"{process.address}{row['links']['item']}/verdict", {"verdict": "defect"})
                    acknowledged.append(row["id"])
            except OSError:
                pass  # killed

        threads = [threading.Thread(target=judge) for _ in range(4)]
        for thread in threads:
            thread.start()
        before = len(acknowledged)
        while len(acknowledged) < before + 20:
            time.sleep(0.01)
        process.kill()
        stops.set()
        for thread in threads:
            thread.join()
        process.start()
    process.kill()
    store = Store(tmp_path / "data 0", 1 << 30)
    assert set(acknowledged) <= {one.id for one in store.judged("points")}
    store.close()


def test_a_service_that_is_ended_finishes_what_is_at_work_and_takes_over_a_changed_model_meanwhile(
    serving: Callable[..., Process], saved_vectors: Path, tmp_path: Path
) -> None:
    shutil.copytree(saved_vectors, tmp_path / "points.dn2")
    process = serving(tmp_path / "points.dn2")
    versions: set[str] = set()
    failures: list[BaseException] = []
    stops = threading.Event()

    def ask() -> None:
        try:
            while not stops.is_set():
                versions.add(post(f"{process.address}/v1/score", {"items": [FAR] * 20})["version"])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    model = dn2.load(tmp_path / "points.dn2")
    model.remove(["point 1"]).save(tmp_path / "points.dn2")
    end = time.monotonic() + 30
    while len(versions) < 2 and not failures and time.monotonic() < end:
        time.sleep(0.05)
    stops.set()
    for thread in threads:
        thread.join()
    assert (len(versions), failures) == (2, [])

    half = json.dumps({"items": [FAR]}).encode()
    with socket.create_connection(("127.0.0.1", process.port)) as connection:
        head = "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(half)}\r\n\r\n".encode() + half[:10])
        time.sleep(0.2)
        process.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        connection.sendall(half[10:])
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 200")
    said = process.process.communicate(timeout=30)[1]
    assert process.process.returncode == 0
    assert "is taken over" in said
    assert said.splitlines()[-1].startswith("ended")


def test_a_client_that_is_slow_or_endless_is_left(serving: Callable[..., Process], saved_vectors: Path) -> None:
    process = serving(saved_vectors, options=("--max-body", "1MB"))
    huge = HTTPConnection("127.0.0.1", process.port)
    huge.putrequest("POST", "/v1/score")
    huge.putheader("Content-Length", str(1 << 30))
    huge.endheaders()
    assert huge.getresponse().status == 413
    huge.close()
    with socket.create_connection(("127.0.0.1", process.port)) as connection:  # chunks without end
        connection.sendall(b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"40000\r\n" + b"x" * (1 << 18) + b"\r\n"
        assert hangs_up(connection, itertools.repeat(chunk, 400)) or b" 413 " in read_all(connection)[:20]
    with socket.create_connection(("127.0.0.1", process.port)) as connection:  # headers without end
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert hangs_up(connection, (b"X-%d: %s\r\n" % (number, b"y" * 1_000) for number in range(100_000)))
    with urllib.request.urlopen(f"{process.address}/healthz") as answer:
        assert answer.read() == b"ok"


@contextmanager
def answering(size: int) -> Iterator[Any]:
    """Serve answers of a size by the protocol of the service, in a thread; give the address."""
    import asyncio

    import uvicorn

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": b"k" * size})

    config = uvicorn.Config(app, http=running._Patient, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    socket_of_server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[socket_of_server])))
    thread.start()
    try:
        yield socket_of_server.getsockname()
    finally:
        server.should_exit = True
        thread.join()
        socket_of_server.close()


def test_a_connection_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "HEADER_SECONDS", 0.3)
    with answering(2) as address:
        for first, sent in ((b"", b""), (b"", b"GET / HT"), (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HT")):
            with socket.create_connection(address) as connection:
                connection.sendall(first)
                while first and not connection.recv(1 << 16, socket.MSG_PEEK).endswith(b"kk"):
                    pass
                connection.sendall(sent)
                started = time.monotonic()
                answer = read_all(connection)
                assert 0.2 < time.monotonic() - started < 3
                assert answer.endswith(b"kk") == bool(first)


def test_a_connection_whose_answer_is_not_read_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "ANSWER_SECONDS", 0.5)
    size = 30_000_000  # more than the buffers of a connection hold
    with answering(size) as address:
        for waits in (0.0, 1.0):
            with socket.create_connection(address) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                time.sleep(waits)
                try:
                    is_whole = sum(map(len, iter(lambda: connection.recv(1 << 20), b""))) > size
                except ConnectionError:
                    is_whole = False
                assert is_whole == (not waits)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--host", "0.0.0.0"], "--token-file"),
        (["--port", "70000"], "--port"),
        (["--queue", "0"], "--queue"),
        (["--max-body", "much"], "a size such as 4GB"),
        (["--warn-rate", "0.001"], "--warn-rate"),
        (["--audit", "1"], "--audit"),
        (["--token-file", "missing"], "cannot be read"),
    ],
)
def test_a_service_that_cannot_be_is_refused_before_it_listens(
    options: list[str], why: str, saved_vectors: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from dn2.cli.main import _run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["dn2", "serve", str(saved_vectors), "--port", "0", *options])
    assert _run() == 2
    assert why in capfd.readouterr().err


def test_two_models_of_one_name_and_a_port_in_use_are_refused(
    saved_vectors: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dn2.cli.main import _run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["dn2", "serve", str(saved_vectors), str(saved_vectors)])
    assert _run() == 2
    assert "two would be called 'points'" in capfd.readouterr().err
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        monkeypatch.setattr("sys.argv", ["dn2", "serve", str(saved_vectors), "--port", str(used.getsockname()[1])])
        assert _run() == 2
    assert "give another --port" in capfd.readouterr().err
