"""What queries cost: the same number of statements and commands for 2 and for 20 rows, and one connection is enough."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool
from starlette.applications import Starlette

from api.config.settings import Settings
from api.http.application import create_app
from api.stores.stores import Stores
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import execute, sent
from tests.support.signing_in import as_admin

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def settings(settings: Settings) -> Settings:
    """Queries of every depth may be asked."""
    return settings.model_copy(update={"max_cost": 10_000_000})


ROWS = pytest.mark.parametrize("rows", [2, 20])


async def fill(stores: Stores, rows: int) -> None:
    """So many users, avatars, items and designs, each with its own of the others, and creators."""
    root = await create_user(stores, email="root@example.com", last_name="Aaa")
    for number in range(rows):
        user = await create_user(stores, created_by=root.id, updated_by=root.id)
        avatar = await create_avatar(stores, user_id=user.id, is_default=True)
        items = [await create_catalog_item(stores, name=f"Silk {number}", created_by=root.id) for _ in range(2)]
        layers = [layer_of(item.id, id=str(index)) for index, item in enumerate(items)]
        await create_design(stores, user_id=user.id, avatar_id=avatar.id, layers=layers)


async def cost_of(client: httpx.AsyncClient, app: Starlette, query: str, **variables: Any) -> tuple[int, int]:
    """MongoDB commands and SQL statements of a query, which must succeed."""
    with sent(app) as counted:
        await execute(client, query, **variables)
    return counted.counts


DESIGNS = "designs(first: 100) { nodes { %s } }"
USERS = 'users(first: 100, filter: {not: {email: {startsWith: "root"}}}) { nodes { %s } }'
AVATARS = "avatars(first: 100) { nodes { %s } }"
ITEMS = "catalogItems(first: 100) { nodes { %s } }"

COSTS: dict[str, tuple[str, int, int]] = {
    "designs": (DESIGNS % "id name status layers { layerId position { x } } metadata { tags }", 1, 0),
    "design lists of every kind": (
        "designs { edges { cursor node { id } } nodes { name } pageInfo { endCursor } }",
        1,
        0,
    ),
    "users": (USERS % "id email role createdAt", 0, 1),
    "avatars": (AVATARS % "id name measurements { height }", 0, 1),
    "catalog items": (ITEMS % "id name properties { tags }", 0, 1),
    "the page of DESIGN.md": (
        DESIGNS % "name owner { firstName } avatar { name } layers { catalogItem { name thumbnailUrl } }",
        1,
        3,
    ),
    "owners": (DESIGNS % "owner { firstName }", 1, 1),
    "avatars of designs": (DESIGNS % "avatar { name }", 1, 1),
    "items of layers": (DESIGNS % "layers { catalogItem { name } }", 1, 1),
    "items of designs": (DESIGNS % "catalogItems { name }", 1, 1),
    "items both ways": (DESIGNS % "catalogItems { name price } layers { catalogItem { name category } }", 1, 1),
    "owners of avatars": (AVATARS % "owner { email }", 0, 2),
    "creators of users": (USERS % "createdBy { email } updatedBy { firstName }", 0, 2),
    "default avatars": (USERS % "defaultAvatar { name }", 0, 2),
    "avatars of users": (USERS % "avatars(first: 5) { nodes { name } }", 0, 2),
    "designs of users": (USERS % "designs(first: 5) { nodes { name } }", 1, 1),
    "designs of avatars": (AVATARS % "designs(first: 5) { nodes { name } }", 1, 1),
    "designs of items": (ITEMS % "designs(first: 5) { nodes { name } }", 1, 1),
    "everything of users": (
        USERS % "createdBy { id } defaultAvatar { id } avatars { nodes { id } } designs { nodes { id } }",
        1,
        4,
    ),
    "count of users": ("users { totalCount }", 0, 1),
    "count of avatars": ("avatars { totalCount }", 0, 1),
    "count of items": ("catalogItems { totalCount }", 0, 1),
    "count of designs": ("designs { totalCount }", 1, 0),
    "users with their count": ("users { totalCount nodes { id } }", 0, 2),
    "designs with their count": ("designs { totalCount nodes { id } }", 2, 0),
    "count of avatars of users": (USERS % "avatars { totalCount }", 0, 2),
    "count of designs of users": (USERS % "designs { totalCount }", 1, 1),
    "count of designs of avatars": (AVATARS % "designs { totalCount }", 1, 1),
    "count of designs of items": (ITEMS % "designs { totalCount }", 1, 1),
    "counts in fragments": ("users { ... on UserConnection { totalCount } } designs { ... { totalCount } }", 1, 1),
    "empty pages": ("users(first: 0) { nodes { id } edges { cursor } } designs(last: 0) { nodes { id } }", 0, 0),
    "what empty pages lie before": ("users(first: 0) { pageInfo { hasNextPage } }", 0, 1),
    "typename": ("users { __typename } designs { __typename }", 0, 0),
    "aliases of equal pages": (
        "a: users(first: 5) { nodes { id } } b: users(first: 5) { nodes { email } }"
        " c: designs(first: 5, orderBy: {field: CREATED_AT, direction: DESC}) { nodes { id } }"
        " d: designs(first: 5) { nodes { name } }",
        1,
        1,
    ),
    "aliases of equal nested pages": (
        USERS % "a: designs(first: 5) { nodes { id } } b: designs(first: 5) { nodes { name } }",
        1,
        1,
    ),
    "aliases of other pages": ("a: users(first: 5) { nodes { id } } b: users(first: 6) { nodes { id } }", 0, 2),
    "aliases of other nested pages": (
        USERS % "a: designs(first: 5) { nodes { id } } b: designs(filter: {status: DRAFT}) { nodes { name } }",
        2,
        1,
    ),
    "three levels": (
        USERS % "designs { nodes { avatar { owner { email } } layers { catalogItem { name } } owner { lastName } } }",
        1,
        5,
    ),
    "there and back": (
        DESIGNS % "owner { designs { nodes { owner { designs { nodes { name } } } } } }",
        3,
        1,
    ),
}


@ROWS
async def test_costs(client: httpx.AsyncClient, app: Starlette, stores: Stores, rows: int) -> None:
    await fill(stores, rows)

    costs = {name: await cost_of(client, app, f"{{ {query} }}") for name, (query, *_) in COSTS.items()}

    assert costs == {name: (mongo, sql) for name, (_, mongo, sql) in COSTS.items()}


@ROWS
async def test_costs_with_named_fragments(client: httpx.AsyncClient, app: Starlette, stores: Stores, rows: int) -> None:
    await fill(stores, rows)

    cost = await cost_of(
        client,
        app,
        """
        { designs(first: 100) { ...Counted edges { node { ...Whole } } nodes { ...Whole } } }
        fragment Counted on DesignConnection { totalCount }
        fragment Whole on Design { name owner { ...Person } avatar { name owner { ...Person } } ...Items }
        fragment Person on User { firstName email }
        fragment Items on Design { layers { catalogItem { name } } catalogItems { price } }
        """,
    )

    # owners, avatars and items of the designs, then the owners of the avatars
    assert cost == (2, 4)


@ROWS
async def test_costs_of_nodes(client: httpx.AsyncClient, app: Starlette, stores: Stores, rows: int) -> None:
    await fill(stores, rows)
    lists = await execute(client, f"{{ {USERS % 'id'} {AVATARS % 'id'} {ITEMS % 'id'} {DESIGNS % 'id'} }}")
    ids = [node["id"] for page in lists.values() for node in page["nodes"]]

    cost = await cost_of(
        client,
        app,
        """query ($ids: [ID!]!) { nodes(ids: $ids) {
          id ... on User { email } ... on Avatar { name } ... on CatalogItem { name } ... on Design { name }
        } }""",
        ids=ids,
    )

    assert len(ids) == rows * 5
    assert cost == (1, 3)


async def test_only_the_columns_that_are_asked_for(client: httpx.AsyncClient, app: Starlette, stores: Stores) -> None:
    await fill(stores, 2)

    with sent(app) as counted:
        await execute(client, "{ users { nodes { firstName avatars { nodes { name } } } } }")

    users, avatars = counted.sql
    assert users.partition("\nFROM")[0] == "SELECT shared.users.created_at, shared.users.first_name, shared.users.id "
    for column in ("name", "created_at", "id"):
        assert f"avatar.avatars.{column} AS" in avatars
    assert "measurements" not in avatars
    assert "gender" not in avatars


@contextmanager
def everything_sent(engine: AsyncEngine) -> Iterator[list[str]]:
    """The first words of what new connections of the engine send apart from prepared statements."""
    queries: list[str] = []

    def listen(dbapi_connection: Any, _: Any) -> None:
        dbapi_connection.driver_connection.add_query_logger(
            lambda record: queries.append(record.query.split()[0].strip(";"))
        )

    event.listen(engine.sync_engine, "connect", listen)
    try:
        yield queries
    finally:
        event.remove(engine.sync_engine, "connect", listen)


async def test_reads_are_no_transactions(client: httpx.AsyncClient, app: Starlette, stores: Stores) -> None:
    await fill(stores, 2)
    own: Stores = app.state.stores
    await own.engine.dispose()  # new connections are listened to

    with everything_sent(own.engine) as queries:
        await execute(client, f"{{ {COSTS['the page of DESIGN.md'][0]} {COSTS['everything of users'][0]} }}")
        reads = list(queries)
        async with own.sessions.begin() as session:
            await session.execute(text("SELECT 1"))

    transaction = {"BEGIN", "START", "COMMIT", "ROLLBACK"}
    assert transaction.isdisjoint(reads)
    # the listener does hear transactions where there are some
    assert [word for word in queries if word in transaction] == ["BEGIN", "COMMIT"]


@asynccontextmanager
async def with_pool_of_one(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, QueuePool]]:
    """A client of a fresh application with one connection to each store, none of them open yet."""
    changes: dict[str, Any] = {"postgres_pool_size": 1, "postgres_max_overflow": 0, "mongodb_max_pool_size": 1}
    changes["postgres_pool_timeout"] = 120.0  # only a stall may exhaust the tests' patience, not a slow machine
    app = create_app(settings.model_copy(update=changes))
    async with app.router.lifespan_context(app):
        await app.state.stores.engine.dispose()  # of what was opened to look whether the server is there
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield as_admin(client, app), app.state.stores.engine.sync_engine.pool


DEEP = f"""{{
  {USERS % "email createdBy { email } avatars { nodes { owner { email } designs { nodes { owner { role } } } } }"}
  {
    DESIGNS
    % '''
      name owner { firstName defaultAvatar { name owner { email } } designs { nodes { avatar { name } } } }
      avatar { owner { avatars { nodes { name } totalCount } } }
      layers { catalogItem { name designs { nodes { owner { createdBy { email } } } totalCount } } }
    '''
}
  {ITEMS % "designs { nodes { catalogItems { name } } }"}
}}"""


async def test_deep_queries_need_one_connection(settings: Settings, stores: Stores) -> None:
    await fill(stores, 3)

    async with with_pool_of_one(settings) as (client, pool), asyncio.timeout(60):
        assert (pool.size(), pool.checkedin()) == (1, 0)  # cold
        data = await execute(client, DEEP)

        assert (pool.checkedin(), pool.checkedout(), pool.overflow()) == (1, 0, 0)
    assert {name: len(page["nodes"]) for name, page in data.items()} == {"users": 3, "designs": 3, "catalogItems": 6}
    assert {node["avatar"]["owner"]["avatars"]["totalCount"] for node in data["designs"]["nodes"]} == {1}


async def test_many_requests_share_one_connection(settings: Settings, stores: Stores) -> None:
    await fill(stores, 2)

    async with with_pool_of_one(settings) as (client, pool), asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:  # which leaves none of them behind
            tasks = [group.create_task(execute(client, DEEP)) for _ in range(20)]
        answers = [task.result() for task in tasks]

        assert (pool.checkedin(), pool.checkedout(), pool.overflow()) == (1, 0, 0)
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]["designs"]["nodes"]) == 2


# graphql-core drops the coroutines that it had not come to, pymongo a socket that it was connecting
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_cancelled_requests_give_their_connection_back(settings: Settings, stores: Stores) -> None:
    await fill(stores, 2)

    async with with_pool_of_one(settings) as (client, pool), asyncio.timeout(60):
        for turns in range(0, 60, 3):
            request = asyncio.create_task(execute(client, DEEP))
            for _ in range(turns):
                await asyncio.sleep(0)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        gc.collect()  # inside this test, where it may warn
        data = await execute(client, DEEP)

        assert pool.checkedout() == 0
    assert len(data["designs"]["nodes"]) == 2
