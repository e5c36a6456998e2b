"""Writes of distributed tables past the API, which nobody would write to the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from api.config.settings import Settings
from tests.support.applications import running
from tests.support.factories.avatars import create_avatar
from tests.support.factories.users import create_user
from tests.support.stores import databases, distributed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def app(on_cluster: Settings, anyio_backend: str) -> AsyncIterator[Starlette]:
    await distribute(on_cluster)
    async with running(on_cluster) as (app, _):
        yield app


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE avatar.avatars SET name = 'x' WHERE user_id = '{user}'",
        "DELETE FROM avatar.avatars WHERE id = '{avatar}'",
    ],
)
async def test_who_writes_past_the_api_is_refused(app: Starlette, statement: str) -> None:
    user = await create_user(app.state.stores)
    avatar = await create_avatar(app.state.stores, user_id=user.id, name="As it was")
    before = await scalar(app.state.settings, "SELECT count(*) FROM audit.audit_log")
    connection = await asyncpg.connect(app.state.settings.postgres_url)
    with pytest.raises(asyncpg.PostgresError, match=r"avatar\.avatars is distributed, and this change is not written"):
        await connection.execute(statement.format(user=user.id, avatar=avatar.id))
    await connection.close()
    assert await _names(app, avatar.user_id) == ["As it was"]
    assert await scalar(app.state.settings, "SELECT count(*) FROM audit.audit_log") == before


async def distribute(settings: Settings) -> None:
    await asyncio.to_thread(distributed.distribute, settings)


async def sql(settings: Settings, statement: str) -> list[asyncpg.Record]:
    return await asyncio.to_thread(databases.sql, settings, statement)


async def scalar(settings: Settings, statement: str) -> Any:
    return (await sql(settings, statement))[0][0]


async def _names(app: Starlette, user_id: Any) -> list[str]:
    connection = await asyncpg.connect(app.state.settings.postgres_url)
    try:
        rows = await connection.fetch("SELECT name FROM avatar.avatars WHERE user_id = $1", user_id)
    finally:
        await connection.close()
    return [row["name"] for row in rows]
