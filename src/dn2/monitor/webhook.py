"""A webhook: each result is posted as JSON, in order, until it is taken."""

from __future__ import annotations

import contextlib
import http.client
import logging
import ssl
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from dn2.errors import InputError
from dn2.monitor.journal import Entry
from dn2.monitor.sinks import Local, NotTaken
from dn2.system.interface import option

logger = logging.getLogger("dn2")

HERE = frozenset({"localhost", "127.0.0.1", "::1"})  # this machine
SECONDS = 10.0  # for a connection, and for an answer
LONGEST_ANSWER = 1 << 20  # bytes that are read of it, so that the connection stays usable
LONGEST_SECRET = 8_192  # bytes


class Webhook(Local):
    """A URL to which results are posted, one a request.

    Whatever answers 2xx has taken a result; after any other answer it is posted again, and all later ones wait.  No
    redirection is followed, and no proxy is used.

    Parameters
    ----------
    url : str
        http:// or https://.
    token_file : Path or None
        Holds the token of an `Authorization: Bearer` header; read for each connection, so that it may change.

    Raises
    ------
    InputError
        For another URL, and for a token that cannot be read."""

    at_once: ClassVar[int] = 1

    def __init__(self, url: str, token_file: Path | None = None) -> None:
        self._url = split_url(url, ("http", "https"), option("webhook"), "https://plant.example/anomalies")
        if self._url.username is not None or self._url.password is not None:
            raise InputError(
                f"{option('webhook')} holds a name or a password: give a token in a file, with "
                f"{option('webhook_token_file')}"
            )
        self._token_file = token_file
        if self._read_token():
            warn_of_plain_text(self._url, "https", "token")
        self.words = f"webhook {self._url.scheme}://{self._url.netloc}{self._url.path}"  # a query may hold a key
        self.name = f"{self.words} {sha256(url.encode()).hexdigest()[:16]}"
        self._connection: http.client.HTTPConnection | None = None
        self._headers: dict[str, str] = {}

    def _read_token(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        return {"Authorization": f"Bearer {read_secret(self._token_file, option('webhook_token_file'))}"}

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            try:
                token = self._read_token()
            except InputError as error:
                raise NotTaken(str(error)) from error
            host, port = self._url.hostname or "", self._url.port
            if self._url.scheme == "https":
                context = ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
            self._headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "dn2", **token}
        return self._connection

    def send(self, entries: Sequence[Entry]) -> int:
        """See `Sink`."""
        is_used = self._connection is not None
        try:
            return self._post(entries[0])
        except (NotTaken, ConnectionError):
            if not is_used or self._connection is not None:
                raise
        return self._post(entries[0])  # the server had ended a connection that was idle

    def _post(self, entry: Entry) -> int:
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        try:
            connection = self._connected()
            connection.request("POST", path, entry.text.encode(), {**self._headers, "Idempotency-Key": entry.id})
            with connection.getresponse() as answer:
                status, reason = answer.status, answer.reason
                whole = len(answer.read(LONGEST_ANSWER)) < LONGEST_ANSWER
        except http.client.HTTPException as error:
            self.close()
            raise NotTaken(f"no answer in HTTP ({type(error).__name__})") from error
        except OSError:
            self.close()
            raise
        if not whole:
            self.close()
        if not 200 <= status < 300:
            raise NotTaken(f"the answer was {status} {reason}".strip())
        return 1

    def close(self) -> None:
        """See `Sink`."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None


def split_url(url: str, schemes: Sequence[str], flag: str, example: str) -> SplitResult:
    """Split a URL.  Raises InputError unless it has one of the schemes, a host, and only characters of a URL."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        scheme = url.partition("://")[0] if "://" in url else "none"
        ways = " or ".join(f"{scheme}://" for scheme in schemes)
        raise InputError(f"{flag} must be a URL of {ways} with a host, such as {example}, got one of {scheme:.20}")
    return parts


def warn_of_plain_text(parts: SplitResult, secure: str, what: str) -> None:
    """Warn of a secret that anyone on the way can read; secure : the scheme that hides it."""
    if parts.scheme != secure and parts.hostname not in HERE:
        logger.warning("the %s goes to %s as plain text: use %s://", what, parts.hostname, secure)


def read_secret(path: Path, flag: str) -> str:
    """Read a token or a password: the one line of a file.  Raises InputError for anything else."""
    try:
        with open(path, "rb") as file:
            data = file.read(LONGEST_SECRET + 1)
    except OSError as error:
        raise InputError(f"{flag}: {path} cannot be read: {error.strerror}") from error
    secret = data.strip()
    if not secret or len(data) > LONGEST_SECRET or not secret.isascii() or not secret.decode("ascii").isprintable():
        raise InputError(f"{flag}: {path} must hold one line of printable ASCII, and nothing else")
    return secret.decode("ascii")
