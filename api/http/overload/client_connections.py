"""The open connections of a process, counted and limited in all and for each address."""

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
"""The least seconds between two log lines about refused connections."""


class Connection(Protocol):
    """A connection: uvicorn's protocol object."""

    transport: asyncio.Transport
    client: tuple[str, int] | None


class ClientConnections:
    """Counts connections, and limits them for the process and for each address, trusted proxies excepted.

    When the process has the most that it may have, the connection that has waited for its client longest is closed for
    a new one. So a client that only holds connections open keeps nobody out.
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
        """Count a new connection, which then waits for its client. Returns the answer to send if it is refused."""
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
        """The connection is closed."""
        self._waiting.pop(connection, None)
        counted = self._sites.pop(connection, None)
        if counted is not None:
            self._open[counted] -= 1
            if not self._open[counted]:
                del self._open[counted]

    def works(self, connection: Connection) -> None:
        """A request has arrived and is being answered, so the connection doesn't wait for its client."""
        self._waiting.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """The request is answered: the connection waits for its client again."""
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
