"""How far search has followed designs, and who follows: the one row of `design.search_feed`.

One process follows at a time. It has a lease rather than a lock of its session: behind a pooler a session may be
anybody's. Whoever loses the lease in the middle of a batch loses that batch, since its transaction looks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bson import json_util
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

LEASE: Final = 5.0
"""Seconds after which another process takes over from one that has died."""

_TAKE: Final = text("""
    INSERT INTO design.search_feed AS feed (id, holder, held_until) VALUES (1, :holder, now() + :lease * interval '1s')
    ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
    WHERE feed.holder = excluded.holder OR feed.held_until IS NULL OR feed.held_until < now() OR :seize
    RETURNING copied, resume_token, position
""")
_ADVANCE: Final = text("""
    UPDATE design.search_feed SET copied = :copied, resume_token = :token, position = :position,
        held_until = now() + :lease * interval '1s',
        caught_up_at = CASE WHEN :caught_up THEN now() ELSE caught_up_at END
    WHERE id = 1 AND holder = :holder AND held_until > now()
""")
_RELEASE: Final = text("UPDATE design.search_feed SET held_until = NULL WHERE id = 1 AND holder = :holder")
_STATUS: Final = text("""
    SELECT extract(epoch FROM now() - caught_up_at)::float8 AS behind,
        coalesce(held_until > now(), false) AS is_followed
    FROM design.search_feed WHERE copied
""")


class LeaseLost(Exception):
    """Another process has taken over."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the source goes on. `copied` says that all designs were taken over before."""

    copied: bool = False
    token: dict[str, Any] | None = None
    position: datetime | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """How search is doing: seconds since it knew every change, and whether a process follows now."""

    behind: float | None
    is_followed: bool


async def take(engine: AsyncEngine, holder: str) -> Place | None:
    """Become the one who follows, or stay it. Where to go on; None where another process follows."""
    return await _take(engine, holder, seize=False)


async def seize(engine: AsyncEngine, holder: str) -> None:
    """Become the one who follows, whoever does. That one writes nothing more, and waits."""
    await _take(engine, holder, seize=True)


async def status(engine: AsyncEngine) -> Status | None:
    """How search is doing; None where designs were never copied."""
    async with engine.connect() as connection:
        row = (await connection.execute(_STATUS)).one_or_none()
    return None if row is None else Status(row.behind, row.is_followed)


async def _take(engine: AsyncEngine, holder: str, *, seize: bool) -> Place | None:
    async with engine.begin() as connection:
        row = (await connection.execute(_TAKE, {"holder": holder, "lease": LEASE, "seize": seize})).one_or_none()
    if row is None:
        return None
    return Place(row.copied, None if row.resume_token is None else json_util.loads(row.resume_token), row.position)


async def advance(connection: AsyncConnection, holder: str, place: Place, *, caught_up: bool) -> None:
    """Note in the transaction of the rows that they are there, and keep the lease. Raises LeaseLost."""
    updated = await connection.execute(
        _ADVANCE,
        {
            "holder": holder,
            "lease": LEASE,
            "copied": place.copied,
            "token": None if place.token is None else json_util.dumps(place.token),
            "position": place.position,
            "caught_up": caught_up,
        },
    )
    if updated.rowcount != 1:
        raise LeaseLost


async def release(engine: AsyncEngine, holder: str) -> None:
    """Let another process follow at once."""
    async with engine.begin() as connection:
        await connection.execute(_RELEASE, {"holder": holder})
