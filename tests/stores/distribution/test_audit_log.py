"""The audit log of distributed tables, which the API writes: it is the one that triggers write on one PostgreSQL, and
who would write past it is refused."""

from __future__ import annotations

import asyncio
import re
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.config.settings import Settings
from api.stores.stores import Stores, open_stores
from migrations.distributing import distribute as distribute_tables
from models import Avatar
from tests.support.applications import running
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.factories.users import create_user, users
from tests.support.graphql import gid
from tests.support.mutations.objects import Mutations
from tests.support.signing_in import signed_in
from tests.support.stores.databases import sql
from tests.support.stores.distributed import distribute

pytestmark = [pytest.mark.anyio, pytest.mark.own_connections]

AVATARS = Mutations("avatar", "id isDefault updatedAt")
USERS = Mutations("user", "id")
ENTRY = "table_name, record_id, operation, old_values, new_values, actor_id, request_id"
UUID_OR_MOMENT = re.compile(
    r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?P<zone>[+-]\d\d:\d\d)"
)
PAST_THE_LOG = r"avatar\.avatars is distributed, and this change is not written to the audit log"
AT_ONCE = "all at once"


async def written(settings: Settings) -> list[Any]:
    """The entries of everything that `change_everything` does, in their order.

    Ids are numbered as they come up, and of moments only the zone is left: both differ from one time to the next.
    """
    await asyncio.to_thread(sql, settings, "DELETE FROM shared.users", "DELETE FROM audit.audit_log")
    async with running(settings) as (app, client):
        people = await change_everything(client, app.state.stores)
    await by_hand(settings, people)
    rows = await asyncio.to_thread(sql, settings, f"SELECT {ENTRY} FROM audit.audit_log ORDER BY log_position")
    ids: dict[str, str] = {}

    def masked(match: re.Match[str]) -> str:
        if match["id"]:
            return ids.setdefault(match["id"], f"id {len(ids)}")
        return f"moment {match['zone']}"

    def plain(row: asyncpg.Record) -> Any:
        values = dict(row) | {name: row[name] and orjson.loads(row[name]) for name in ("old_values", "new_values")}
        return orjson.loads(UUID_OR_MOMENT.sub(masked, orjson.dumps(values, default=str).decode()))

    entries = groupby(map(plain, rows), of_one_statement)
    return [each for _, those in entries for each in sorted(those, key=orjson.dumps)]


def of_one_statement(entry: dict[str, Any]) -> list[Any]:
    """What entries next to each other have in common that one statement wrote, in no order."""
    if entry["request_id"] == AT_ONCE:
        return [AT_ONCE]
    return [entry["request_id"], entry["table_name"], entry["operation"]]


async def change_everything(client: httpx.AsyncClient, stores: Stores) -> list[UUID]:
    """Whatever mutations do to avatars; the ids of users whose rows can go, one after the other."""
    boss, admin = await signed_in(client, stores, "admin", email="boss@example.com")
    _, kim = await signed_in(client, stores, email="kim@example.com")
    chief, _ = await signed_in(client, stores, "admin", email="chief@example.com")
    mine, ada = await signed_in(client, stores, email="ada@example.com")
    _, eve = await signed_in(client, stores, email="eve@example.com")
    step = 0

    async def sent(client: httpx.AsyncClient, kind: Mutations, name: str, key: str = "", /, **given: Any) -> Any:
        nonlocal step
        step += 1
        client.headers["x-request-id"] = f"step-{step}"
        client.headers.pop("idempotency-key", None)
        if key:
            client.headers["idempotency-key"] = key
        return await kind.payload(client, name, **given)

    async def avatar(client: httpx.AsyncClient, name: str, key: str = "", /, **given: Any) -> Any:
        payload = await sent(client, AVATARS, name, key, **given)
        assert payload["errors"] == []
        return payload["avatar"]

    first = await avatar(mine, "createAvatar", name="First", measurements={"height": 171.50, "waist": 70})
    second = await avatar(mine, "createAvatar", name="Zweite ☃", isDefault=True, gender="FEMALE")
    third = await avatar(mine, "createAvatar", "a-key", name="Third")
    assert third == await avatar(mine, "createAvatar", "a-key", name="Third")
    others = await avatar(boss, "createAvatar", name="Made by the admin", userId=gid(eve))
    await avatar(mine, "updateAvatar", id=first["id"], name="Renamed", measurements={"waist": None, "hips": 95.25})
    await avatar(boss, "updateAvatar", id=first["id"], name="Renamed by the admin")
    await avatar(boss, "updateAvatar", id=first["id"], name="Renamed by the admin")
    await avatar(chief, "createAvatar", name="Made by another", userId=gid(kim))
    for changes in ({"expectedUpdatedAt": first["updatedAt"], "name": "x"}, {"name": " "}):
        assert (await sent(mine, AVATARS, "updateAvatar", id=first["id"], **changes))["errors"] != []
    assert (await sent(mine, AVATARS, "updateAvatar", id=others["id"], name="x"))["errors"] != []
    await avatar(mine, "setDefaultAvatar", id=first["id"])
    await avatar(mine, "setDefaultAvatar", id=first["id"])
    await avatar(mine, "deleteAvatar", id=first["id"])
    assert (await sent(mine, AVATARS, "deleteAvatar", id=first["id"]))["errors"] != []
    await avatar(boss, "restoreAvatar", id=first["id"])
    await avatar(mine, "deleteAvatar", id=second["id"])
    for name in ("deleteUser", "restoreUser", "deleteUser"):
        assert (await sent(boss, USERS, name, id=gid(ada)))["errors"] == []
    return [ada.id, admin.id]


async def by_hand(settings: Settings, people: list[UUID]) -> None:
    """Delete these users' rows as in psql, in a session with another time zone; then all others' at once."""
    connection = await asyncpg.connect(settings.postgres_url, server_settings={"timezone": "Asia/Kolkata"})
    try:
        for id in people:
            await connection.execute("DELETE FROM shared.users WHERE id = $1", id)
        await connection.execute(f"SET app.request_id = '{AT_ONCE}'")
        await connection.execute("DELETE FROM shared.users")
    finally:
        await connection.close()


async def test_the_log_of_distributed_tables_is_the_one_that_triggers_write(on_cluster: Settings) -> None:
    # given: the log of one PostgreSQL, whose triggers write it
    await asyncio.to_thread(distribute_tables, on_cluster, lambda _: None, undo=True)
    by_triggers = await written(on_cluster)

    # when: the same on workers with a time zone of their own
    await asyncio.to_thread(distribute, on_cluster)
    zone = "SELECT success FROM run_command_on_workers($$ALTER SYSTEM SET timezone = 'America/Caracas'$$)"
    assert all(row["success"] for row in await asyncio.to_thread(sql, on_cluster, zone))
    await asyncio.to_thread(sql, on_cluster, "SELECT run_command_on_workers('SELECT pg_reload_conf()')")
    by_the_api = await written(on_cluster)

    # then
    deleted = [entry["operation"] for entry in by_triggers if entry["table_name"] == "avatar.avatars"].count("DELETE")
    assert (deleted, len({entry["actor_id"] for entry in by_triggers})) == (5, 4)
    for one, other in zip(by_triggers, by_the_api, strict=False):
        assert other == one
    assert len(by_the_api) == len(by_triggers)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE avatar.avatars SET name = 'x' WHERE user_id = '{user}'",
        "DELETE FROM avatar.avatars WHERE id = '{avatar}'",
        "INSERT INTO avatar.avatars (id, user_id, name) VALUES ('{user}', '{user}', 'x')",
    ],
)
async def test_who_writes_past_the_api_is_refused(on_cluster: Settings, statement: str) -> None:
    await asyncio.to_thread(distribute, on_cluster)
    async with open_stores(on_cluster) as stores:
        avatar = await create_avatar(stores)
        before = await asyncio.to_thread(sql, on_cluster, "SELECT id FROM audit.audit_log")
        past_it = statement.format(user=avatar.user_id, avatar=avatar.id)
        with pytest.raises(asyncpg.CannotConnectNowError, match=PAST_THE_LOG):
            await asyncio.to_thread(sql, on_cluster, past_it)
        assert [each.name for each in await avatars(stores).find_all(Avatar.user_id == avatar.user_id)] == ["Standing"]
        assert await asyncio.to_thread(sql, on_cluster, "SELECT id FROM audit.audit_log") == before


async def test_an_audited_change_says_nothing_of_what_follows_it(on_cluster: Settings) -> None:
    # given
    await asyncio.to_thread(distribute, on_cluster)
    async with open_stores(on_cluster) as stores:
        ada, eve = await create_user(stores), await create_user(stores)
        avatar = await create_avatar(stores, user_id=ada.id)
        await create_avatar(stores, user_id=eve.id)
        renaming = text("UPDATE avatar.avatars SET name = 'past the log' WHERE user_id = :user")
        log = await asyncio.to_thread(sql, on_cluster, "SELECT id FROM audit.audit_log")

        # when: in one transaction, what the API writes or a user's deletion, and then raw SQL
        async def write() -> None:
            async with stores.sessions.begin() as session:
                await avatars(stores).within(session).update(avatar.id, {"name": "in the log"})
                await session.execute(renaming, {"user": ada.id})

        async def delete() -> None:
            async with stores.sessions.begin() as session:
                await session.execute(text("DELETE FROM shared.users WHERE id = :user"), {"user": eve.id})
                await session.execute(renaming, {"user": ada.id})

        # then: it is refused, and all of it undone
        for change in (write, delete):
            with pytest.raises(DBAPIError, match=PAST_THE_LOG):
                await change()
        whose = Avatar.user_id.in_([ada.id, eve.id])
        assert [one.name for one in await avatars(stores).find_all(whose)] == ["Standing"] * 2
        assert await asyncio.to_thread(sql, on_cluster, "SELECT id FROM audit.audit_log") == log
        assert await users(stores).find_by_id(eve.id) is not None
