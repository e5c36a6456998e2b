"""Statements on sessions and their refresh tokens.

A session owns all refresh tokens that come from one sign-in. Each token is exchanged once for the next one. A token
that is used again was copied, so the session is ended, for everybody who holds one of its tokens. An application open
in two windows may exchange a token twice at once: within `GRACE` seconds the second exchange is refused, but nothing is
ended.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Executable, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as UUIDType
from sqlalchemy.ext.asyncio import AsyncSession

from api.stores.replicas.position import NOWHERE, Position
from api.stores.stores import Stores
from models import PostgresRepository, RefreshToken, Session, User, new_id
from models.statements import Parameters, Statement, compile_select

TOKEN_BYTES: Final = 32
GRACE: Final = timedelta(seconds=10)
"""How long after its exchange a second use of a refresh token counts as a double exchange, not as a copy."""
_AS_IT_IS: Final = {"synchronize_session": False}
_SWEPT: Final = 100
"""The most expired sessions that are deleted with each new one."""


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """The account of an active session, and its current role. `seen` is how far the stores were after its last write,
    where that was asked for."""

    user_id: UUID
    role: str
    seen: Position = NOWHERE


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and its next refresh token."""

    session_id: UUID
    refresh_token: str


class Refusal(Enum):
    """Why a refresh token wasn't exchanged."""

    INVALID = "unknown, or its session has ended"
    USED_JUST_NOW = "another exchange was quicker"
    REUSED = "it came again, so the session was ended"


_IS_ACTIVE: Final = (
    Session.revoked_at.is_(None),
    Session.expires_at > func.now(),
    User.is_active,
    User.deleted_at.is_(None),
)
_ACTIVE_SESSION: Final = (
    select(Session.user_id, User.role)
    .join(User, User.id == Session.user_id)
    .where(Session.id == bindparam("session_id"), *_IS_ACTIVE)
)
_ACTIVE_SESSIONS: Final = (
    select(Session.id, Session.user_id, User.role)
    .join(User, User.id == Session.user_id)
    .where(Session.id == func.any(bindparam("session_ids", type_=ARRAY(UUIDType(as_uuid=True)))), *_IS_ACTIVE)
)


async def active_session(stores: Stores, session_id: UUID) -> ActiveSession | None:
    """The session, if it has not ended and its account is active; else None."""
    repository = PostgresRepository(Session, stores.reads, stores.sessions)
    rows = await repository.read_statement(_ACTIVE_SESSION.params(session_id=session_id))
    return ActiveSession(*rows[0]) if rows else None


async def active_sessions(stores: Stores, session_ids: Sequence[UUID]) -> dict[UUID, ActiveSession]:
    """Those of these sessions that have not ended and whose accounts are active, by their ids."""
    repository = PostgresRepository(Session, stores.reads, stores.sessions)
    rows = await repository.read_statement(_ACTIVE_SESSIONS.params(session_ids=list(session_ids)))
    return {id: ActiveSession(user_id, role) for id, user_id, role in rows}


async def current_sessions(stores: Stores, session_ids: Sequence[UUID]) -> list[ActiveSession | None]:
    """Each of these sessions as it is now on the primary, with what it has seen; None for those that have ended."""
    rows = await stores.fetch(_current_sessions(), [session_ids])
    found = {row[0].bytes: ActiveSession(UUID(bytes=row[1].bytes), row[2], Position.of(*row[3:])) for row in rows}
    return [found.get(session_id.bytes) for session_id in session_ids]


@cache
def _current_sessions() -> Statement:
    ids = Parameters().take(ARRAY(UUIDType(as_uuid=True)))
    seen = (Session.seen_timeline, Session.seen_wal, Session.seen_cluster_time)
    columns: list[Any] = [Session.id, Session.user_id, User.role, *seen]
    statement = select(*columns).join(User, User.id == Session.user_id)
    return compile_select(statement.where(Session.id == func.any(ids), *_IS_ACTIVE))


async def note_seen(transaction: AsyncSession, session_id: UUID, seen: Position) -> None:
    """Note how far the stores are after a write of this session, whose next queries must see it."""
    furthest = {
        Session.seen_timeline: seen.timeline,
        Session.seen_wal: seen.wal,
        Session.seen_cluster_time: seen.cluster_time,
    }
    values = {column.key: func.greatest(column, value) for column, value in furthest.items()}  # null is less than all
    await _run(transaction, update(Session).where(Session.id == session_id).values(values))


async def begin(transaction: AsyncSession, user_id: UUID, lifetime: int) -> Opened:
    """Begin a session that lasts `lifetime` seconds. Some expired sessions are deleted on the way."""
    ended = select(Session.id).where(Session.expires_at < func.now()).limit(_SWEPT).with_for_update(skip_locked=True)
    await _run(transaction, delete(Session).where(Session.id.in_(ended)))
    session_id = new_id()
    expires_at = func.now() + timedelta(seconds=lifetime)
    await _run(transaction, insert(Session).values(id=session_id, user_id=user_id, expires_at=expires_at))
    return Opened(session_id, await _hand_out(transaction, session_id))


async def holder(stores: Stores, token: str) -> tuple[UUID, UUID] | None:
    """The account and the session of a refresh token, even if they have ended."""
    repository = PostgresRepository(Session, stores.reads, stores.sessions)
    rows = await repository.read_statement(
        select(Session.user_id, Session.id)
        .join(RefreshToken, RefreshToken.session_id == Session.id)
        .where(RefreshToken.token_hash == _hashed(token))
    )
    return (rows[0][0], rows[0][1]) if rows else None


async def exchange(
    transaction: AsyncSession, token: str, lifetime: int, max_age: int
) -> tuple[UUID | None, Opened | Refusal]:
    """Exchange a refresh token: the id of its session, and the next token or the reason why there is none.

    The session lasts `lifetime` seconds from now, but no longer than `max_age` seconds in all. A token that is used
    again ends the session: that must be committed, too. The caller must have locked the account, as everybody does who
    ends all its sessions.
    """
    of_token = RefreshToken.token_hash == _hashed(token)
    session_id = await transaction.scalar(
        select(Session.id)
        .where(
            Session.id.in_(select(RefreshToken.session_id).where(of_token)),
            Session.revoked_at.is_(None),
            Session.expires_at > func.now(),
            Session.created_at > func.now() - timedelta(seconds=max_age),
        )
        .with_for_update()
    )
    if session_id is None:
        return None, Refusal.INVALID
    now = func.clock_timestamp()  # the transaction may have waited for the lock
    unused = update(RefreshToken).where(of_token, RefreshToken.used_at.is_(None)).values(used_at=now)
    if not await _ids(transaction, unused.returning(RefreshToken.id)):
        if await transaction.scalar(select(RefreshToken.used_at > now - GRACE).where(of_token)):
            return session_id, Refusal.USED_JUST_NOW
        await _run(transaction, update(Session).where(Session.id == session_id).values(**_revoked("reuse")))
        return session_id, Refusal.REUSED
    expires_at = func.least(now + timedelta(seconds=lifetime), Session.created_at + timedelta(seconds=max_age))
    await _run(transaction, update(Session).where(Session.id == session_id).values(expires_at=expires_at))
    forgotten = RefreshToken.used_at < now - timedelta(seconds=lifetime)
    await _run(transaction, delete(RefreshToken).where(RefreshToken.session_id == session_id, forgotten))
    return session_id, Opened(session_id, await _hand_out(transaction, session_id))


async def end(
    transaction: AsyncSession, user_id: UUID, why: str, *, only: UUID | None = None, but: UUID | None = None
) -> int:
    """End the sessions of an account: all of them, `only` one, or all `but` one. Returns how many it ended."""
    statement = update(Session).where(Session.user_id == user_id, Session.revoked_at.is_(None))
    if only is not None:
        statement = statement.where(Session.id == only)
    if but is not None:
        statement = statement.where(Session.id != but)
    return len(await _ids(transaction, statement.values(**_revoked(why)).returning(Session.id)))


def _revoked(why: str) -> dict[str, object]:
    return {"revoked_at": func.now(), "revoked_for": why}


async def _hand_out(transaction: AsyncSession, session_id: UUID) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    values = {"id": new_id(), "session_id": session_id, "token_hash": _hashed(token)}
    await _run(transaction, insert(RefreshToken).values(**values))
    return token


def _hashed(token: str) -> bytes:
    """The hash of a token, which is stored. Tokens are random, so a fast hash is enough."""
    return hashlib.sha256(token.encode()).digest()


async def _run(transaction: AsyncSession, statement: Executable) -> None:
    await transaction.execute(statement, execution_options=_AS_IT_IS)


async def _ids(transaction: AsyncSession, statement: Executable) -> Sequence[UUID]:
    """The ids that a statement returns."""
    return (await transaction.scalars(statement, execution_options=_AS_IT_IS)).all()
