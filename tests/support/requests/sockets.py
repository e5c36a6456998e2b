"""WebSockets that speak `graphql-transport-ws`, and such as break its rules, frame by frame."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import anyio
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.requests.connections import Client, connected

PROTOCOL = "graphql-transport-ws"
HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


class GraphQLSocket:
    """A socket whose client sends JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, *sent: Any) -> None:
        """Send messages, as fast as it goes; a text is sent as it is, bytes as a binary frame."""
        for each in sent:
            await self.connection.send(each if isinstance(each, str | bytes) else orjson.dumps(each).decode())

    async def receive(self) -> Any:
        with anyio.fail_after(30):
            return orjson.loads(await self.connection.recv())

    async def begin(self, **payload: Any) -> None:
        """Have the connection acknowledged."""
        await self.send({"type": "connection_init", "payload": payload})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, id: str, query: str, **payload: Any) -> None:
        await self.send(subscribe(id, query, **payload))

    async def execute(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation with one result, and no error."""
        await self.subscribe("one", query, variables=variables)
        result, end = await self.receive(), await self.receive()
        assert (result["type"], end) == ("next", {"id": "one", "type": "complete"}), result
        assert "errors" not in result["payload"]
        data: dict[str, Any] = result["payload"]["data"]
        return data

    async def closed(self) -> tuple[int, str]:
        """The code and the reason with which the server closes, whatever it sends before."""
        with anyio.fail_after(30), contextlib.suppress(ConnectionClosed):
            while True:
                await self.connection.recv()
        assert self.connection.close_code is not None
        return self.connection.close_code, self.connection.close_reason or ""


def subscribe(id: str, query: str, **payload: Any) -> dict[str, Any]:
    return {"id": id, "type": "subscribe", "payload": {"query": query, **payload}}


@contextlib.asynccontextmanager
async def socket(
    port: int, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = (PROTOCOL,), path: str = ""
) -> AsyncIterator[GraphQLSocket]:
    """A socket to a server on this machine. Raises InvalidStatus where the handshake is refused."""
    async with connect(
        f"ws://127.0.0.1:{port}/graphql{path}",
        additional_headers=headers or {},
        subprotocols=[Subprotocol(each) for each in subprotocols] or None,
        max_size=None,
        proxy=None,
    ) as connection:
        yield GraphQLSocket(connection)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, size: int | None = None) -> bytes:
    """A client's frame, masked. `size` is what it says of itself."""
    size = len(payload) if size is None else size
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", size)
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


@contextlib.asynccontextmanager
async def upgraded(port: int, *headers: bytes) -> AsyncIterator[Client]:
    """A connection whose handshake is done, and whose frames are the test's own."""
    lines = b"".join(header + b"\r\n" for header in headers)
    async with connected(port) as client:
        await client.send(HANDSHAKE + b"sec-websocket-protocol: " + PROTOCOL.encode() + b"\r\n" + lines + b"\r\n")
        answer = await client.until(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101"), answer
        yield client


def close_of(received: bytes) -> int:
    """The code of the close frame at the end of what a server has sent; fails where there is none."""
    place = 0
    while place < len(received):
        opcode, size = received[place] & 15, received[place + 1]
        assert size < 126, "frames of a server that says no are short"
        if opcode == CLOSE:
            code: int = struct.unpack("!H", received[place + 2 : place + 4])[0]
            return code
        place += 2 + size
    raise AssertionError(f"not closed: {received!r}")
