"""Responses that wait for clients to read them: how long they may wait, and how many bytes a process keeps."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final, Protocol

from api.config.settings import Settings
from api.log import logger

QUEUED: Final = "fashion_wallet.queued"
"""In the scope of a WebSocket: called with the number of bytes that wait for the client before the transport."""

WRITE: Final = "fashion_wallet.write"
"""In the scope of a WebSocket: sends a text at once, and says whether it could, without a turn of the event loop."""


class Connection(Protocol):
    """A connection: uvicorn's protocol object."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop

    @property
    def unsent(self) -> int:
        """The number of bytes that wait for the client."""


class UnsentResponses:
    """Connections whose transports have paused writing, in the order in which they began to wait.

    Each is dropped after SEND_TIMEOUT. Where all together keep more than MAX_UNSENT_SIZE, those that have waited
    longest are dropped: a client that doesn't read takes nothing from those that do.
    """

    def __init__(self, settings: Settings) -> None:
        self._timeout, self._most = settings.send_timeout, settings.max_unsent_size
        self._waiting: dict[Connection, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def size(self) -> int:
        """The number of waiting bytes."""
        return sum(each.unsent for each in self._waiting)

    def begin(self, connection: Connection) -> None:
        """The client has to read before more can be sent."""
        self.end(connection)
        expire = partial(self._drop, connection, "SEND_TIMEOUT")
        self._waiting[connection] = connection.loop.call_later(self._timeout, expire)
        self.bound()

    def bound(self) -> None:
        """More waits than before: drop those that have waited longest where it is too much."""
        size = self.size
        while size > self._most and len(self._waiting) > 1:
            longest = next(iter(self._waiting))
            size -= longest.unsent
            self._drop(longest, "MAX_UNSENT_SIZE")

    def end(self, connection: Connection) -> None:
        """The client has read enough, or the connection is closed."""
        timer = self._waiting.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _drop(self, connection: Connection, setting: str) -> None:
        self.end(connection)
        logger.info("client doesn't read", limit=setting, unsent=connection.unsent)
        connection.transport.abort()  # closing would wait for it
