"""Clients that leave in the middle of a request, and servers that give one up: no half write, no connection kept.

A query whose client has left is ended, in the stores, too. A mutation is carried on: nobody can tell the client what
became of it, but it is whole. A server that stops cancels what doesn't end in time; then PostgreSQL rolls back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import httpx
import orjson
import pytest
import structlog
from starlette.applications import Starlette

from api.config.settings import Settings
from api.stores.stores import Stores
from models import Avatar, User
from tests.support.applications import listening, running
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.factories.designs import create_design, designs
from tests.support.factories.users import create_user, users
from tests.support.graphql import gid
from tests.support.signing_in import signed_in
from tests.support.stores.distributed import lock_waits
from tests.support.waiting import pause

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

pytestmark = pytest.mark.anyio

RENAME = """mutation ($input: UpdateProfileInput!) {
  updateProfile(input: $input) { user { firstName } errors { code } }
}"""
DELETE = "mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { errors { code } } }"


@pytest.fixture
async def address(app: Starlette, anyio_backend: str) -> AsyncIterator[str]:
    """The application behind a socket of this process, as `serve` puts it there."""
    async with listening(app) as port:
        yield f"http://127.0.0.1:{port}"


async def waiting(connection: Connection, statements: int | None = None) -> None:
    """Return once so many statements wait for a lock; any number of them, where none is given."""

    async def is_so() -> bool:
        found = await lock_waits(connection)
        return found > 0 if statements is None else found == statements

    await until(is_so)


async def until(condition: Any) -> None:
    with anyio.fail_after(30):
        while not await condition():
            await pause()


async def no_transaction_is_left(connection: Connection, stores: Stores) -> None:
    """Return once the application has no connection checked out, and none in a transaction."""
    pool: Any = stores.engine.sync_engine.pool
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fashion-wallet' AND state LIKE 'idle in%'"

    async def is_idle() -> bool:
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        return await connection.fetchval(left) == 0 and bool(pool.checkedout() == 0)

    await until(is_idle)


async def leave_in_the_middle(
    address: str, headers: httpx.Headers, query: str, given: dict[str, Any], locks: Connection
) -> None:
    """Send a mutation, and go away without a word when it waits for a lock."""
    leave(await asked(address, headers, {"query": query, "variables": {"input": given}}, locks))
    await asyncio.sleep(0)


async def asked(
    address: str, headers: httpx.Headers, body: Any, locks: Connection, statements: int | None = None
) -> asyncio.StreamWriter:
    """The connection over which a request was sent, when so many statements wait for a lock."""
    host, port = address.removeprefix("http://").split(":")
    content = orjson.dumps(body)
    _, writer = await asyncio.open_connection(host, int(port))
    lines = [f"POST /graphql HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers.items() if name in ("authorization", "idempotency-key")]
    writer.write("".join([*lines, f"content-length: {len(content)}\r\n\r\n"]).encode() + content)
    await writer.drain()
    await waiting(locks, statements)
    return writer


def leave(writer: asyncio.StreamWriter) -> None:
    """Go away without a word."""
    writer.transport.abort()


ITEMS = {"query": "{ catalogItems { totalCount } avatars { totalCount } }"}


async def test_a_query_whose_client_has_left_is_ended(
    settings: Settings, clean_stores: None, locks: Connection
) -> None:
    """However long its body was, and while what it waits for is still locked."""
    async with running(settings, coalescing=False) as (app, client), listening(app) as port:
        admin, _ = await signed_in(client, app.state.stores, "admin")
        address = f"http://127.0.0.1:{port}"
        with structlog.testing.capture_logs() as logs:
            for body in (ITEMS, ITEMS | {"padding": "x" * 300_000}, [ITEMS, ITEMS]):
                async with locks.transaction():
                    await locks.execute("LOCK TABLE catalog.catalog_items, avatar.avatars IN ACCESS EXCLUSIVE MODE")
                    logs.clear()
                    leave(await asked(address, admin.headers, body, locks, 2 * (1 + isinstance(body, list))))
                    await waiting(locks, 0)
                    await no_transaction_is_left(locks, app.state.stores)
                    await until(partial(is_logged, logs))
                assert [(entry["event"], entry["status"]) for entry in logs] == [("request", 499)]
            # and one that stays has its answer
            async with locks.transaction():
                await locks.execute("LOCK TABLE avatar.avatars IN ACCESS EXCLUSIVE MODE")
                stays = asyncio.create_task(admin.post(f"{address}/graphql", json=ITEMS))
                await waiting(locks)
            assert (await stays).json() == {"data": {"catalogItems": {"totalCount": 0}, "avatars": {"totalCount": 0}}}


async def test_of_a_batch_what_writes_is_carried_on(
    client: httpx.AsyncClient, stores: Stores, address: str, locks: Connection
) -> None:
    mine, user = await signed_in(client, stores)
    rename = {"query": RENAME, "variables": {"input": {"firstName": "Grace"}}}
    with structlog.testing.capture_logs() as logs:
        async with locks.transaction():
            await locks.execute("LOCK TABLE catalog.catalog_items IN ACCESS EXCLUSIVE MODE")
            await locks.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", user.id)
            query = {"query": "{ catalogItems { totalCount } }"}
            leave(await asked(address, mine.headers, [query, rename], locks, 2))
            await waiting(locks, 1)  # the query's is ended, the mutation's isn't
            assert not await is_logged(logs)
        await until(partial(is_logged, logs))
    await no_transaction_is_left(locks, stores)
    stored = await users(stores).find_by_id(user.id)
    assert stored is not None
    assert stored.first_name == "Grace"


async def is_logged(logs: list[Any]) -> bool:
    """Whether a request has been answered, as far as its server knows."""
    return any(entry["event"] == "request" for entry in logs)


async def test_a_mutation_whose_client_has_left_is_whole(
    client: httpx.AsyncClient, stores: Stores, address: str, locks: Connection
) -> None:
    mine, user = await signed_in(client, stores)
    headers = httpx.Headers({**mine.headers, "idempotency-key": "k"})
    with structlog.testing.capture_logs() as logs:
        async with locks.transaction():
            await locks.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", user.id)
            await leave_in_the_middle(address, headers, RENAME, {"firstName": "Grace", "lastName": "Hopper"}, locks)

        await until(partial(is_logged, logs))
    await no_transaction_is_left(locks, stores)

    stored = await users(stores).find_by_id(user.id)
    assert stored is not None
    assert (stored.first_name, stored.last_name) == ("Grace", "Hopper")
    assert [(entry["event"], entry["status"]) for entry in logs] == [("request", 200)]
    # what it would have been told waits for it
    body = {"query": RENAME, "variables": {"input": {"firstName": "Grace", "lastName": "Hopper"}}}
    answer = await mine.post("/graphql", json=body, headers={"idempotency-key": "k"})
    assert answer.headers["idempotency-replayed"] == "true"
    assert answer.json() == {"data": {"updateProfile": {"user": {"firstName": "Grace"}, "errors": []}}}


async def test_many_clients_that_leave_take_no_connections(
    client: httpx.AsyncClient, stores: Stores, address: str, locks: Connection
) -> None:
    people = [await signed_in(client, stores) for _ in range(5)]
    async with locks.transaction():
        await locks.execute("SELECT FROM shared.users FOR UPDATE")
        async with asyncio.TaskGroup() as tasks:
            for mine, _ in people:
                for _ in range(4):
                    arguments = (address, mine.headers, RENAME, {"firstName": "Grace"}, locks)
                    tasks.create_task(one_at_a_time(*arguments))
    await no_transaction_is_left(locks, stores)

    assert {user.first_name for user in await users(stores).find_all()} == {"Grace"}


_turn = asyncio.Lock()


async def one_at_a_time(*arguments: Any) -> None:
    """`leave_in_the_middle`, whose questions share one connection."""
    async with _turn:
        await leave_in_the_middle(*arguments)


async def test_a_deletion_whose_client_has_left_is_whole(
    client: httpx.AsyncClient, stores: Stores, address: str, locks: Connection
) -> None:
    admin, _ = await signed_in(client, stores, "admin")
    user = await create_user(stores)
    await create_avatar(stores, user_id=user.id)
    await create_design(stores, user_id=user.id)
    async with locks.transaction():
        await locks.execute("SELECT id FROM avatar.avatars WHERE user_id = $1 FOR UPDATE", user.id)
        await leave_in_the_middle(address, admin.headers, DELETE, {"id": gid(user)}, locks)

    async def is_finished() -> bool:
        return bool(await locks.fetchval("SELECT count(*) FROM shared.operations WHERE finished_at IS NOT NULL"))

    await until(is_finished)
    await no_transaction_is_left(locks, stores)
    assert await designs(stores).count() == 0
    assert await avatars(stores).count(Avatar.user_id == user.id) == 0


async def given_up(client: httpx.AsyncClient, query: str, given: dict[str, Any], locks: Connection) -> None:
    """Send a mutation that the server cancels when it waits for a lock, as it does with what won't end at shutdown."""
    body = {"query": query, "variables": {"input": given}}
    headers = {"idempotency-key": "k"}
    request = asyncio.create_task(client.post("/graphql", json=body, headers=headers))
    await waiting(locks)
    request.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await request
    assert request.cancelled()


async def test_a_mutation_that_is_given_up_leaves_nothing(
    client: httpx.AsyncClient, stores: Stores, locks: Connection
) -> None:
    mine, user = await signed_in(client, stores)
    async with locks.transaction():
        await locks.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", user.id)
        await given_up(mine, RENAME, {"firstName": "Grace"}, locks)
        await no_transaction_is_left(locks, stores)

    stored = await users(stores).find_by_id(user.id)
    assert stored is not None
    assert stored.first_name == "Ada"
    # nothing was written, so the key is free when its lease is over
    assert await locks.fetchval("SELECT written_at IS NULL AND response IS NULL FROM shared.idempotency_keys")


@pytest.mark.parametrize("table", ["avatar.avatars", "shared.operations"])
async def test_a_deletion_that_is_given_up_can_be_taken_up(
    client: httpx.AsyncClient, stores: Stores, locks: Connection, table: str
) -> None:
    admin, _ = await signed_in(client, stores, "admin")
    user: User = await create_user(stores)
    await create_avatar(stores, user_id=user.id)
    await create_design(stores, user_id=user.id)
    async with locks.transaction():
        await locks.execute(f"LOCK TABLE {table} IN SHARE MODE")
        await given_up(admin, DELETE, {"id": gid(user)}, locks)
        await no_transaction_is_left(locks, stores)

    assert (await users(stores).find_by_id(user.id)) is not None
    assert await designs(stores).count() == 1
    answer = await admin.post("/graphql", json={"query": DELETE, "variables": {"input": {"id": gid(user)}}})
    assert answer.json() == {"data": {"deleteUser": {"errors": []}}}
    assert await users(stores).find_by_id(user.id) is None
    assert await designs(stores).count() == 0
