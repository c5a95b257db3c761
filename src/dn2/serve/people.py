"""Who may use a service: people and machines, each with a token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from dn2.errors import InputError

SHORTEST_TOKEN = 20  # characters
LONGEST_LINE = 1_000
SESSION_SECONDS = 12 * 3_600
MOST_SESSIONS = 1_000
SOMEBODY = "somebody"  # on a service of this machine that asks for no token


class People:
    """Names by token, and the sessions of those who signed in on a page; without any token everybody is let in.

    digests : the SHA-256 of each token, by name."""

    def __init__(self, digests: Mapping[str, bytes]) -> None:
        self._digests = dict(digests)
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, path: Path | None) -> Self:
        """Read a file of tokens: on each line a name, a space, and its token.  Raises InputError."""
        if path is None:
            return cls({})
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the tokens in {path} cannot be read: {error}") from error
        digests: dict[str, bytes] = {}
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if len(words) != 2 or len(line) > LONGEST_LINE:
                raise InputError(f"line {number} of {path} must be a name, a space and a token, without spaces in them")
            name, token = words
            if len(token) < SHORTEST_TOKEN:
                raise InputError(
                    f"the token of {name} in {path} must have at least {SHORTEST_TOKEN} characters, got {len(token)}; "
                    "make one with: openssl rand -hex 32"
                )
            if name in digests:
                raise InputError(f"{path} has two tokens of {name}: give each a name of its own")
            digests[name] = _digest(token)
        if not digests:
            raise InputError(f"{path} holds no token: write one line for each person or machine, a name and a token")
        return cls(digests)

    @property
    def are_known(self) -> bool:
        """Whether a token is asked for."""
        return bool(self._digests)

    def by_token(self, token: str) -> str | None:
        """Return the name of who has a token, in a time that does not tell how much of it is right."""
        given, found = _digest(token), None
        for name, digest in self._digests.items():
            if hmac.compare_digest(given, digest):
                found = name
        return found

    def sign_in(self, token: str) -> str | None:
        """Begin a session; return its key, None for a token that nobody has."""
        name = self.by_token(token)
        if name is None:
            return None
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[key] = (name, time.monotonic() + SESSION_SECONDS)
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return key

    def by_session(self, key: str) -> str | None:
        """Return who signed in; None once the session is over."""
        with self._lock:
            name, until = self._sessions.get(key, (None, 0.0))
            if name is not None and until < time.monotonic():
                del self._sessions[key]
                return None
        return name

    def sign_out(self, key: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(key, None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
