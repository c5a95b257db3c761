"""An MQTT broker: results as messages, the state of drift and of the watch as retained ones."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from dn2.errors import InputError
from dn2.extras import import_paho
from dn2.monitor.journal import Entry, Journal
from dn2.monitor.sinks import NotTaken
from dn2.monitor.webhook import read_secret, split_url, warn_of_plain_text
from dn2.system.interface import option

PORTS = {"mqtt": 1883, "mqtts": 8883}
SECONDS = 10.0  # for a connection, and for the acknowledgement of what was sent
KEEPALIVE = 30  # seconds; a broker says that the watch is offline after half as many more
ITEMS, DRIFT, STATUS = "items", "drift", "status"  # below the topic
LONGEST_TOPIC = 65_000  # bytes


class Mqtt:
    """A broker to which results are published with QoS 1, in order, until it has acknowledged them.

    TOPIC/items has a message for each result; TOPIC/drift, retained, the state of drift; TOPIC/status, retained,
    whether the watch is `online` or `offline`, which the broker says itself if the connection is lost.

    Parameters
    ----------
    url : str
        mqtt[s]://[USER@]HOST[:PORT]/TOPIC.
    password_file : Path or None
        Holds the password of the user.
    drift : callable
        Returns the message of the state of drift, as it is by now.

    Raises
    ------
    InputError
        For another URL, a topic that no message can have, and a password that cannot be read.
    MissingExtra
        Without paho-mqtt."""

    at_once: ClassVar[int] = 20  # as many as are sent before an acknowledgement

    def __init__(self, url: str, password_file: Path | None, drift: Callable[[], str]) -> None:
        import_paho()
        flag, example = option("mqtt"), "mqtt://broker.example/line1"
        parts = split_url(url, tuple(PORTS), flag, example)
        if parts.password is not None or parts.query or parts.fragment:
            raise InputError(
                f"{flag} is mqtt[s]://[USER@]HOST[:PORT]/TOPIC; give a password in a file, with "
                f"{option('mqtt_password_file')}"
            )
        self._topic = unquote(parts.path.removeprefix("/")).rstrip("/")
        topic = self._topic
        if not topic or topic.startswith("$") or set(topic) & set("+#\0") or len(topic.encode()) > LONGEST_TOPIC:
            raise InputError(f"{flag} must end in a topic without + and #, such as {example}, got {topic!r:.80}")
        self._tls = parts.scheme == "mqtts"
        self._host, self._port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self._user = None if parts.username is None else unquote(parts.username)
        self._password_file = password_file
        if password_file is not None and self._user is None:
            raise InputError(f"{option('mqtt_password_file')} goes with a user: {flag} mqtt://USER@HOST/TOPIC")
        if self._read_password() is not None:
            warn_of_plain_text(parts, "mqtts", "password")
        self.words = f"broker {parts.scheme}://{self._host}:{self._port}/{topic}"
        self.name = self.words
        self._drift = drift
        self._client: Any = None
        self._lost = threading.Event()
        self._said = ""
        self._id = ""

    def _read_password(self) -> str | None:
        return None if self._password_file is None else read_secret(self._password_file, option("mqtt_password_file"))

    def start(self, journal: Journal) -> None:
        """See `Sink`."""
        self._id = f"dn2-{journal.name}"

    def send(self, entries: Sequence[Entry]) -> int:
        """See `Sink`."""
        self.rest()
        sent = [self._publish(ITEMS, entry.text) for entry in entries]
        taken = 0
        for one in sent:
            if not self._is_acknowledged(one):
                break
            taken += 1
        if taken < len(sent):
            self._drop()  # what was sent is forgotten with the connection, and sent again in order
        if not taken:
            raise NotTaken("no acknowledgement came")
        return taken

    def rest(self) -> None:
        """Keep the connection, and publish the state of drift where that has changed."""
        if self._client is not None and self._lost.is_set():
            self._drop()
        if self._client is None:
            self._connect()
        if (said := self._drift()) != self._said:
            self._retain(DRIFT, said)
            self._said = said

    def _connect(self) -> None:
        paho, answered = import_paho(), threading.Event()
        refused: list[str] = []
        lost = threading.Event()
        try:
            password = self._read_password()
        except InputError as error:
            raise NotTaken(str(error)) from error
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=self._id, clean_session=True, reconnect_on_failure=False
        )

        def connected(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                refused.append(str(reason))
            answered.set()

        def disconnected(*_: Any) -> None:
            lost.set()
            answered.set()

        client.on_connect, client.on_disconnect = connected, disconnected
        client.will_set(f"{self._topic}/{STATUS}", "offline", qos=1, retain=True)
        if self._user is not None:
            client.username_pw_set(self._user, password)
        if self._tls:
            client.tls_set()
        client.connect_timeout = SECONDS
        client.connect(self._host, self._port, KEEPALIVE)
        client.loop_start()
        self._client, self._lost, self._said = client, lost, ""
        if not answered.wait(SECONDS) or refused or lost.is_set():
            self._drop()
            raise NotTaken(f"the broker refused: {refused[0]}" if refused else "the broker does not answer")
        self._retain(STATUS, "online")

    def _publish(self, below: str, payload: str, *, retain: bool = False) -> Any:
        return self._client.publish(f"{self._topic}/{below}", payload.encode(), qos=1, retain=retain)

    def _retain(self, below: str, payload: str) -> None:
        if not self._is_acknowledged(self._publish(below, payload, retain=True)):
            self._drop()
            raise NotTaken("no acknowledgement came")

    def _is_acknowledged(self, sent: Any) -> bool:
        """Wait until the broker has acknowledged a message, or the connection is lost."""
        end = time.monotonic() + SECONDS
        while sent.rc == 0 and time.monotonic() < end:
            sent.wait_for_publish(0.05)
            if sent.is_published():
                return True
            if self._lost.is_set():
                break
        return False

    def _drop(self) -> None:
        """Let the connection go at once."""
        client, self._client = self._client, None
        with contextlib.suppress(OSError, ValueError):
            client.disconnect()
        client.loop_stop()

    def close(self) -> None:
        """Say that the watch ends, and let the connection go."""
        if self._client is None:
            return
        with contextlib.suppress(OSError, NotTaken):
            self._retain(STATUS, "offline")
        if self._client is not None:
            self._drop()
