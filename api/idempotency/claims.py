"""Claims on idempotency keys, in `shared.idempotency_keys`: they decide which request runs a mutation.

A claim is a lease: it is renewed while the mutation runs, and expires soon after its process has died. Each write to
PostgreSQL marks the claim in the same transaction. So a mutation that has written never runs again, and one whose claim
has expired can't write any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from bson import ObjectId
from graphql.pyutils import Path
from sqlalchemy import ColumnElement, Executable, Row, case, delete, func, literal, null, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.error_codes import ErrorCode
from api.errors import AppError
from api.stores.stores import Stores
from models import IdempotencyKey, PostgresRepository, new_id
from models.external_pooler import autocommit

LEASE: Final = timedelta(seconds=15)
"""How long a claim is held after its last renewal."""
_RENEWAL: Final = LEASE.total_seconds() / 3


class IdempotencyError(AppError):
    """A key that can't be used this way; `status` is the HTTP status."""

    status: int = 409


class InProgress(IdempotencyError):
    """Another request is running the mutation."""

    code = ErrorCode.IDEMPOTENCY_IN_PROGRESS

    def __init__(self) -> None:
        super().__init__("A request with this key is running: send it again a little later.")


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at a mutation. `since` is when its key was first seen."""

    id: UUID
    actor: str
    key: str
    since: datetime

    async def mark(self, transaction: AsyncSession) -> None:
        """Mark the claim in the transaction of a write, so that the mutation doesn't run again.

        Raises InProgress where the claim has expired and another request has taken over: then nothing may be written.
        """
        # least() ignores nulls, and is taken where the table is distributed, which coalesce() of a function isn't
        statement = _change(self, written_at=func.least(IdempotencyKey.written_at, func.now()))
        if (await transaction.execute(statement, execution_options={"synchronize_session": False})).first() is None:
            raise InProgress


def idempotent_object_id(claim: Claim | None, path: Path) -> ObjectId | None:
    """The `_id` for a document that the field at this path (`info.path`) creates; None for a request without a key.

    If the request has to run again, it gets the same `_id`.
    """
    if claim is None:
        return None
    named = orjson.dumps([claim.since.isoformat(), claim.actor, claim.key, path.as_list()])
    return ObjectId(int(claim.since.timestamp()).to_bytes(4) + hashlib.sha256(named).digest()[:8])


async def claim(
    stores: Stores, actor: str, key: str, fingerprints: Sequence[bytes], lifetime: timedelta
) -> Claim | None:
    """A new claim; None where another request holds the key or has used it.

    The first fingerprint is stored. An expired claim without a write can be taken over with any of them.
    """
    new = insert(IdempotencyKey).values(
        id=new_id(),
        actor=actor,
        key=key,
        fingerprint=fingerprints[0],
        locked_until=func.now() + LEASE,
        created_at=func.now(),
    )
    # by the moment of the new row: where the table is distributed, a shard's conditions can't ask for now()
    now = new.excluded.created_at
    expired = now - IdempotencyKey.created_at > lifetime
    unused = (
        IdempotencyKey.response.is_(None)
        & IdempotencyKey.written_at.is_(None)
        & IdempotencyKey.fingerprint.in_(fingerprints)
    )
    statement = new.on_conflict_do_update(
        index_elements=[IdempotencyKey.actor, IdempotencyKey.key],
        set_={
            "id": new.excluded.id,
            "fingerprint": new.excluded.fingerprint,
            "locked_until": new.excluded.locked_until,
            "response": null(),
            "written_at": null(),
            "created_at": case((expired, now), else_=IdempotencyKey.created_at),
        },
        where=(IdempotencyKey.locked_until <= now) & (expired | unused),
    ).returning(IdempotencyKey.id, IdempotencyKey.created_at)
    rows = await _send(stores, statement)
    return Claim(rows[0].id, actor, key, rows[0].created_at) if rows else None


async def find(stores: Stores, actor: str, key: str) -> Row[Any] | None:
    """The row of a key: `fingerprint`, `response`, `written_at`, and whether it is `running`."""
    running = (IdempotencyKey.locked_until > func.now()).label("running")
    rows = await _send(
        stores,
        select(IdempotencyKey.fingerprint, IdempotencyKey.response, IdempotencyKey.written_at, running).where(
            IdempotencyKey.actor == actor, IdempotencyKey.key == key
        ),
    )
    return rows[0] if rows else None


async def others(stores: Stores, actor: str, key: str, lifetime: timedelta, most: int) -> int:
    """The number of other keys of this actor, counted up to `most`."""
    kept = (
        select(IdempotencyKey.id)
        .where(IdempotencyKey.actor == actor, IdempotencyKey.key != key, ~_expired(lifetime))
        .limit(most)
    )
    rows = await _send(stores, select(func.count()).select_from(kept.subquery()))
    return int(rows[0][0])


async def answer(stores: Stores, claim: Claim, response: dict[str, Any], *, final: bool) -> None:
    """Store the answer and end the claim. An answer that isn't `final` is only stored if the mutation has written."""
    kept: Any = literal(response, JSONB)
    if not final:
        kept = case((IdempotencyKey.written_at.is_not(None), kept), else_=null())
    await _send(stores, _change(claim, response=kept, locked_until=func.now()))


async def withdraw(stores: Stores, claim: Claim) -> None:
    """End the claim of a request that was never executed. Its key can be used again."""
    mine = _mine(claim) & IdempotencyKey.written_at.is_(None)
    await _send(stores, delete(IdempotencyKey).where(mine).returning(IdempotencyKey.id))


async def sweep(stores: Stores, lifetime: timedelta, limit: int, *, nearby: str | None = None) -> int:
    """Delete at most `limit` expired keys. Returns how many.

    Where keys are spread over shards and `nearby` is given, only keys of this actor, which are on one shard.
    """
    over = _expired(lifetime) & (IdempotencyKey.locked_until <= func.now())
    if stores.distribution.is_distributed:  # rows of many shards can't be locked together
        if nearby is not None:
            over &= IdempotencyKey.actor == nearby
        found = await _send(stores, select(IdempotencyKey.actor, IdempotencyKey.id).where(over).limit(limit))
        actors, ids = ([row[place] for row in found] for place in (0, 1))
        these = IdempotencyKey.actor.in_(actors) & IdempotencyKey.id.in_(ids) & over
        return len(await _send(stores, delete(IdempotencyKey).where(these).returning(IdempotencyKey.id))) if ids else 0
    chosen = select(IdempotencyKey.id).where(over).limit(limit).with_for_update(skip_locked=True)
    swept = delete(IdempotencyKey).where(IdempotencyKey.id.in_(chosen)).returning(IdempotencyKey.id)
    return len(await _send(stores, swept))


@contextlib.asynccontextmanager
async def renewed(stores: Stores, claim: Claim) -> AsyncIterator[None]:
    """Renew the claim as long as the block runs."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(_RENEWAL)
            with contextlib.suppress(
                Exception
            ):  # the lease survives two failed renewals; then others may run the mutation
                await _send(stores, _change(claim, locked_until=func.now() + LEASE))

    renewal = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewal.cancel()
        await asyncio.wait([renewal])


def _mine(claim: Claim) -> ColumnElement[bool]:
    """The row of a claim; by its actor, it is on one shard where the table is distributed."""
    return (IdempotencyKey.id == claim.id) & (IdempotencyKey.actor == claim.actor)


def _expired(lifetime: timedelta) -> ColumnElement[bool]:
    return IdempotencyKey.created_at < func.now() - lifetime


def _change(claim: Claim, **values: Any) -> Executable:
    """A statement that changes the claim; it has no effect once another request holds the key."""
    return update(IdempotencyKey).where(_mine(claim)).values(**values).returning(IdempotencyKey.id)


async def _send(stores: Stores, statement: Executable) -> Sequence[Row[Any]]:
    """Run and commit one statement as the connected user, since keys don't belong to a viewer."""
    keys = PostgresRepository(IdempotencyKey, autocommit(stores.engine), stores.sessions)
    return await keys.read_statement(statement)
