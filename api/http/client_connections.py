"""The connections of a process: how many there are, of whom, and which of them wait for their client."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final, Protocol

from api.config.settings import Settings
from api.log import logger
from api.rates.addresses import Addresses, site

_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_MANY: Final = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_QUIET: Final = 60.0
"""Seconds between two lines of the log that say that connections are refused."""


class Connection(Protocol):
    """What is counted: uvicorn's protocol, by its identity."""

    transport: asyncio.Transport
    client: tuple[str, int] | None


class ClientConnections:
    """Counts connections, and bounds them for the process and for each address but the trusted proxies'.

    Where the process has its most, the one that has waited for its client longest makes room for another: somebody who
    only holds connections open keeps nobody out.
    """

    def __init__(self, settings: Settings) -> None:
        self._most, self._most_of_one = settings.max_connections, settings.max_connections_per_address
        self._addresses = Addresses(settings)
        self._sites: dict[Connection, str | None] = {}
        self._open: Counter[str] = Counter()
        self._waiting: dict[Connection, None] = {}
        self._said = -_QUIET

    def __len__(self) -> int:
        return len(self._sites)

    def enter(self, connection: Connection) -> bytes | None:
        """Count a connection, which waits for its client from now on; or the answer with which it is refused."""
        peer = self._addresses.peer(connection.client)
        counted = None if peer is None or self._addresses.trusts(peer) else site(str(peer))
        if counted is not None and self._open[counted] >= self._most_of_one:
            self._say("MAX_CONNECTIONS_PER_ADDRESS", counted)
            return _TOO_MANY
        if len(self._sites) >= self._most and not self._make_room():
            self._say("MAX_CONNECTIONS", counted)
            return _FULL
        self._sites[connection] = counted
        if counted is not None:
            self._open[counted] += 1
        self._waiting[connection] = None
        return None

    def leave(self, connection: Connection) -> None:
        """It is closed."""
        self._waiting.pop(connection, None)
        counted = self._sites.pop(connection, None)
        if counted is not None:
            self._open[counted] -= 1
            if not self._open[counted]:
                del self._open[counted]

    def works(self, connection: Connection) -> None:
        """A request of it has come, and is answered: it is not its client that is waited for."""
        self._waiting.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """What it has asked is answered."""
        if connection in self._sites:
            self._waiting[connection] = None

    def _make_room(self) -> bool:
        longest = next(iter(self._waiting), None)
        if longest is None:
            return False
        del self._waiting[longest]
        longest.transport.abort()  # closing would wait for a client that doesn't read
        return True

    def _say(self, setting: str, address: str | None) -> None:
        now = time.monotonic()
        if now - self._said >= _QUIET:
            self._said = now
            logger.warning("connections refused", limit=setting, address=address, open=len(self))
