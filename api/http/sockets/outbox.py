"""What waits to be sent over a socket: one writer, and a bound."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from starlette.types import Send


class Outbox:
    """The frames of one socket, in the order in which they are sent, and its end.

    Whoever has a frame waits until there is `room`. The frames that wait have about `most` bytes, and those of
    answers that were begun before it was full. `queued` is told how many bytes wait. `write` sends a frame at once
    where the client takes it, so that only frames for those that don't read wait for the writer.
    """

    def __init__(self, send: Send, most: int, queued: Callable[[int], None], write: Callable[[bytes], bool]) -> None:
        self._send, self._most, self._queued, self._write = send, most, queued, write
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._ending: tuple[int, str] | None = None
        self._filled, self._room = asyncio.Event(), asyncio.Event()
        self.has_room = True
        """Whether nobody has to wait."""
        self._room.set()

    async def room(self) -> None:
        """Wait until the client has read enough, or nothing more is sent."""
        await self._room.wait()

    def put(self, *frames: bytes) -> None:
        """Send these after what waits already; nothing is sent after the end."""
        for frame in frames:
            self.put_one(frame)

    def put_one(self, frame: bytes) -> None:
        """As `put`."""
        if self._ending is not None or (not self._size and self._write(frame)):
            return
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > self._most:
            self.has_room = False
            self._room.clear()
        self._filled.set()
        self._queued(self._size)

    def end(self, code: int, reason: str, *, at_once: bool = True) -> None:
        """Close the socket, at once or after what waits. The first one counts."""
        if self._ending is None:
            self._ending = code, reason
            if at_once:
                self._size -= sum(map(len, self._frames))
                self._frames.clear()
                self._queued(self._size)
            self._make_room()
            self._filled.set()

    async def write(self) -> None:
        """Send everything up to the end, or until the client has gone."""
        with contextlib.suppress(OSError):
            while self._frames or self._ending is None:
                await self._filled.wait()
                while self._frames:
                    frame = self._frames.popleft()
                    await self._send({"type": "websocket.send", "text": frame.decode()})
                    self._size -= len(frame)
                    self._queued(self._size)
                    if self._size <= self._most:
                        self._make_room()
                if self._ending is None:
                    self._filled.clear()
            code, reason = self._ending
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        self.end(1006, "")  # where the client has gone, nobody waits for room

    def _make_room(self) -> None:
        self.has_room = True
        self._room.set()
