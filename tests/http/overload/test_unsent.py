"""Clients that ask for much and don't read it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import orjson
import pytest
import structlog
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from api.config.settings import Settings
from api.http.application import create_app
from tests.support.applications import listening, running
from tests.support.requests.connections import LIVE, STORELESS, answer_to, until
from tests.support.requests.sockets import HANDSHAKE, TEXT, frame, subscribe

pytestmark = pytest.mark.anyio

LARGE: Final = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n"
SIZE: Final = 8 * 1024 * 1024
"""More than a system keeps for both ends of a connection, whose buffers are small here."""

OPERATIONS: Final = 60
QUERY: Final = "{ __schema { types { " + "a" * 1000 + ": name } } }"
ANSWER: Final = 190_000
"""Somewhat less than the bytes of an answer to `QUERY`, which has the long name for each type."""


class Large:
    """An application that answers `/large` with `SIZE` bytes."""

    def __init__(self, app: Starlette) -> None:
        self.app, self.state, self.asked = app, app.state, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/large":
            await self.app(scope, receive, send)
            return
        self.asked += 1
        headers = [(b"content-length", str(SIZE).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(SIZE)})


@asynccontextmanager
async def asking(port: int, *requests: bytes) -> AsyncIterator[socket.socket]:
    """A connection that has sent these requests, and reads nothing by itself."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, b"".join(requests))
        yield client


async def read(client: socket.socket, size: int | None = None) -> int:
    """How many bytes come: so many, or all until the connection is closed or broken."""
    loop, count = asyncio.get_running_loop(), 0
    with anyio.fail_after(30):
        while size is None or count < size:
            try:
                part = await loop.sock_recv(client, 1 << 20)
            except ConnectionError:
                return count
            if not part:
                return count
            count += len(part)
    return count


async def test_who_does_not_read_is_dropped_after_a_while() -> None:
    app = Large(create_app(STORELESS.model_copy(update={"send_timeout": 0.2})))
    with structlog.testing.capture_logs() as logs:
        async with listening(app) as port, asking(port, LARGE) as client:
            await until(lambda: len(app.state.unsent) == 1)
            await until(lambda: len(app.state.peers) == 0)
            assert len(app.state.unsent) == 0
            assert await read(client) < SIZE
    (line,) = [each for each in logs if each["event"] == "client doesn't read"]
    assert line["limit"] == "SEND_TIMEOUT"
    assert 0 < line["unsent"] <= SIZE


async def test_who_reads_gets_everything_and_one_answer_waits_at_a_time() -> None:
    app = Large(create_app(STORELESS))
    async with listening(app) as port, asking(port, LARGE, LARGE, LIVE) as client:
        await until(lambda: len(app.state.unsent) == 1)
        assert b"200 OK" in await answer_to(port, LIVE.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        assert app.asked == 1

        assert await read(client, 2 * SIZE) >= 2 * SIZE
        assert app.asked == 2
        await until(lambda: len(app.state.unsent) == 0)


async def test_what_waits_is_bounded_and_who_has_waited_longest_goes() -> None:
    bounded = Large(create_app(STORELESS.model_copy(update={"max_unsent_size": 1})))
    roomy = Large(create_app(STORELESS))
    with structlog.testing.capture_logs() as logs:
        for app, gone in ((bounded, True), (roomy, False)):
            async with listening(app) as port, asking(port, LARGE) as first:
                await until(lambda app=app: len(app.state.unsent) == 1)  # a single answer may wait, whatever the bound
                async with asking(port, LARGE) as second:
                    await until(lambda app=app, most=2 - gone: app.asked == 2 and len(app.state.unsent) == most)
                    assert app.state.unsent.size > 1
                    assert (await read(first, SIZE) < SIZE) == gone
                    assert await read(second, SIZE) >= SIZE
    assert [line["limit"] for line in logs if line["event"] == "client doesn't read"] == ["MAX_UNSENT_SIZE"]


@asynccontextmanager
async def upgraded(port: int) -> AsyncIterator[socket.socket]:
    """A WebSocket that has asked for a lot of operations, and reads nothing by itself."""
    subscribed = [orjson.dumps(subscribe(str(number), QUERY)) for number in range(OPERATIONS)]
    loop = asyncio.get_running_loop()
    async with asking(port, HANDSHAKE, b"sec-websocket-protocol: graphql-transport-ws\r\n\r\n") as client:
        await read(client, 1)
        for each in (b'{"type": "connection_init"}', *subscribed):
            await loop.sock_sendall(client, frame(TEXT, each))
        yield client


async def test_what_waits_for_websockets_counts_before_it_reaches_the_transport(settings: Settings) -> None:
    """Sockets that don't read keep a transport's buffer each, and answers behind it: these are far more."""
    most = 4_000_000  # a socket keeps some 3 MB, the system 3 MB more; a transport keeps 0.2
    app_of = running(settings, max_unsent_size=most, max_socket_queue=2 * OPERATIONS * ANSWER, max_body_size=1 << 20)
    with structlog.testing.capture_logs() as logs:
        async with app_of as (app, _), listening(app) as port, upgraded(port) as first:
            await until(lambda: app.state.unsent.size > most // 2)
            assert [line for line in logs if line["event"] == "client doesn't read"] == []
            async with upgraded(port) as second:
                await until(lambda: any(line["event"] == "client doesn't read" for line in logs))
                await until(lambda: len(app.state.unsent) == 1 and app.state.unsent.size > most // 2)
                assert await read(first) < OPERATIONS * ANSWER
                assert await read(second, OPERATIONS * ANSWER) >= OPERATIONS * ANSWER
    (line,) = [line for line in logs if line["event"] == "client doesn't read"]
    assert line["limit"] == "MAX_UNSENT_SIZE"
    assert line["unsent"] > most // 2
