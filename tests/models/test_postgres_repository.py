"""What only the repository of PostgreSQL does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from sqlalchemy import String, column, event, func, inspect, lateral, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool

from api.config.settings import Settings
from api.errors import Conflict, as_app_error
from api.stores.stores import Stores, open_stores
from models import Avatar, CatalogItem, PostgresRepository, User
from tests.support.stores.databases import end_sessions

pytestmark = pytest.mark.anyio


@pytest.fixture
async def narrow(settings: Settings, clean_stores: None) -> AsyncIterator[Stores]:
    """Stores with a cold pool of one connection, which must be back when the test ends."""
    one = settings.model_copy(
        update={"postgres_pool_size": 1, "postgres_max_overflow": 0, "postgres_pool_timeout": 2.0}
    )
    async with open_stores(one) as stores:
        yield stores
        assert checked_out(stores) == 0


def checked_out(stores: Stores) -> int:
    assert isinstance(stores.engine.pool, QueuePool)
    return stores.engine.pool.checkedout()


def users(stores: Stores) -> PostgresRepository[User]:
    return PostgresRepository(User, stores.reads, stores.sessions)


def avatars(stores: Stores) -> PostgresRepository[Avatar]:
    return PostgresRepository(Avatar, stores.reads, stores.sessions)


def items(stores: Stores) -> PostgresRepository[CatalogItem]:
    return PostgresRepository(CatalogItem, stores.reads, stores.sessions)


def account(email: str) -> dict[str, Any]:
    return {"email": email, "password_hash": "-"}


async def words_of_the_only_connection(stores: Stores) -> list[str]:
    """A list that grows with the first word of all that the pool's connection sends.

    asyncpg's log has what is not prepared, such as BEGIN; SQLAlchemy's event has what is.
    """
    words: list[str] = []
    event.listen(
        stores.engine.sync_engine,
        "after_cursor_execute",
        lambda _connection, _cursor, statement, *_: words.append(statement.split()[0]),
    )
    async with stores.engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.add_query_logger(lambda record: words.append(record.query.split()[0].strip(";")))
    words.clear()
    return words


async def test_a_read_is_one_statement_without_a_transaction(narrow: Stores) -> None:
    item = await items(narrow).create({"name": "Silk", "type": "fabric"})
    words = await words_of_the_only_connection(narrow)

    await items(narrow).read(["id", "name"])
    await items(narrow).find_by_id(item.id)
    await items(narrow).count()

    assert words == ["SELECT", "SELECT", "SELECT"]


async def test_a_write_is_one_transaction(narrow: Stores) -> None:
    item = await items(narrow).create({"name": "Silk", "type": "fabric"})
    words = await words_of_the_only_connection(narrow)

    await items(narrow).update(item.id, {"name": "Satin"})

    assert words == ["BEGIN", "UPDATE", "COMMIT"]


async def test_read_selects_only_what_is_named(stores: Stores) -> None:
    for name, price in (("Silk", 300), ("Wool", 200), ("Tulle", 100)):
        await items(stores).create({"name": name, "type": "fabric", "price": price})
    columns = CatalogItem.__table__.c

    rows = await items(stores).read(["price", "name"], where=CatalogItem.price < 300, order_by=[columns.name.desc()])
    page = await items(stores).read(["name"], order_by=[columns.price.asc()], skip=1, limit=1)

    assert [tuple(row) for row in rows] == [(200, "Wool"), (100, "Tulle")]
    assert [row.name for row in page] == ["Wool"]
    with pytest.raises(KeyError, match="colour"):
        await items(stores).read(["colour"])


async def test_read_leaves_out_what_is_soft_deleted(stores: Stores) -> None:
    item = await items(stores).create({"name": "Silk", "type": "fabric"})
    await items(stores).soft_delete(item.id)

    assert await items(stores).read(["name"]) == []
    assert [tuple(row) for row in await items(stores).read(["name"], include_deleted=True)] == [("Silk",)]


@pytest.mark.undistributed("rows of shards can't be joined laterally: api/lists/keyset.py reads them otherwise")
async def test_read_statement_takes_a_lateral_join(stores: Stores) -> None:
    for email in ("a@example.test", "b@example.test"):
        user = await users(stores).create(account(email))
        for name in ("One", "Three", "Two"):
            await avatars(stores).create({"user_id": user.id, "name": name})
    first = lateral(select(Avatar.name).where(Avatar.user_id == User.id).order_by(Avatar.name.desc()).limit(2))

    rows = await users(stores).read_statement(
        select(User.email, first.c.name).join(first, onclause=first.c.name.is_not(None)).order_by(User.email)
    )

    assert [tuple(row) for row in rows] == [
        ("a@example.test", "Two"),
        ("a@example.test", "Three"),
        ("b@example.test", "Two"),
        ("b@example.test", "Three"),
    ]


async def test_a_pool_of_one_serves_many_readers(narrow: Stores) -> None:
    await items(narrow).create({"name": "Silk", "type": "fabric"})

    found = await asyncio.gather(*(items(narrow).read(["name"]) for _ in range(20)))

    assert [[row.name for row in rows] for rows in found] == [["Silk"]] * 20


async def test_a_pool_of_one_serves_a_transaction_of_two_repositories(narrow: Stores) -> None:
    async with users(narrow).transaction() as tx:
        user = await tx.create(account("a@example.test"))
        own = avatars(narrow).within(tx.session)
        await own.create({"user_id": user.id, "name": "One"})
        assert await own.count() == 1
        assert [row.name for row in await own.read(["name"])] == ["One"]

    assert await users(narrow).count() == 1
    assert await avatars(narrow).count() == 1


async def test_an_error_rolls_back_both_repositories(narrow: Stores) -> None:
    async def register() -> None:
        async with users(narrow).transaction() as tx:
            user = await tx.create(account("a@example.test"))
            await avatars(narrow).within(tx.session).create({"user_id": user.id, "name": "One"})
            await tx.create(account("A@example.test"))

    with pytest.raises(IntegrityError, match="uidx_users_email"):
        await register()

    assert await users(narrow).count() == 0
    assert await avatars(narrow).count() == 0


async def test_entities_are_detached_and_separate(stores: Stores) -> None:
    async with items(stores).transaction() as tx:
        before = await tx.create({"name": "Silk", "type": "fabric"})
        after = await tx.update(before.id, {"name": "Satin"})
        assert after is not None
        assert inspect(after).detached
        before.name = "never written"

    found = await items(stores).find_by_id(before.id)

    assert found is not None
    assert inspect(found).detached
    assert (found.name, after.name) == ("Satin", "Satin")
    assert found.created_at == before.created_at


async def test_update_expects_what_was_read(stores: Stores) -> None:
    item = await items(stores).create({"name": "Silk", "type": "fabric"})
    unchanged = CatalogItem.updated_at == item.updated_at
    first = await items(stores).update(
        item.id, {"name": "Satin", "updated_at": func.clock_timestamp()}, where=unchanged
    )

    second = await items(stores).update(item.id, {"name": "Wool"}, where=unchanged)

    assert first is not None
    assert first.name == "Satin"
    assert second is None
    assert [row.name for row in await items(stores).read(["name"])] == ["Satin"]


async def test_cancelling_a_running_statement_rolls_back(narrow: Stores) -> None:
    running = asyncio.Event()

    async def change() -> None:
        async with items(narrow).transaction() as tx:
            await tx.create({"name": "Silk", "type": "fabric"})
            running.set()
            await tx.session.execute(select(func.pg_sleep(30)))

    task = asyncio.create_task(change())
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await items(narrow).count() == 0


async def test_cancelling_a_scope_rolls_back(narrow: Stores) -> None:
    with anyio.CancelScope() as scope:
        async with items(narrow).transaction() as tx:
            await tx.create({"name": "Silk", "type": "fabric"})
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert await items(narrow).count() == 0  # waits for the pool's only connection


async def test_cancelling_a_read_gives_the_connection_back(narrow: Stores) -> None:
    checkout = asyncio.Event()
    event.listen(narrow.engine.sync_engine, "before_cursor_execute", lambda *_: checkout.set())
    task = asyncio.create_task(items(narrow).read_statement(select(func.pg_sleep(30))))
    await checkout.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert checked_out(narrow) == 0
    assert await items(narrow).count() == 0


async def test_there_is_no_session_outside_a_transaction(stores: Stores) -> None:
    with pytest.raises(RuntimeError, match="no transaction is running on User"):
        _ = users(stores).session


async def test_a_read_survives_connections_that_the_server_has_closed(stores: Stores, postgres_url: str) -> None:
    # given a pool with a connection
    user = await users(stores).create(account("ada@fashion-wallet.test"))
    assert await users(stores).count() == 1

    # when the server closes every connection but its own
    closed = await end_sessions(postgres_url)

    # then reads go on, and nothing is left behind
    assert closed
    assert [row.id for row in await users(stores).read(["id"])] == [user.id]
    assert checked_out(stores) == 0


async def test_a_column_whose_type_changes_is_read_on_and_refuses_a_write_once(narrow: Stores) -> None:
    """As a migration does while the application runs; the table is the only connection's own."""
    read = select(column("name", String())).select_from(text("garments"))
    write = text("UPDATE garments SET name = 'Wool' RETURNING name")
    async with narrow.sessions.begin() as session:
        await session.execute(text("CREATE TEMPORARY TABLE garments AS SELECT 'Silk'::varchar(10) AS name"))

    async def change_type(to: str) -> None:
        async with narrow.sessions.begin() as session:
            await session.execute(text(f"ALTER TABLE garments ALTER COLUMN name TYPE {to}"))

    async def name() -> str:
        ((found,),) = await users(narrow).read_statement(read)
        return str(found)

    async def rename() -> None:
        async with narrow.sessions.begin() as session:
            await session.execute(write)

    assert await name() == "Silk"
    await change_type("text")
    assert await name() == "Silk"

    await rename()
    await change_type("varchar(20)")
    with pytest.raises(DBAPIError) as raised:
        await rename()
    assert isinstance(as_app_error(raised.value), Conflict)
    await rename()
    assert await name() == "Wool"
