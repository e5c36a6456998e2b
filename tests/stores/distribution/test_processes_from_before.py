"""An application that has run, and a session that was open, since before the tables were distributed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from api.config.settings import Settings
from migrations.distributing import distribute as distribute_tables
from models import Avatar
from tests.support.applications import running
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.graphql import execute, gid
from tests.support.mutations.objects import Mutations
from tests.support.signing_in import signed_in
from tests.support.stores.databases import sql
from tests.support.stores.distributed import distribute

pytestmark = [pytest.mark.anyio, pytest.mark.own_connections]

AVATARS = Mutations("avatar", "name")
EVERYONES = "{ users(first: 10) { nodes { firstName avatars { totalCount nodes { name } } } } }"
MINE = "query ($id: ID!) { viewer { avatars { nodes { name } } defaultAvatar { name } } node(id: $id) { id } }"


@contextlib.asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(settings.postgres_url)
    try:
        yield connection
    finally:
        connection.terminate()


@pytest.mark.parametrize("row_level_security", [False, True], ids=["", "row-level-security"])
async def test_reads_and_writes_go_on_while_tables_are_distributed(
    on_cluster: Settings, row_level_security: bool
) -> None:
    # given: an application that reads and writes, and a session of somebody else's
    await asyncio.to_thread(distribute_tables, on_cluster, lambda _: None, undo=True)
    await asyncio.to_thread(sql, on_cluster, "DELETE FROM shared.users")
    async with (
        running(on_cluster, row_level_security=row_level_security) as (app, client),
        connected(on_cluster) as session,
    ):
        stores = app.state.stores
        admin, _ = await signed_in(client, stores, "admin")
        mine, ada = await signed_in(client, stores)
        avatar = await create_avatar(stores, user_id=ada.id, name="First", is_default=True)
        await AVATARS.changed(mine, "createAvatar", name="Second")

        async def read() -> list[Any]:
            return [await execute(admin, EVERYONES), await execute(mine, MINE, id=gid(avatar))]

        async def reading(moving: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
            """What it reads, without a pause, while tables move."""
            answers = []
            task = asyncio.create_task(asyncio.to_thread(moving, *arguments, **options))
            while not task.done():
                answers.append(await read())
            await task
            return [*answers, await read()]

        expected = await read()
        assert expected[1]["viewer"]["defaultAvatar"] == {"name": "First"}

        # when
        answers = await reading(distribute, on_cluster)

        # then: every answer is as before, and the application knows at once
        assert all(answer == expected for answer in answers)
        assert len(answers) > 1
        assert stores.distribution.is_distributed
        assert not stores.is_cut_off("PostgreSQL")
        assert session.is_closed()
        await AVATARS.changed(mine, "createAvatar", name="Third")

        # and the same on the way back
        expected = await read()
        answers = await reading(distribute_tables, on_cluster, lambda _: None, undo=True)
        assert all(answer == expected for answer in answers)
        assert not stores.distribution.is_distributed
        await AVATARS.changed(mine, "createAvatar", name="Fourth")
        names = [each.name for each in await avatars(stores).find_all(Avatar.user_id == ada.id, sort=["name"])]
        assert names == ["First", "Fourth", "Second", "Third"]
        log = await asyncio.to_thread(
            sql, on_cluster, f"SELECT operation FROM audit.audit_log WHERE actor_id = '{ada.id}' ORDER BY log_position"
        )
        assert [row["operation"] for row in log] == ["INSERT"] * 3
