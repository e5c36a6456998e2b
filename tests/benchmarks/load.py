"""A load generator for HTTP/1.1: connections that each send the next request when they have the answer to the last."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

CONNECTIONS = 16


@dataclass
class Outcome:
    """`latencies` are in seconds, a request each; `answer` is the last body.

    `failed` is the number of answers that begin with errors, and `busy` the share of the time that this process worked.
    """

    latencies: list[float] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    answer: bytes = b""
    failed: int = 0
    seconds: float = 0.0
    busy: float = 0.0

    @property
    def requests(self) -> int:
        return len(self.latencies)


def post(url: str, body: bytes, token: str | None = None) -> bytes:
    """A whole request of a GraphQL operation, as bytes."""
    lines = [
        f"POST /graphql HTTP/1.1\r\nhost: {urlsplit(url).netloc}\r\ncontent-type: application/json",
        f"content-length: {len(body)}",
        *([f"authorization: Bearer {token}"] if token else []),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def run(
    url: str,
    requests: Sequence[bytes],
    *,
    seconds: float | None = None,
    count: int | None = None,
    connections: int = CONNECTIONS,
) -> Outcome:
    """Send these requests by turns, for so long or so many in all; returns when every one of them is answered.

    Raises ConnectionError where the server ends a connection.
    """
    address, outcome = urlsplit(url), Outcome()
    assert address.hostname is not None
    began, worked = time.perf_counter(), time.process_time()
    turns = itertools.cycle(requests) if count is None else itertools.islice(itertools.cycle(requests), count)
    end = None if seconds is None else began + seconds
    loop = asyncio.get_running_loop()

    def following() -> Iterator[bytes]:
        for request in turns:
            if end is not None and time.perf_counter() >= end:
                return
            yield request

    source = following()
    clients = [
        (await loop.create_connection(lambda: _Client(source, outcome), address.hostname, address.port or 80))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for client in clients))
    outcome.seconds = time.perf_counter() - began
    outcome.busy = (time.process_time() - worked) / outcome.seconds
    return outcome


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, source: Iterator[bytes], outcome: Outcome) -> None:
        self._source, self._outcome = source, outcome
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = b""
        self._length = -1
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._next()

    def _next(self) -> None:
        request = next(self._source, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._sent = time.perf_counter()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            self._received(data)
        except Exception as error:
            if not self.done.done():
                self.done.set_exception(error)
            self._transport.abort()

    def _received(self, data: bytes) -> None:
        self._buffer += data
        if self._length < 0:
            head, found, _ = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            lines = head.lower().split(b"\r\n")
            self._outcome.statuses.add(int(lines[0].split()[1]))
            (length,) = (int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
            self._head, self._length = len(head) + 4, len(head) + 4 + length
        if len(self._buffer) >= self._length:
            self._outcome.latencies.append(time.perf_counter() - self._sent)
            self._outcome.answer = self._buffer[self._head : self._length]
            self._outcome.failed += self._outcome.answer.startswith(b'{"errors"')
            self._buffer, self._length = b"", -1
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server has closed the connection"))
