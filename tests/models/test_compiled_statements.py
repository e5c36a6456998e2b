"""Compiled statements: what is compiled and how often, and what becomes of their connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import ColumnElement, Float, Integer, Select, String, column, func, literal, select, text, type_coerce
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator

import models
from api.config.settings import Settings
from api.errors import StoreUnavailable, as_app_error
from api.lists import keyset
from api.lists.conditions import And, Compare, Condition, Not, Or
from api.lists.pagination import Order, PageRequest, Position
from api.lists.rows import RowReader
from api.stores.stores import Stores, open_stores
from models.statements import First, Parameters, Statement, compile_select
from tests.support.factories.catalog import create_catalog_item
from tests.support.stores.databases import end_sessions
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

PID = compile_select(select(func.pg_backend_pid().label("pid")))
SLEEP = compile_select(select(func.pg_sleep(Parameters().take(Float()))))
DIVIDE = compile_select(select((10 // Parameters().take(Integer())).label("quotient")))
SETTING = compile_select(select(func.current_setting("app.role", True).label("role")))
ASSUMPTION = ("SELECT set_config('app.role', $1, true)", ("admin",))
ASSUME: First = lambda: ASSUMPTION  # noqa: E731  a value of this type


@pytest.fixture
async def narrow(settings: Settings, clean_stores: None) -> AsyncIterator[Stores]:
    """Stores with a cold pool of one connection, which must be back when the test ends."""
    async with opened(settings, postgres_pool_size=1, postgres_max_overflow=0) as stores:
        yield stores


@contextlib.asynccontextmanager
async def opened(settings: Settings, **changes: Any) -> AsyncIterator[Stores]:
    async with open_stores(settings.model_copy(update=changes)) as stores, asyncio.timeout(60):
        yield stores
        assert pool_of(stores).checkedout() == 0


def pool_of(stores: Stores) -> QueuePool:
    assert isinstance(stores.engine.pool, QueuePool)
    return stores.engine.pool


async def pid_of(stores: Stores) -> int:
    (row,) = await stores.fetch(PID, ())
    pid: int = row.pid
    return pid


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await pause()


async def is_sleeping(admin: asyncpg.Connection[asyncpg.Record]) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(%' AND pid <> $1"
    return bool(await admin.fetchval(query, admin.get_server_pid()))


def request_of(
    condition: Condition, *, size: int = 10, after: Position | None = None, field: str = "name", backwards: bool = False
) -> PageRequest:
    order = Order(field, descending=False)
    return PageRequest("catalog_items", size, backwards, after, None, order, condition, And(()))


async def test_one_structure_is_compiled_once(stores: Stores) -> None:
    names = [f"item {number}" for number in range(6)]
    made = {name: (await create_catalog_item(stores, name=name, price=number)).id for number, name in enumerate(names)}
    reader = RowReader(models.CatalogItem)  # whose statements nobody has asked for
    before = keyset.page.cache_info().misses

    async def page(condition: Condition, **arguments: Any) -> list[str]:
        (rows,) = await reader.pages(stores, [(None, None, request_of(condition, **arguments))], frozenset({"price"}))
        return [row.name for row in rows]

    def compiled() -> int:
        return keyset.page.cache_info().misses - before

    assert await page(Compare("name", "in", ("item 1", "item 3"))) == ["item 1", "item 3"]
    assert await page(Compare("name", "in", tuple(names[1:]))) == names[1:]
    assert await page(Compare("name", "in", ("item 5", "item 2", "nothing")), size=1) == ["item 2", "item 5"]
    assert compiled() == 1
    assert await page(Compare("name", "in", ("item 4",))) == ["item 4"]
    assert await page(Compare("name", "in", ("item 2",))) == ["item 2"]
    assert compiled() == 2

    nested = [
        And((Not(Compare("price", "gt", bound)), Or((Compare("name", "contains", "ITEM"), Compare("name", "lt", "a")))))
        for bound in (1, 3)
    ]
    assert [await page(condition) for condition in nested] == [names[:2], names[:4]]
    assert compiled() == 3
    for number in (0, 4):
        after = Position(names[number], made[names[number]])
        assert await page(And(()), after=after, size=1) == names[number + 1 : number + 3]
    assert compiled() == 4
    assert await page(And(()), after=Position(names[3], made[names[3]]), backwards=True, size=1) == ["item 5", "item 4"]
    assert compiled() == 5


@pytest.mark.parametrize("absent", [True, False])
async def test_null_is_part_of_a_structure(stores: Stores, absent: bool) -> None:
    await create_catalog_item(stores, name="described", description="text")
    await create_catalog_item(stores, name="plain", description=None)
    reader = RowReader(models.CatalogItem)

    (rows,) = await reader.pages(
        stores, [(None, None, request_of(Compare("description", "is_null", absent)))], frozenset()
    )
    (count,) = await reader.counts(stores, [(None, None, Compare("description", "is_null", absent))], frozenset())

    assert [row.name for row in rows] == ["plain" if absent else "described"]
    assert count == 1


def test_compiled_statements_are_bounded() -> None:
    table = keyset.Table({column.key: column for column in models.CatalogItem.__table__.columns})
    price = table.columns["price"]

    for bound in range(keyset.MAX_STATEMENTS + 1):
        keyset.by_keys(table, "id", frozenset({"name"}), price > bound)

    for cached in (keyset.by_keys, keyset.page, keyset.pages_by_owner, keyset.count, keyset.counts_by_owner):
        assert cached.cache_info().maxsize == keyset.MAX_STATEMENTS
    assert keyset.by_keys.cache_info().currsize == keyset.MAX_STATEMENTS


class Shouted(TypeDecorator[str]):
    """Text that is stored in upper case."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return value and value.upper()


class Whispered(Shouted):
    """The same, and in lower case when it is read."""

    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return value and value.lower()


def of_two(build: Callable[[ColumnElement[Any], ColumnElement[Any]], Select[Any]], type_: Any) -> Statement:
    parameters = Parameters()
    first, second = parameters.take(type_), parameters.take(type_)
    return compile_select(build(first, second))


@pytest.mark.parametrize(
    ("statement", "values", "expected"),
    [
        (of_two(lambda a, b: select(a.label("a"), b.label("b")), String()), ("x", "y"), ("x", "y")),
        (of_two(lambda a, b: select(b.label("a"), a.label("b")), String()), ("x", "y"), ("y", "x")),
        (
            of_two(lambda a, b: select((a + b + a).label("a"), b.label("b")), String()),
            ("x", "y"),
            ("xyx", "y"),
        ),
        (of_two(lambda a, b: select((a + b).label("a"), (a + 5).label("b")), Integer()), (1, 2), (3, 6)),
        (of_two(lambda a, b: select(literal("c").label("a"), b.label("b")).where(a == a), String()), "xy", ("c", "y")),
        (of_two(lambda a, b: select(a.label("a"), b.label("b")), Shouted()), ("x", None), ("X", None)),
    ],
)
async def test_values_go_to_their_parameters(
    stores: Stores, statement: Statement, values: tuple[Any, ...], expected: tuple[Any, ...]
) -> None:
    (row,) = await stores.fetch(statement, values)

    assert (row.a, row.b) == expected
    with pytest.raises(AttributeError):
        _ = row.c


def test_a_type_whose_values_the_driver_does_not_give_is_refused() -> None:
    with pytest.raises(TypeError, match="not the value itself, in the column b"):
        of_two(lambda a, b: select(a.label("a"), type_coerce(b, Whispered()).label("b")), String())


async def test_keys_of_any_form(stores: Stores) -> None:
    item = await create_catalog_item(stores, name="Silk")
    reader = RowReader(models.CatalogItem)
    keys: list[UUID | str] = [str(item.id), UUID(str(item.id)), str(item.id).upper(), "no id", UUID(int=1)]

    found = await reader.by_id(stores, keys, frozenset({"name"}))

    assert [row and row.name for row in found] == ["Silk", "Silk", "Silk", None, None]
    assert await reader.by_id(stores, ["no id"], frozenset({"name"})) == [None]


async def test_jsonb_is_decoded_once(stores: Stores) -> None:
    properties = {"color": "#ff0000", "tags": ["\N{BLACK HEART SUIT}", '"quoted"'], "texture": None}
    item = await create_catalog_item(stores, name="Silk", properties=properties)

    (row,) = await RowReader(models.CatalogItem).by_id(stores, [item.id], frozenset({"properties"}))

    assert row is not None
    assert row.properties == properties
    assert item.properties == properties


async def test_an_error_of_the_server_leaves_the_connection_usable(narrow: Stores) -> None:
    before = await pid_of(narrow)

    with pytest.raises(DBAPIError) as raised:
        await narrow.fetch(DIVIDE, (0,))

    assert isinstance(raised.value.orig, asyncpg.DivisionByZeroError)
    assert not raised.value.connection_invalidated
    assert as_app_error(raised.value) is None
    assert await pid_of(narrow) == before


async def test_a_transaction_around_a_read_ends_with_it(narrow: Stores) -> None:
    before = await pid_of(narrow)
    runner = narrow.statements

    assert (await runner.fetch(SETTING, (), ASSUME))[0].role == "admin"
    assert (await narrow.fetch(SETTING, ()))[0].role == ""
    with pytest.raises(DBAPIError, match="division by zero"):
        await runner.fetch(DIVIDE, (0,), ASSUME)

    assert (await narrow.fetch(SETTING, ()))[0].role == ""
    assert await pid_of(narrow) == before


@pytest.mark.parametrize("first", [None, ASSUME])
async def test_a_cancelled_read_gives_a_clean_connection_back(
    narrow: Stores, first: First | None, postgres_url: str
) -> None:
    before = await pid_of(narrow)
    admin = await asyncpg.connect(postgres_url)
    reading = asyncio.create_task(narrow.statements.fetch(SLEEP, (60.0,), first))
    await until(lambda: is_sleeping(admin))

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert pool_of(narrow).checkedout() == 0
    assert not await is_sleeping(admin)
    assert (await narrow.fetch(SETTING, ()))[0].role in ("", None)
    assert await pid_of(narrow) == before
    await admin.close()


async def test_a_read_cancelled_at_any_turn_leaks_nothing(narrow: Stores) -> None:
    for turns in range(12):
        for first in (None, ASSUME):
            reading = asyncio.create_task(narrow.statements.fetch(SETTING, (), first))
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert pool_of(narrow).checkedout() == 0

    assert (await narrow.fetch(SETTING, ()))[0].role in ("", None)


async def test_a_read_survives_connections_that_the_server_has_closed(
    settings: Settings, clean_stores: None, postgres_url: str
) -> None:
    async with opened(settings, postgres_pool_size=3) as stores:
        before = {row[0].pid for row in await asyncio.gather(*(stores.fetch(PID, ()) for _ in range(3)))}
        assert len(before) == 3
        assert await end_sessions(postgres_url) >= 3

        after = {await pid_of(stores) for _ in range(3)}

        assert before.isdisjoint(after)


async def test_a_connection_lost_twice_is_an_unavailable_store(narrow: Stores, postgres_url: str) -> None:
    admin = await asyncpg.connect(postgres_url)
    reading = asyncio.create_task(narrow.fetch(SLEEP, (60.0,)))
    for _ in range(2):
        await until(lambda: is_sleeping(admin))
        assert await end_sessions(postgres_url) >= 1

    with pytest.raises(DBAPIError) as raised:
        await reading

    assert raised.value.connection_invalidated
    assert isinstance(as_app_error(raised.value), StoreUnavailable)
    assert await pid_of(narrow)
    await admin.close()


async def test_a_server_that_lets_the_drivers_time_run_out_loses_the_connection(
    narrow: Stores, postgres_url: str
) -> None:
    before = await pid_of(narrow)
    entry = await pool_of(narrow).take()  # type: ignore[attr-defined]
    entry.driver_connection._config = entry.driver_connection._config._replace(command_timeout=0.05)
    await pool_of(narrow).give_back(entry)  # type: ignore[attr-defined]

    with pytest.raises(TimeoutError) as raised:
        await narrow.fetch(SLEEP, (60.0,))

    assert isinstance(as_app_error(raised.value), StoreUnavailable)
    assert await pid_of(narrow) != before
    await end_sessions(postgres_url)  # the statement itself, which nobody has cancelled


@pytest.mark.parametrize("first", [None, ASSUME])
async def test_a_column_whose_type_changes_is_read_on(narrow: Stores, first: First | None) -> None:
    """As a migration does while the application runs; the table is the only connection's own."""
    name = column("name", String())
    statement = compile_select(select(name).select_from(text("garments")))
    async with narrow.sessions.begin() as session:
        await session.execute(text("CREATE TEMPORARY TABLE garments AS SELECT 'Silk'::varchar(10) AS name"))
    before = [row.name for row in await narrow.statements.fetch(statement, (), first)]

    async with narrow.sessions.begin() as session:
        await session.execute(text("ALTER TABLE garments ALTER COLUMN name TYPE text"))
    after = [row.name for row in await narrow.statements.fetch(statement, (), first)]

    assert before == after == ["Silk"]
    assert (await narrow.fetch(SETTING, ()))[0].role in ("", None)


async def test_an_exhausted_pool_is_an_unavailable_store(settings: Settings, clean_stores: None) -> None:
    changes = {"postgres_pool_size": 1, "postgres_max_overflow": 0, "postgres_pool_timeout": 0.05}
    async with opened(settings, **changes) as stores, stores.engine.connect():
        with pytest.raises(PoolTimeout) as raised:
            await stores.fetch(PID, ())

        assert isinstance(as_app_error(raised.value), StoreUnavailable)


async def test_reads_wait_for_the_only_connection(narrow: Stores) -> None:
    pids = await asyncio.gather(*(pid_of(narrow) for _ in range(20)))

    assert len(set(pids)) == 1
    assert (pool_of(narrow).checkedin(), pool_of(narrow).overflow()) == (1, 0)


async def test_connections_above_the_pools_size_are_closed(settings: Settings, clean_stores: None) -> None:
    async with opened(settings, postgres_pool_size=1, postgres_max_overflow=2) as stores:
        pids = {row[0].pid for row in await asyncio.gather(*(stores.fetch(PID, ()) for _ in range(3)))}

        assert len(pids) == 3
        assert (pool_of(stores).checkedin(), pool_of(stores).overflow()) == (1, 0)


async def test_old_connections_are_made_anew(settings: Settings, clean_stores: None) -> None:
    async with opened(settings, postgres_pool_size=1, postgres_pool_recycle=0) as stores:
        assert await pid_of(stores) != await pid_of(stores)


async def test_sessions_and_reads_share_the_pool(narrow: Stores) -> None:
    before = await pid_of(narrow)

    async with narrow.sessions.begin() as session:
        inside = await session.scalar(select(func.pg_backend_pid()))

    assert inside == before == await pid_of(narrow)
