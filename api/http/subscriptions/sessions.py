"""The sessions behind sockets and streams: they are closed within a second of the end of their session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import UUID

from api.accounts.auth import Auth
from api.errors import as_app_error
from api.log import logger
from api.stores.stores import Stores

EVERY: Final = 0.5
"""Seconds between two looks at the sessions: one statement, however many sockets there are. As that is less than the
time for which a session counts as known, no event has to look up whom it is for."""

Close = Callable[[], None]


class Sessions:
    """The sessions of a process's sockets and streams of events, each with what closes them.

    Where PostgreSQL doesn't answer, sockets stay: what they ask for is refused, or needs no session.
    """

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._sockets: dict[UUID, set[Close]] = {}
        self._looking: asyncio.Task[None] | None = None

    def enter(self, session_id: UUID, stores: Stores, close: Close) -> None:
        """Call this once the session has ended."""
        self._sockets.setdefault(session_id, set()).add(close)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(stores), name="sessions of sockets")

    def leave(self, session_id: UUID, close: Close) -> None:
        """The socket is closed."""
        sockets = self._sockets.get(session_id)
        if sockets is not None:
            sockets.discard(close)
            if not sockets:
                del self._sockets[session_id]
        if not self._sockets and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self, stores: Stores) -> None:
        while True:
            await asyncio.sleep(EVERY)
            asked = list(self._sockets)
            try:
                active = await self._auth.sessions.refresh(asked, stores)
            except Exception as error:
                if as_app_error(error) is None:
                    logger.error("internal error", exc_info=error)
                continue
            for session_id in asked:
                if session_id not in active:
                    for close in list(self._sockets.get(session_id, ())):
                        close()
