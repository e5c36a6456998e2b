"""A proxy before PostgreSQL that breaks off a conversation before a message of the server's that a test names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import Enum
from typing import Final

from tests.support.failures.proxies import HOST

_SAID: Final = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
_FAREWELL: Final = b"E" + (len(_SAID) + 4).to_bytes(4) + _SAID
_READY: Final = b"Z"
_HEAD: Final = 5
"""Bytes of a message's type and length."""


class Manner(Enum):
    """How a conversation ends."""

    RESET = "reset"
    POLITELY = "politely"
    """With the error that a server says when it is shut down, in the middle of what it answers."""
    IDLE = "idle"
    """With that error after an answer, which the client reads before it asks the next time and meets the end."""


class Severing:
    """Passes on what clients of `port` say, and what the server answers message by message.

    `sever(number)` breaks off before the nth message from then on, of all connections together, or after the nth
    answer where it is idle. `severed` tells whether there was such a one. `accepted` counts connections.
    """

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self.severed = False
        self.accepted = 0
        self._upstream = upstream
        self._left: int | None = None
        self._manner = Manner.RESET
        self._tasks: set[asyncio.Task[None]] = set()
        self._dismissed: set[asyncio.StreamWriter] = set()

    def sever(self, number: int, manner: Manner) -> None:
        self._left, self._manner, self.severed = number, manner, False

    def let_pass(self) -> None:
        self._left = None

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Severing]:
        server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        answers, questions = await asyncio.open_connection(HOST, self._upstream)
        self.accepted += 1
        asking = asyncio.create_task(self._ask(reader, writer, questions))
        try:
            await self._answer(answers, writer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
            writer.transport.abort()
        finally:
            asking.cancel()
            questions.transport.abort()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, questions: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if writer in self._dismissed:
                    writer.close()
                    break
                questions.write(data)
        questions.close()

    async def _answer(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await answers.readexactly(_HEAD)
            body = await answers.readexactly(int.from_bytes(head[1:]) - 4)
            if self._manner is Manner.IDLE:
                writer.write(head + body)
                if head[:1] == _READY and self._is_the_one():
                    writer.write(_FAREWELL)
                    self._dismissed.add(writer)
            elif not self._is_the_one():
                writer.write(head + body)
            elif self._manner is Manner.RESET:
                writer.transport.abort()
                return
            else:
                writer.write(_FAREWELL)
                writer.close()
                return

    def _is_the_one(self) -> bool:
        if self._left is None:
            return False
        self._left -= 1
        if self._left:
            return False
        self._left, self.severed = None, True
        return True
