"""Where results are sent in tests: a webhook in this process, and a real broker where mosquitto is installed."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until something holds.  Raises AssertionError after so many seconds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.01)


class Hook:
    """A webhook: what it was sent, with the headers; it answers as `statuses` say, then with 204."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.messages: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.statuses: list[int] = []

    @contextmanager
    def open(self) -> Iterator[str]:
        """Serve inside, and give the URL."""
        hook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = hook.statuses.pop(0) if hook.statuses else 204
                if status < 300:
                    hook.messages.append(json.loads(body))
                    hook.headers.append(dict(self.headers))
                    hook.paths.append(self.path)
                self.send_response(status)
                if status in (301, 302, 307):
                    self.send_header("Location", f"http://127.0.0.1:{hook.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        server.block_on_close = False
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{self.port}/hook"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class Broker:
    """A mosquitto that keeps sessions in a folder, and can be stopped and started again."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        assert MOSQUITTO is not None
        self.port = free_port() if port is None else port
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = folder / "mosquitto.conf"
        self._settings.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nmax_queued_messages 0\nuser root\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it listens."""
        silent = subprocess.DEVNULL
        self._process = subprocess.Popen([str(MOSQUITTO), "-c", str(self._settings)], stdout=silent, stderr=silent)
        wait_for(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Stop, as a machine that is switched off in good order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


class SmallBroker:
    """As much of MQTT 3.1.1 as a publisher needs: what it was sent, and how many it acknowledges before it hangs up.

    refuses : the reason with which it refuses a connection, 0 for none; left : acknowledgements, None without end."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, bool]] = []  # topic, payload, whether it is retained
        self.wills: list[str] = []
        self.refuses = 0
        self.left: int | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._server.accept()
                with connection, contextlib.suppress(ConnectionError):
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        while head := stream.read(1):
            length = shift = 0
            while True:
                (byte,) = stream.read(1)
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            kind, body = head[0] >> 4, stream.read(length)
            if kind == 1:  # CONNECT
                self.wills.append(body.decode("latin-1"))
                connection.sendall(bytes([0x20, 2, 0, self.refuses]))
            elif kind == 3:  # PUBLISH
                end = 2 + int.from_bytes(body[:2], "big")
                if self.left == 0:
                    return
                self.messages.append((body[2:end].decode(), body[end + 2 :].decode(), bool(head[0] & 1)))
                connection.sendall(b"\x40\x02" + body[end : end + 2])
                self.left = None if self.left is None else self.left - 1
            elif kind == 14:  # DISCONNECT
                return

    def of(self, topic: str) -> list[Any]:
        """Return the messages of a topic: JSON parsed, other texts as they are."""
        found = [payload for of, payload, _ in self.messages if of == topic]
        return [json.loads(one) if one.startswith("{") else one for one in found]

    def close(self) -> None:
        """Listen no more."""
        self._server.close()


class Listener:
    """A subscriber that a broker keeps messages for while it is away; messages by topic."""

    def __init__(self, port: int, topic: str) -> None:
        import paho.mqtt.client as paho

        self.messages: list[tuple[str, str]] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        self._client.reconnect_delay_set(0.05, 0.2)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _data, message: self.messages.append(
            (message.topic, message.payload.decode())
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def of(self, topic: str) -> list[Any]:
        """Return the messages of a topic: JSON parsed, other texts as they are."""
        found = [payload for of, payload in self.messages if of == topic]
        return [json.loads(one) if one.startswith("{") else one for one in found]

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
