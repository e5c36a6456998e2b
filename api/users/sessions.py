"""Statements on `shared.sessions` and `shared.refresh_tokens`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, select

from api.stores import Stores
from models import PostgresRepository, Session, User


@dataclass(frozen=True, slots=True)
class Standing:
    """Whose a session is, and what that account may do now."""

    user_id: UUID
    role: str


STANDING: Final = (
    select(Session.user_id, User.role)
    .join(User, User.id == Session.user_id)
    .where(
        Session.id == bindparam("session_id"),
        Session.revoked_at.is_(None),
        Session.expires_at > func.now(),
        User.is_active,
        User.deleted_at.is_(None),
    )
)


async def standing(stores: Stores, session_id: UUID) -> Standing | None:
    """The standing of a session that lasts, of an account that is active; None for any other."""
    repository = PostgresRepository(Session, stores.reads, stores.sessions)
    rows = await repository.read_statement(STANDING.params(session_id=session_id))
    return Standing(*rows[0]) if rows else None
