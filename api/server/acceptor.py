"""Accepting what has waited: all of it in one turn of the event loop, of which uvloop accepts one connection a turn.

While there is much to do, turns are long, and clients that open a connection for each request would wait in the kernel
for seconds, in front of anything that could refuse them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

from api.server.unread import waited_unread

_BEHIND: Final = 0.01
"""Seconds that a connection may have waited. Where the last one hasn't, the next is left to the next turn, and to other
workers."""
_AT_ONCE: Final = 256
"""The most connections that are accepted in a turn, as what is accepted is to be answered, too."""


class Acceptor:
    """Accepts beside the server that listens on the same socket, as long as it is open."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener, self._protocol = listener.dup(), protocol  # a loop watches each descriptor once
        self._listener.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept nothing from now on."""
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _address = self._listener.accept()
            except OSError:  # there is none, it has left, or there are too many: uvloop sees to that
                return
            opening = self._loop.create_task(self._open(connection))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)
            if waited_unread(connection) < _BEHIND:
                return

    async def _open(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it has left
            await self._loop.connect_accepted_socket(self._protocol, connection)
