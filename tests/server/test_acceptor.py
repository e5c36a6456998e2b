"""Connections that wait to be accepted, on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator

import pytest

from api.server import acceptor
from api.server.acceptor import Acceptor
from api.server.unread import waited_unread
from tests.support.waiting import pause

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long a connection has waited"),
]
CLIENTS = 100


@contextlib.contextmanager
def connected(count: int) -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """A listening socket with so many connections that wait to be accepted."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2 * count))
        listener.setblocking(False)
        clients = [stack.enter_context(socket.create_connection(listener.getsockname())) for _ in range(count)]
        for client in clients:
            client.setblocking(False)
        yield listener, clients


class Open(asyncio.Protocol):
    """Connections that have been accepted."""

    def __init__(self, transports: list[asyncio.BaseTransport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transports.append(transport)


async def turns_until(opened: list[asyncio.BaseTransport], count: int) -> int:
    turns = 0
    while len(opened) < count:
        await asyncio.sleep(0)
        turns += 1
    return turns


async def test_all_that_have_waited_are_accepted_in_one_turn() -> None:
    with connected(CLIENTS + 1) as (listener, _):
        opened: list[asyncio.BaseTransport] = []
        loop = asyncio.get_running_loop()
        oldest, _address = listener.accept()
        with oldest:
            while waited_unread(oldest) < 0.1:
                await pause()
        server = await loop.create_server(lambda: Open(opened), sock=listener)
        accepting = Acceptor(listener, lambda: Open(opened))
        turns = await turns_until(opened, CLIENTS)
        accepting.close()
        server.close()
        for transport in opened:
            transport.abort()  # type: ignore[attr-defined]

    assert turns < CLIENTS / 4  # uvloop alone takes one for each


async def test_of_those_that_have_just_come_one_is_accepted_in_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are for other processes that listen."""
    monkeypatch.setattr(acceptor, "_BEHIND", 3600.0)
    with connected(CLIENTS) as (listener, _):
        opened: list[asyncio.BaseTransport] = []
        accepting = Acceptor(listener, lambda: Open(opened))
        turns = await turns_until(opened, CLIENTS)
        accepting.close()
        for transport in opened:
            transport.abort()  # type: ignore[attr-defined]

    assert turns >= CLIENTS


async def test_after_it_is_closed_it_accepts_nothing() -> None:
    with connected(1) as (listener, _):
        opened: list[asyncio.BaseTransport] = []
        Acceptor(listener, lambda: Open(opened)).close()
        for _ in range(20):
            await asyncio.sleep(0)
        assert opened == []
        listener.accept()[0].close()  # it is still there


async def test_a_client_that_has_left_harms_nobody() -> None:
    with connected(3) as (listener, clients):
        opened: list[asyncio.BaseTransport] = []
        clients[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        clients[0].close()  # with a reset
        accepting = Acceptor(listener, lambda: Open(opened))
        await turns_until(opened, 2)
        accepting.close()
        for transport in opened:
            transport.abort()  # type: ignore[attr-defined]
