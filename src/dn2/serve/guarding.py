"""What stands before every request: who it is from, where it comes from, how large and how slow it may be."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dn2.serve.limits import Limits, Refused
from dn2.serve.metrics import Metrics
from dn2.serve.people import SOMEBODY, People

logger = logging.getLogger("dn2")

COOKIE = "dn2_session"
SAFE = ("GET", "HEAD", "OPTIONS")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
OPEN = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/login")  # without a token
LONGEST_OF_STRANGER = 1 << 14  # bytes of a request by somebody without a token, such as to sign in
HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """An ASGI application around another.

    is_local : whether nothing but this machine reaches it, by whose names alone it may be called then."""

    def __init__(self, app: ASGIApp, people: People, limits: Limits, metrics: Metrics, is_local: bool) -> None:
        self._app, self._people, self._limits, self._metrics = app, people, limits, metrics
        self._is_local = is_local
        self._held = 0  # bytes that have arrived of all requests that are at work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), [500]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._guarded(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.answered(route, status[0], time.perf_counter() - started)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            self._check_place(scope["method"], headers)
            scope.setdefault("state", {})["person"] = person = self._person(scope["path"], headers)
            most = self._limits.body if person is not None else min(LONGEST_OF_STRANGER, self._limits.body)
            self._admit(headers, most)
        except Refused as refused:
            await refuse(send, refused, wants_page="text/html" in headers.get("accept", ""))
            return
        held = [0]
        try:
            await self._app(scope, self._limited(receive, most, held), send)
        finally:
            self._held -= held[0]

    def _check_place(self, method: str, headers: Headers) -> None:
        """Refuse what another site's page sends by the browser of somebody who may."""
        host = headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname
            origin = urlsplit(headers.get("origin", "")).netloc
        except ValueError:
            raise Refused(400, "the headers Host and Origin must be names of hosts") from None
        if self._is_local and name not in LOOPBACK:
            raise Refused(421, f"this service is of this machine alone: call it localhost, not {host!r:.100}")
        strange = "origin" in headers and origin != host
        if method not in SAFE and (strange or headers.get("sec-fetch-site") in ("cross-site", "same-site")):
            raise Refused(403, "requests that change something come from no other site's page")

    def _person(self, path: str, headers: Headers) -> str | None:
        """Return who asks."""
        if not self._people.are_known:
            return SOMEBODY
        scheme, _, token = headers.get("authorization", "").partition(" ")
        person = self._people.by_token(token.strip()) if scheme.lower() == "bearer" else None
        person = person or self._people.by_session(session_of(headers))
        if person is None and path not in OPEN:
            raise Refused(401, "a token is needed: Authorization: Bearer TOKEN, or sign in at /login")
        return person

    def _admit(self, headers: Headers, most: int) -> None:
        """Refuse a request that says that it is larger than it may be, now or at all."""
        said = headers.get("content-length", "0")
        if not (said.isascii() and said.isdigit()):
            raise Refused(400, "Content-Length must be a number")
        size = int(said[:20])
        if size > most:
            raise too_large(most)
        if self._held + size > self._limits.together:
            raise _crowded()

    def _limited(self, receive: Receive, most: int, held: list[int]) -> Receive:
        """Receive a body that is neither larger nor slower than it may be; held : its bytes so far, in one place."""
        end = asyncio.get_running_loop().time() + self._limits.seconds
        is_whole = False

        async def receive_more() -> Message:
            nonlocal is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                raise Refused(408, f"a request must arrive within {self._limits.seconds:g} seconds") from None
            size = len(message.get("body", b""))
            held[0] += size
            self._held += size
            is_whole = not message.get("more_body", False)
            if held[0] > most:
                raise too_large(most)
            if self._held > self._limits.together:
                raise _crowded()
            return message

        return receive_more


def _crowded() -> Refused:
    return Refused(429, "requests that are at work hold as many bytes as they may together", 1)


def too_large(most: int) -> Refused:
    """Return the refusal of a body that is larger than it may be."""
    return Refused(413, f"a request must have at most {most:,} bytes; send fewer items at a time")


def session_of(headers: Headers) -> str:
    """Return the key of the session that a browser sends, or an empty text."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


async def refuse(send: Send, refused: Refused, wants_page: bool = False) -> None:
    """Answer with a refusal; a browser that wants a page and has no token is sent to sign in."""
    headers = [(b"content-type", b"application/json")]
    status = refused.status
    if status == 401 and wants_page:
        status, headers = 303, [*headers, (b"location", b"/login")]
    elif status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refused.retry_after is not None:
        headers.append((b"retry-after", str(refused.retry_after).encode()))
    if status in (408, 413):
        headers.append((b"connection", b"close"))  # what is left of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": refused.why}).encode()})
