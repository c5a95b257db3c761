"""A service from its start to its end."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dn2.errors import InputError
from dn2.model.answering import Policy
from dn2.serve.app import make_app
from dn2.serve.changing import settle
from dn2.serve.limits import Limits
from dn2.serve.metrics import Metrics
from dn2.serve.people import People
from dn2.serve.served import Models, ServedModel, check_names, name_of
from dn2.serve.service import Service
from dn2.serve.store import Store

logger = logging.getLogger("dn2")

KEPT_EVERY = 10.0  # seconds, what the watches have seen
SECONDS_TO_FINISH = 30
HEADER_SECONDS = 10.0  # that the headers of a request may take
ANSWER_SECONDS = 30.0  # that a client may read nothing of an answer that waits for it
MOST_HEADERS = 1 << 16  # bytes of these
READ_AHEAD = 1 << 20  # bytes of a body that wait for the application
MOST_CONNECTIONS = 1_000


@dataclass(frozen=True)
class Settings:
    """How a service is set up.

    host, port : where it listens; data : the folder of what it keeps; most_bytes : of the items in it.
    tokens : the file of tokens, None for none."""

    models: Sequence[Path]
    host: str
    port: int
    data: Path
    most_bytes: int
    tokens: Path | None
    policy: Policy
    limits: Limits

    def check(self) -> None:
        """Raise InputError for a service that strangers could reach, and for models of one name."""
        check_names(self.models)
        if not is_loopback(self.host) and self.tokens is None:
            raise InputError(
                f"whoever reaches {self.host} could use the service: name who may, with --token-file FILE, or let it "
                "listen on this machine alone, at --host 127.0.0.1"
            )


class _Patient(HttpToolsProtocol):
    """The protocol of a connection, which ends one whose headers are too long or take too long, or that reads nothing.

    What a client does not read is held in memory, and its request with it."""

    _head = 0  # bytes since the last request
    _waits: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the headers of a request."""
        super().connection_made(transport)
        self._waits = self.loop.call_later(HEADER_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        """Read on, while a request's headers are neither too long nor too slow."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head = 0
            self._wait_no_longer()
            return
        self._head += len(data)
        if self._head > MOST_HEADERS:
            self.transport.close()
        elif self._waits is None:
            self._waits = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._unread = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on, as the client has read."""
        super().resume_writing()
        self._read_at_last()

    def on_body(self, body: bytes) -> None:
        """Let more of a body arrive before the application reads it: to pause at each 64 KiB costs 6 % of pictures."""
        if self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > READ_AHEAD:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_longer()
        self._read_at_last()
        super().connection_lost(exc)

    def _read_at_last(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait_no_longer(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None


def open_service(settings: Settings) -> Service:
    """Load the models, and open what is kept.  Raises Dn2Error."""
    settings.check()
    people = People.of(settings.tokens)
    store = Store(settings.data, settings.most_bytes)
    served: list[ServedModel] = []
    try:
        for folder in settings.models:
            watch = store.watch(name_of(folder))
            served.append(ServedModel(folder, settings.policy, settings.limits, watch))
    except BaseException:
        for one in served:
            one.close()
        store.close()
        raise
    service = Service(Models(served), store, people, settings.limits, Metrics())
    for one in served:
        settle(service, one)
    return service


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until a signal ends it, and then finish what is at work.

    ready : called with the service's address once it can be reached.  Raises Dn2Error, also for a port in use."""
    service = open_service(settings)
    ends = threading.Event()
    _end_in_order()
    keeping = threading.Thread(target=_keep_watches, args=(service, ends), daemon=True)
    try:
        app = make_app(service, is_loopback(settings.host) and not service.people.are_known)
        config = uvicorn.Config(
            app,
            http=_Patient,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=SECONDS_TO_FINISH,
        )
        keeping.start()
        with _listen(settings.host, settings.port) as listening:
            name = f"[{settings.host}]" if ":" in settings.host else settings.host
            ready(f"http://{name}:{listening.getsockname()[1]}")
            asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))
    finally:
        ends.set()
        service.close()


def _listen(host: str, port: int) -> socket.socket:
    """Begin to listen.  Raises InputError."""
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else an answer waits 40 ms for its first part
        return listening
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot listen on {host}, port {port}: {error}; give another --port, or --host") from error


def _end_in_order() -> None:
    """Let signals end the process no sooner than all is finished: uvicorn raises them again once it has ended."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)


def _keep_watches(service: Service, ends: threading.Event) -> None:
    while not ends.wait(KEPT_EVERY):
        service.keep_watches()


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
