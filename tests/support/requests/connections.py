"""Connections to a server that this process is: every byte of a request is the test's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from pydantic import SecretStr

from api.config.settings import Settings

SECRET = SecretStr("a secret of the tests, with 32 bytes and more")
STORELESS = Settings(_env_file=None, auth_secret=SECRET, explorer=False)
"""Of an application that is asked nothing for which it needs a store."""

LIVE = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Client:
    """A connection to 127.0.0.1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, *parts: bytes) -> None:
        """Send each part by itself, for as long as the other side listens."""
        with contextlib.suppress(ConnectionError):
            for part in parts:
                self._writer.write(part)
                await self._writer.drain()

    async def until(self, end: bytes) -> bytes:
        with anyio.fail_after(30):
            return await self._reader.readuntil(end)

    async def everything(self) -> bytes:
        """What comes until the other side closes."""
        parts: list[bytes] = []
        with anyio.fail_after(30), contextlib.suppress(ConnectionError):
            while part := await self._reader.read(65536):
                parts.append(part)
        return b"".join(parts)

    def leave(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = Client(reader, writer)
    try:
        yield client
    finally:
        client.leave()


async def answer_to(port: int, *parts: bytes) -> bytes:
    async with connected(port) as client:
        await client.send(*parts)
        return await client.everything()


async def until(condition: Any) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()
