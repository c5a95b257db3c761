"""What stands before every request: how much of what arrives is held."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from dn2.serve.guarding import Guard
from dn2.serve.limits import Limits, Refused
from dn2.serve.metrics import Metrics
from dn2.serve.people import People


def status_of(sent: Sequence[Any]) -> int:
    return int(sent[0]["status"])


async def send_body(guard: Guard, chunks: Sequence[bytes], headers: Sequence[tuple[bytes, bytes]] = ()) -> list[Any]:
    """Send a request whose body comes in chunks; return what is answered."""
    messages = [{"type": "http.request", "body": one, "more_body": True} for one in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/login", "headers": [(b"host", b"localhost"), *headers]}
    await guard(scope, receive, send)
    return sent


def test_bodies_that_do_not_say_their_length_count_as_they_arrive_and_no_more_once_answered() -> None:
    async def check() -> None:
        may_end = asyncio.Event()

        async def app(_: Any, receive: Any, send: Any) -> None:
            while (await receive())["more_body"]:
                pass
            await may_end.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        guard = Guard(app, People({}), Limits(body=100, together=150), Metrics(), is_local=True)
        first = asyncio.create_task(send_body(guard, [b"x" * 50] * 2))
        await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        with pytest.raises(Refused, match="as many bytes as they may together"):
            await send_body(guard, [b"x" * 30] * 2)
        assert status_of(await send_body(guard, [], [(b"content-length", b"90")])) == 429
        may_end.set()
        assert status_of(await first) == 200
        assert status_of(await send_body(guard, [b"x" * 50] * 2)) == 200

    asyncio.run(check())


def test_who_only_says_how_much_will_come_holds_nothing_and_a_stranger_may_send_little() -> None:
    async def check() -> None:
        async def app(_: Any, receive: Any, send: Any) -> None:
            while (await receive())["more_body"]:
                pass
            await send({"type": "http.response.start", "status": 200, "headers": []})

        limits = Limits(body=1 << 20, together=1 << 20)
        guard = Guard(app, People({"ann": b"digest"}), limits, Metrics(), is_local=False)
        assert status_of(await send_body(guard, [], [(b"content-length", b"%d" % (1 << 20))])) == 413
        with pytest.raises(Refused, match="at most 16,384 bytes"):
            await send_body(guard, [b"x" * 10_000] * 2)
        assert status_of(await send_body(guard, [b"x" * 10_000])) == 200

    asyncio.run(check())
