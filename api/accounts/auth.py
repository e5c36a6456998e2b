"""Authentication: the viewer of a request, by its access token and the session behind that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from api.accounts.passwords import Passwords
from api.accounts.sessions import ActiveSession, active_session, active_sessions, current_sessions
from api.accounts.sign_in_limits import SignInLimits
from api.accounts.tokens import AccessTokens, Claims, ExpiredToken, InvalidToken
from api.bounded_dict import BoundedDict
from api.config.settings import Settings
from api.errors import AccessTokenExpired, InvalidAccessToken
from api.rates.counts import MemoryCounts, SharedCounts
from api.rights.viewer import ANONYMOUS, Viewer
from api.stores.replicas.position import NOWHERE, Position
from api.stores.stores import Stores

FRESH: Final = 1.0
"""Seconds for which a session isn't read again: another instance notices a deactivation at most so much later."""
REMEMBERED: Final = 10_000
"""The most sessions that are remembered."""


class Auth:
    """Tokens, sessions, passwords and sign-in limits of a process."""

    def __init__(self, settings: Settings, counts: MemoryCounts | SharedCounts | None = None) -> None:
        self.tokens = AccessTokens(settings)
        self.sessions = SessionCache()
        self.passwords = Passwords(settings)
        self.limits = SignInLimits(settings, counts)

    def claims_of(self, authorization: str | None) -> Claims | None:
        """The verified claims of the token in the header `Authorization`; None where there is no header.

        Raises AccessTokenExpired, and InvalidAccessToken for a header that is not `Bearer <access token>` and for a
        token that is not valid.
        """
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidAccessToken
        try:
            return self.tokens.verify(token.strip())
        except ExpiredToken:
            raise AccessTokenExpired from None
        except InvalidToken:
            raise InvalidAccessToken from None

    async def viewer_of(self, claims: Claims | None, stores: Stores) -> Viewer:
        """The viewer of a token's claims; ANONYMOUS where there are none.

        Raises InvalidAccessToken for a session that has ended, and an account that is inactive or deleted.
        """
        return (await self.identify(claims, stores))[0]

    async def identify(self, claims: Claims | None, stores: Stores) -> tuple[Viewer, Position]:
        """The viewer, as `viewer_of`, and what their session has written, where queries are read from replicas."""
        if claims is None:
            return ANONYMOUS, NOWHERE
        found = await self.sessions.of(claims.session_id, stores)
        if found is None or found.user_id != claims.user_id:
            raise InvalidAccessToken
        return Viewer(found.user_id, found.role, claims.session_id), found.seen

    def known_viewer(self, claims: Claims | None) -> Viewer | None:
        """As `viewer_of`, where that needs no store; None where it does, or where it raises."""
        if claims is None:
            return ANONYMOUS
        found = self.sessions.known(claims.session_id)
        if found is None or found.user_id != claims.user_id:
            return None
        return Viewer(found.user_id, found.role, claims.session_id)


class SessionCache:
    """Active sessions by their ids, as they were in PostgreSQL at most `FRESH` seconds ago.

    The age counts from before the statement was sent, and is never extended. Requests that miss at the same time share
    one statement, and are all misses. A process that changes an account or a session forgets it here, so the change
    takes effect at once.
    """

    def __init__(self) -> None:
        self._known = BoundedDict[UUID, tuple[float, ActiveSession | None]](REMEMBERED)
        self._fetches: dict[UUID, asyncio.Task[ActiveSession | None]] = {}
        self._writes = 0
        self.hits = self.misses = 0

    def known(self, session_id: UUID) -> ActiveSession | None:
        """The session, where it is known to be active."""
        known = self._known.get(session_id)
        return known[1] if known is not None and time.monotonic() - known[0] < FRESH else None

    async def refresh(self, session_ids: Sequence[UUID], stores: Stores) -> dict[UUID, ActiveSession]:
        """Read these again. Those that are active, by their ids."""
        started, writes = time.monotonic(), self._writes
        active = await active_sessions(stores, session_ids)
        if writes == self._writes:  # else it may have read the state before a write
            for session_id in session_ids:
                self._known[session_id] = started, active.get(session_id)
        return active

    async def of(self, session_id: UUID, stores: Stores) -> ActiveSession | None:
        """The session, if it is active; else None.

        Where queries are read from replicas, it is asked for each time: another instance may have written for it.
        """
        if stores.follows_writers:
            self.misses += 1
            return await _current(session_id, stores)
        known = self._known.get(session_id)
        if known is not None and time.monotonic() - known[0] < FRESH:
            self._known.move_to_end(session_id)
            self.hits += 1
            return known[1]
        self.misses += 1
        fetch = self._fetches.get(session_id)
        if fetch is None:
            fetch = self._fetches[session_id] = asyncio.create_task(self._fetch(session_id, stores))
        return await asyncio.shield(fetch)  # a request that is cancelled must not cancel it for the others

    def forget(self, session_id: UUID) -> None:
        """Read this session again next time, after a write to it."""
        self._writes += 1
        self._known.pop(session_id, None)
        self._fetches.pop(session_id, None)  # it may have read the state before the write

    def forget_user(self, user_id: UUID) -> None:
        """Read all sessions of an account again next time, after a write to it."""
        self._writes += 1
        for session_id in [id for id, (_, found) in self._known.items() if found and found.user_id == user_id]:
            del self._known[session_id]
        self._fetches.clear()

    async def _fetch(self, session_id: UUID, stores: Stores) -> ActiveSession | None:
        started = time.monotonic()
        this = asyncio.current_task()
        try:
            found = await active_session(stores, session_id)
            if self._fetches.get(session_id) is this:
                self._known[session_id] = started, found
            return found
        finally:
            if self._fetches.get(session_id) is this:
                del self._fetches[session_id]


async def _current(session_id: UUID, stores: Stores) -> ActiveSession | None:
    """The session as it is now; requests that come together share a statement, which is sent after they came."""
    read = partial(current_sessions, stores)
    if stores.coalescer is None:
        (found,) = await read([session_id])
    else:
        (found,) = await stores.coalescer.read("current sessions", [session_id], read)
    session: ActiveSession | None = found
    return session
