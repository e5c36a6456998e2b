"""Open load: requests that come at a rate, however long answers take, as of clients that know nothing of each other."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import anyio


@dataclass
class Arrivals:
    """Whole answers with their status, in the order in which they came, and in how many seconds all of them did."""

    answers: list[tuple[int, bytes]] = field(default_factory=list)
    lost: int = 0
    seconds: float = 0.0

    def of(self, status: int) -> list[bytes]:
        return [answer for each, answer in self.answers if each == status]


async def arriving(port: int, requests: Sequence[bytes], *, rate: float, connections: int) -> Arrivals:
    """Send each of these requests at its moment, `rate` of them a second, over at most so many connections.

    Returns when all are answered, or lost with their connection. A request for which no connection is free waits for
    one, as in a proxy.
    """
    loop, came = asyncio.get_running_loop(), Arrivals()
    free: deque[_Connection] = deque()
    waiting: deque[bytes] = deque()
    ended = asyncio.Event()

    def answered(connection: _Connection, answer: tuple[int, bytes] | None) -> None:
        if answer is None:
            came.lost += 1
        else:
            came.answers.append(answer)
            if waiting:
                connection.send(waiting.popleft())
            else:
                free.append(connection)
        if len(came.answers) + came.lost == len(requests):
            ended.set()

    made = [
        (await loop.create_connection(lambda: _Connection(answered), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    free.extend(made)
    began = time.monotonic()
    for number, request in enumerate(requests):
        if (early := began + number / rate - time.monotonic()) > 0:
            await asyncio.sleep(early)
        if free:
            free.popleft().send(request)
        else:
            waiting.append(request)
    with anyio.fail_after(60):
        await ended.wait()
    came.seconds = time.monotonic() - began
    for each in made:
        each.transport.close()
    return came


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, answered: Callable[[_Connection, tuple[int, bytes] | None], None]) -> None:
        self._answered = answered
        self._received = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> None:
        self._busy, self._received = True, b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found:
            lines = head.lower().split(b"\r\n")
            (length,) = (int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
            if len(body) >= length:
                self._end((int(lines[0].split()[1]), self._received))

    def connection_lost(self, error: Exception | None) -> None:
        if self._busy:
            self._end(None)

    def _end(self, answer: tuple[int, bytes] | None) -> None:
        self._busy = False
        self._answered(self, answer)
