"""Waiting for PostgreSQL to say that there is something new, on a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from api.config.settings import Settings
from api.log import logger
from api.stores.postgres.connector import Connector
from models.external_pooler import Connection

CHANNEL: Final = "fashion_wallet_changes"
LISTENING: Final = 1.0
"""Seconds between two looks while the connection is there: in case that nobody says anything."""
ASKING: Final = 0.25
"""Seconds between two looks where there is no such connection: behind a pooler, or while it is opened again."""


class Listener:
    """A connection that listens. Behind a pooler there is none, since it may be anybody's after a transaction."""

    def __init__(self, settings: Settings) -> None:
        self._connect = Connector(settings)
        self._connection: Connection | None = None
        self._news = asyncio.Event()
        self._failing = False

    async def wait(self) -> None:
        """Wait until there is something new, or it is time to look."""
        if self._connection is None and not self._connect.is_pooled:
            await self._listen()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ASKING if self._connection is None else LISTENING):
                await self._news.wait()
        self._news.clear()

    async def close(self) -> None:
        """Listen no longer."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _listen(self) -> None:
        try:
            connection = await self._connect()
            try:
                connection.add_termination_listener(self._ended)
                await connection.add_listener(CHANNEL, self._heard)
            except BaseException:
                connection.terminate()
                raise
        except Exception as error:
            if not self._failing:
                logger.warning("can't listen to PostgreSQL, and asks instead", error=repr(error))
            self._failing = True
            return
        self._connection, self._failing = connection, False
        self._news.set()  # something may have happened before

    def _heard(self, *_: Any) -> None:
        self._news.set()

    def _ended(self, connection: Any) -> None:
        if connection is self._connection:
            self._connection = None
            self._news.set()
