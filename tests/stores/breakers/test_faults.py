"""Stores that fail, through a proxy of each test's own: what clients are told, what it costs, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
import structlog
from sqlalchemy import text
from starlette.applications import Starlette

from api.config.settings import Settings
from api.http.application import create_app
from api.stores.breakers.breaker import Breaker
from api.stores.stores import Stores
from models import CatalogItem
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.failures.proxies import Proxy, proxying, through
from tests.support.graphql import gid, is_empty, respond, sent
from tests.support.signing_in import as_admin, signed_in
from tests.support.waiting import pause

pytestmark = [
    pytest.mark.anyio,
    # pymongo leaves a socket to the garbage collector where a task is cancelled while it connects
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

POSTGRES: Final = "PostgreSQL"
MONGODB: Final = "MongoDB"
BOTH: Final = pytest.mark.parametrize("store", [POSTGRES, MONGODB])

LONG: Final = 60.0
"""Seconds that no test waits: what ends earlier was ended by the breaker."""
QUICK: Final[dict[str, Any]] = {
    "breaker_failures": 3,
    "breaker_patience": 0.2,
    "breaker_probe_timeout": 0.5,
    "breaker_probe_interval": 0.02,
    "statement_timeout": LONG,
    "mongodb_selection_timeout": 0.2,
    "mongodb_connect_timeout": 1.0,
    "postgres_connect_timeout": 1.0,
    "health_timeout": 1.0,
}

Seen = list[dict[str, Any]]


@dataclass
class World:
    """An application whose stores are behind proxies, and one of everything in them."""

    app: Starlette
    admin: httpx.AsyncClient
    anonymous: httpx.AsyncClient
    proxies: dict[str, Proxy]
    item: CatalogItem
    design: Any

    @property
    def stores(self) -> Stores:
        stores: Stores = self.app.state.stores
        return stores

    def breaker(self, store: str) -> Breaker:
        return next(breaker for breaker in self.stores.breakers if breaker.store == store)

    def field(self, store: str) -> str:
        """A field that needs this store, and nobody to be signed in."""
        if store == POSTGRES:
            return f'item: catalogItem(id: "{gid(self.item)}") {{ name }}'
        return f'design(id: "{gid(self.design)}") {{ name }}'

    async def ask(self, store: str) -> tuple[Any, list[str]]:
        """The name that the field has, and the codes of the errors."""
        body = await respond(self.anonymous, f"{{ {self.field(store)} }}")
        ((_, value),) = body["data"].items()
        return value and value["name"], [error["extensions"]["code"] for error in body.get("errors", ())]

    async def healthy(self) -> bool:
        return (await self.anonymous.get("/health")).status_code == 200

    @property
    def checked_out(self) -> int:
        pool: Any = self.stores.engine.sync_engine.pool
        return int(pool.checkedout())

    async def is_well(self, store: str) -> None:
        """Return once everything works again, without a restart: the fault is over, and nothing of it is left."""

        async def works() -> bool:
            return await self.ask(store) == (NAMES[store], [])

        await until(works)
        await until(self.healthy)

        async def is_idle() -> bool:
            return self.checked_out == 0 and not any(breaker.is_open for breaker in self.stores.breakers)

        await until(is_idle)


NAMES: Final = {POSTGRES: "Silk", MONGODB: "Evening"}
UNAVAILABLE: Final = (None, ["STORE_UNAVAILABLE"])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(30):
        while not await condition():
            await pause()


def other(store: str) -> str:
    return MONGODB if store == POSTGRES else POSTGRES


@contextlib.asynccontextmanager
async def world_of(settings: Settings, stores: Stores, **changes: Any) -> AsyncIterator[World]:
    """The application with other settings, and its world."""
    item, design = await create_catalog_item(stores, name="Silk"), await create_design(stores, status="published")
    assert settings.postgres_url is not None
    assert settings.mongodb_url is not None
    ports = [urlsplit(url).port or 0 for url in (settings.postgres_url, settings.mongodb_url)]
    async with proxying(ports[0]) as postgres, proxying(ports[1]) as mongodb:
        addresses = {
            "database_url": through(settings.postgres_url, postgres.port),
            "mongodb_uri": through(settings.mongodb_url, mongodb.port),
        }
        app = create_app(settings.model_copy(update=QUICK | addresses | changes))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                proxies = {POSTGRES: postgres, MONGODB: mongodb}
                yield World(app, as_admin(client, app), client, proxies, item, design)
    gc.collect()  # here, where its complaint is expected


@pytest.fixture
async def world(settings: Settings, stores: Stores, anyio_backend: str) -> AsyncIterator[World]:
    async with world_of(settings, stores) as world:
        yield world


@pytest.fixture
async def patient(settings: Settings, stores: Stores, anyio_backend: str) -> AsyncIterator[World]:
    """A world for faults that pass by: the driver looks again for a lost MongoDB every half a second."""
    async with world_of(settings, stores, mongodb_selection_timeout=20.0, breaker_patience=20.0) as world:
        yield world


@contextlib.contextmanager
def breaker_logs() -> Any:
    """What breakers say in the block: `(event, store)` each."""
    said: list[tuple[str, str]] = []
    with structlog.testing.capture_logs() as logs:
        yield said
    said += [(entry["event"], entry["store"]) for entry in logs if entry["event"] in ("store cut off", "store back")]


@BOTH
async def test_a_store_that_refuses_is_cut_off_and_comes_back(world: World, store: str) -> None:
    proxy = world.proxies[store]
    assert await world.ask(store) == (NAMES[store], [])
    with breaker_logs() as said:
        proxy.refuse()

        async def is_cut_off() -> bool:
            assert await world.ask(store) == UNAVAILABLE
            return world.breaker(store).is_open

        await until(is_cut_off)
        # a dead store costs nothing: no statement, no command, nothing looked for
        with sent(world.app) as cost:
            answers = await asyncio.gather(*(world.ask(store) for _ in range(50)))
        assert answers == [UNAVAILABLE] * 50
        assert cost.counts == (0, 0)
        assert await world.ask(other(store)) == (NAMES[other(store)], [])

        await proxy.listen()
        await world.is_well(store)
    assert said == [("store cut off", store), ("store back", store)]


@BOTH
async def test_the_rest_of_a_query_is_answered(world: World, store: str) -> None:
    query = f"{{ {world.field(POSTGRES)} {world.field(MONGODB)} }}"
    paths = {POSTGRES: "item", MONGODB: "design"}
    world.proxies[store].refuse()

    async def is_cut_off() -> bool:
        await world.ask(store)
        return world.breaker(store).is_open

    await until(is_cut_off)
    body = await respond(world.anonymous, query)

    assert body["data"] == {paths[other(store)]: {"name": NAMES[other(store)]}, paths[store]: None}
    (error,) = body["errors"]
    assert error["path"] == [paths[store]]
    assert error["message"] == f"{store} is not available; try again later."
    assert error["extensions"] == {"code": "STORE_UNAVAILABLE", "store": store}


@BOTH
async def test_lists_of_the_other_store_are_answered(world: World, store: str) -> None:
    """The connections are there, whatever has become of their stores; what is null says why."""
    lists = {POSTGRES: "catalogItems", MONGODB: "designs"}
    query = "{ catalogItems { nodes { name } totalCount } designs { nodes { name } totalCount } }"
    world.proxies[store].refuse()

    body = await respond(world.anonymous, query)

    there, gone = lists[other(store)], lists[store]
    assert body["data"] == {
        there: {"nodes": [{"name": NAMES[other(store)]}], "totalCount": 1},
        gone: {"nodes": None, "totalCount": None},
    }
    assert sorted(error["path"] for error in body["errors"]) == [[gone, "nodes"], [gone, "totalCount"]]
    assert {error["extensions"]["code"] for error in body["errors"]} == {"STORE_UNAVAILABLE"}


@BOTH
async def test_a_list_that_is_only_asked_whether_it_goes_on_is_no_lie(world: World, store: str) -> None:
    """Its page can't say so, since Relay has it never be null."""
    lists = {POSTGRES: "catalogItems", MONGODB: "designs"}
    world.proxies[store].refuse()

    body = await respond(world.anonymous, f"{{ {lists[store]} {{ pageInfo {{ hasNextPage }} }} }}")

    assert is_empty(body)
    assert [error["path"] for error in body["errors"]] == [[lists[store]]]


@BOTH
async def test_a_frozen_store_is_noticed_long_before_a_deadline(world: World, store: str) -> None:
    proxy = world.proxies[store]
    assert await world.ask(store) == (NAMES[store], [])
    with breaker_logs() as said, anyio.fail_after(LONG / 2):
        proxy.freeze()
        # more than the pool has room for, so that some wait for a connection
        answers = await asyncio.gather(*(world.ask(store) for _ in range(30)))
        assert answers == [UNAVAILABLE] * 30
        assert world.breaker(store).is_open
        assert await world.ask(other(store)) == (NAMES[other(store)], [])
        with sent(world.app) as cost:
            assert await world.ask(store) == UNAVAILABLE
        assert cost.counts == (0, 0)

        proxy.thaw()
        await world.is_well(store)
    assert said == [("store cut off", store), ("store back", store)]


@BOTH
async def test_clients_that_leave_a_frozen_store_take_nothing_along(
    settings: Settings, stores: Stores, store: str
) -> None:
    # all of them have to wait before anything gives up
    waits = {"breaker_patience": 3.0, "postgres_connect_timeout": LONG, "mongodb_selection_timeout": LONG}
    async with world_of(settings, stores, coalescing=False, **waits) as world:
        proxy = world.proxies[store]
        assert await world.ask(store) == (NAMES[store], [])
        proxy.freeze()
        left = [asyncio.create_task(world.ask(store)) for _ in range(10)]
        stayed = asyncio.create_task(world.ask(store))

        async def are_waiting() -> bool:
            if store == POSTGRES:
                return world.checked_out >= 10
            return len(world.breaker(store)._calls) >= 11

        await until(are_waiting)
        for task in left:
            task.cancel()
        await asyncio.wait(left)

        assert all(task.cancelled() for task in left)
        assert await stayed == UNAVAILABLE
        proxy.thaw()
        await world.is_well(store)


@BOTH
async def test_connections_that_are_reset_cost_no_read(patient: World, store: str) -> None:
    """Idle ones are replaced, and what was under way is read once more."""
    proxy = patient.proxies[store]
    await asyncio.gather(*(patient.ask(store) for _ in range(8)))
    proxy.reset()
    assert await asyncio.gather(*(patient.ask(store) for _ in range(8))) == [(NAMES[store], [])] * 8
    await patient.is_well(store)


@pytest.mark.parametrize(("store", "command"), [(POSTGRES, b"catalog_items"), (MONGODB, b"find")])
async def test_a_read_whose_answer_breaks_off_is_repeated_once(patient: World, store: str, command: bytes) -> None:
    proxy = patient.proxies[store]
    proxy.cut_answer_to(command)
    assert await patient.ask(store) == (NAMES[store], [])
    assert proxy._cut is None
    await patient.is_well(store)


RENAME: Final = """mutation ($input: UpdateProfileInput!) {
  updateProfile(input: $input) { user { firstName } errors { code } } }"""
CREATE: Final = """mutation ($input: CreateAvatarInput!) {
  createAvatar(input: $input) { avatar { name } errors { code } }
}"""


async def test_a_write_whose_answer_breaks_off_is_never_repeated(patient: World, stores: Stores) -> None:
    mine, user = await signed_in(patient.anonymous, patient.stores)
    proxy = patient.proxies[POSTGRES]
    proxy.cut_answer_to(b"COMMIT;")
    body = await respond(mine, CREATE, input={"name": "Once"})

    assert [error["extensions"]["code"] for error in body["errors"]] == ["STORE_UNAVAILABLE"]
    assert proxy._cut is None
    async with stores.engine.connect() as connection:
        count = await connection.scalar(
            text("SELECT count(*) FROM avatar.avatars WHERE user_id = :id"), {"id": user.id}
        )
    assert count == 1  # it had happened: nobody could know
    await patient.is_well(POSTGRES)


async def test_writes_work_at_once_after_connections_were_lost(patient: World) -> None:
    """Nobody may repeat them, so no lost connection may be handed to them."""
    mine, _ = await signed_in(patient.anonymous, patient.stores)
    await asyncio.gather(*(patient.ask(POSTGRES) for _ in range(8)))
    proxy = patient.proxies[POSTGRES]
    proxy.reset()

    async def are_gone() -> bool:
        return proxy.connections == 0

    await until(are_gone)
    for number in range(8):
        body = await respond(mine, CREATE, input={"name": f"Avatar {number}"})
        assert body == {"data": {"createAvatar": {"avatar": {"name": f"Avatar {number}"}, "errors": []}}}


async def test_a_slow_statement_is_no_frozen_store(settings: Settings, stores: Stores) -> None:
    async with world_of(settings, stores, statement_timeout=1.0) as world:
        with breaker_logs() as said:
            async with stores.engine.begin() as connection:
                await connection.execute(text("LOCK TABLE catalog.catalog_items IN ACCESS EXCLUSIVE MODE"))
                assert await world.ask(POSTGRES) == (None, ["TIMEOUT"])
            assert await world.ask(POSTGRES) == ("Silk", [])
        await world.is_well(POSTGRES)
    assert said == []


@pytest.mark.parametrize("state", ["40P01", "40001"])
async def test_a_transaction_that_another_one_ended_is_a_conflict(world: World, stores: Stores, state: str) -> None:
    mine, _ = await signed_in(world.anonymous, world.stores)
    async with stores.engine.begin() as connection:
        await connection.execute(
            text(
                "CREATE FUNCTION public.yield_to_another() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION 'for another''s sake' USING ERRCODE = '{state}'; END $$"
            )
        )
        await connection.execute(
            text(
                "CREATE TRIGGER yield_to_another BEFORE UPDATE ON shared.users"
                " FOR EACH ROW EXECUTE FUNCTION public.yield_to_another()"
            )
        )
    try:
        body = await respond(mine, RENAME, input={"firstName": "Never"})
    finally:
        async with stores.engine.begin() as connection:
            await connection.execute(text("DROP FUNCTION public.yield_to_another() CASCADE"))

    (error,) = body["errors"]
    assert error["extensions"] == {"code": "CONFLICT"}
    again = await respond(mine, RENAME, input={"firstName": "Then"})
    assert again == {"data": {"updateProfile": {"user": {"firstName": "Then"}, "errors": []}}}


async def test_probes_see_the_store_and_not_the_breaker(settings: Settings, stores: Stores) -> None:
    # probes so seldom that only the health check can close it
    async with world_of(settings, stores, breaker_probe_interval=LONG) as world:
        proxy = world.proxies[POSTGRES]
        proxy.refuse()

        async def is_cut_off() -> bool:
            await world.ask(POSTGRES)
            return world.breaker(POSTGRES).is_open

        await until(is_cut_off)
        assert (await world.anonymous.get("/readyz")).status_code == 503
        assert (await world.anonymous.get("/livez")).status_code == 200
        down = (await world.anonymous.get("/health/database")).json()["checks"]
        await proxy.listen()
        up = (await world.anonymous.get("/health/database")).json()["checks"]

        assert (down["postgres"]["healthy"], down["postgres"]["error"]) == (False, "connection refused")
        assert down["mongodb"]["healthy"] is True
        assert (down["postgres"]["cutOff"], down["mongodb"]["cutOff"]) == (True, False)
        assert (up["postgres"]["healthy"], up["postgres"]["cutOff"]) == (True, False)
        assert await world.ask(POSTGRES) == ("Silk", [])


async def test_who_is_signed_in_needs_postgresql(world: World) -> None:
    mine, _ = await signed_in(world.anonymous, world.stores)
    query = f"{{ {world.field(MONGODB)} }}"
    world.proxies[POSTGRES].refuse()

    signed = await mine.post("/graphql", json={"query": query})
    nobody = await respond(world.anonymous, query)

    assert signed.status_code == 503
    assert [error["extensions"] for error in signed.json()["errors"]] == [
        {"code": "STORE_UNAVAILABLE", "store": POSTGRES}
    ]
    assert nobody == {"data": {"design": {"name": "Evening"}}}
    await world.proxies[POSTGRES].listen()
    await world.is_well(POSTGRES)
    assert (await respond(mine, query)) == {"data": {"design": {"name": "Evening"}}}


@BOTH
async def test_pools_of_one_are_no_store_that_is_gone(settings: Settings, stores: Stores, store: str) -> None:
    """Who has to wait for a connection gets it; that they are all in use cuts nothing off."""
    limits = {"postgres_pool_size": 1, "postgres_max_overflow": 0, "mongodb_max_pool_size": 1, "breaker_failures": 1}
    async with world_of(settings, stores, **limits, breaker_probe_timeout=20.0) as world:
        with breaker_logs() as said:
            answers = await asyncio.gather(*(world.ask(store) for _ in range(30)))
        assert answers == [(NAMES[store], [])] * 30
        await world.is_well(store)
    assert said == []
