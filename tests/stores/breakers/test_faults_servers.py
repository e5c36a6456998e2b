"""Servers of these tests' own that are killed, frozen and told to fail, under an application that goes on."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from pymongo import AsyncMongoClient
from starlette.applications import Starlette

from api.config.settings import Settings
from api.http.application import create_app
from migrations.runner import upgrade
from tests import chaos
from tests.chaos import QUICK
from tests.support.factories.designs import create_design, designs
from tests.support.failures.ledger import Outcome
from tests.support.failures.restartable import RestartableStores, restartable_stores
from tests.support.graphql import execute, gid, respond
from tests.support.mutations.designs import changed, query
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def failing() -> Iterator[RestartableStores]:
    with restartable_stores() as stores:
        upgrade(stores.settings())
        yield stores


async def test_no_acknowledged_write_is_lost_and_no_refused_one_has_happened(failing: RestartableStores) -> None:
    """Each store is killed and frozen, the application is killed; `python -m tests.chaos` does it for longer."""
    report = await chaos.run(failing, failing.settings(**QUICK))

    assert report.wrong == []
    assert report.ledger.surprises == []  # no answer but success, STORE_UNAVAILABLE and the like
    assert report.ledger.counts[Outcome.ACKNOWLEDGED] > 0
    assert report.ledger.counts[Outcome.REFUSED] > 0
    assert report.ledger.reads > 0
    assert report.left == [0, False, False]  # no connection in use, no store cut off
    assert report.log == [
        *("cut off: PostgreSQL", "back: PostgreSQL") * 2,
        *("cut off: MongoDB", "back: MongoDB") * 2,
    ]


@contextlib.asynccontextmanager
async def serving(failing: RestartableStores, **values: Any) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """An application on these servers, and a client of it."""
    # what follows designs for search would read meanwhile, and use up what is to fail
    app = create_app(failing.settings(**QUICK | {"search_indexing": False} | values))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield app, client


@pytest.fixture
async def served(failing: RestartableStores, anyio_backend: str) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    # the driver looks again for a server that it has lost every half a second
    async with serving(failing, mongodb_selection_timeout=20.0, breaker_patience=20.0) as served:
        yield served


@pytest.fixture
def app(served: tuple[Starlette, httpx.AsyncClient]) -> Starlette:
    return served[0]


@pytest.fixture
def client(served: tuple[Starlette, httpx.AsyncClient]) -> httpx.AsyncClient:
    return served[1]


@contextlib.asynccontextmanager
async def fail_point(settings: Settings, command: str, times: int | None, **data: Any) -> AsyncIterator[None]:
    """The server fails this command of the application's so many times (None: always), by the data's rule."""
    assert settings.mongodb_url is not None
    point = {"configureFailPoint": "failCommand"}
    async with AsyncMongoClient[dict[str, Any]](settings.mongodb_url) as client:
        mode = "alwaysOn" if times is None else {"times": times}
        await client.admin.command({**point, "mode": mode, "data": {"failCommands": [command], **data}})
        try:
            yield
        finally:
            await client.admin.command({**point, "mode": "off"})


UNAVAILABLE = {"code": "STORE_UNAVAILABLE", "store": "MongoDB"}


async def test_a_read_whose_connection_is_closed_is_repeated(app: Starlette, client: httpx.AsyncClient) -> None:
    design = await create_design(app.state.stores, status="published")
    async with fail_point(app.state.settings, "find", 1, closeConnection=True):
        data = await execute(client, f'{{ design(id: "{gid(design)}") {{ name }} }}')

    assert data == {"design": {"name": "Evening"}}


async def test_a_slow_command_ends_at_its_deadline(failing: RestartableStores) -> None:
    async with serving(failing, statement_timeout=1.0) as (app, client):
        design = await create_design(app.state.stores, status="published")
        question = f'{{ design(id: "{gid(design)}") {{ name }} catalogItems {{ totalCount }} }}'

        async with fail_point(app.state.settings, "find", 1, blockConnection=True, blockTimeMS=30_000):
            slow = await respond(client, question)
        afterwards = await execute(client, question)

        assert slow["data"] == {"design": None, "catalogItems": {"totalCount": 0}}
        assert [error["extensions"] for error in slow["errors"]] == [UNAVAILABLE]
        assert afterwards == {"design": {"name": "Evening"}, "catalogItems": {"totalCount": 0}}
        # one slow command is no dead store
        assert not any(breaker.is_open for breaker in app.state.stores.breakers)


async def test_a_command_that_the_server_ends_has_a_code_of_its_own(app: Starlette, client: httpx.AsyncClient) -> None:
    await create_design(app.state.stores, status="published")
    question = "{ designs { totalCount nodes { name } } catalogItems { totalCount } }"
    counts = await respond(client, "{ designs { totalCount } catalogItems { totalCount } }")
    async with fail_point(app.state.settings, "find", 1, errorCode=50):
        slow = await respond(client, question)

    assert slow["data"] == {**counts["data"], "designs": {**counts["data"]["designs"], "nodes": None}}
    (error,) = slow["errors"]
    assert error["extensions"] == {"code": "TIMEOUT", "limit": "STATEMENT_TIMEOUT", "store": "MongoDB"}
    assert not any(breaker.is_open for breaker in app.state.stores.breakers)


async def test_a_write_whose_connection_is_closed_happens_once(app: Starlette, client: httpx.AsyncClient) -> None:
    """MongoDB's own retryable writes: the server knows the number of a write that it has done."""
    mine, user = await signed_in(client, app.state.stores)
    async with fail_point(app.state.settings, "insert", 1, closeConnection=True):
        await changed(mine, "createDesign", name="Once")

    assert [design.name for design in await designs(app.state.stores).find_all({"userId": str(user.id)})] == ["Once"]


async def test_a_write_conflict_of_mongodb_is_a_conflict(app: Starlette, client: httpx.AsyncClient) -> None:
    mine, user = await signed_in(client, app.state.stores)
    async with fail_point(app.state.settings, "insert", 1, errorCode=112):
        body = await respond(mine, query("createDesign"), input={"name": "Never"})

    assert [error["extensions"] for error in body["errors"]] == [{"code": "CONFLICT"}]
    assert await designs(app.state.stores).find_all({"userId": str(user.id)}) == []
