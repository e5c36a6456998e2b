"""Failures that are not the client's: what they are told of them, what is logged, and what goes on working."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy import text
from starlette.applications import Starlette

from api.config.settings import Settings
from api.http.application import create_app
from api.ids import encode_id
from api.stores.stores import Stores
from models import new_id
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid, respond
from tests.support.signing_in import as_admin
from tests.support.stores.databases import end_sessions

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that may see everything."""
    return admin


COUNT = "{ users { totalCount } }"
COUNTED = {"data": {"users": {"totalCount": 0}}}


@asynccontextmanager
async def without_column(stores: Stores) -> AsyncIterator[None]:
    """Catalog items lack the column that thumbnails are read from."""
    rename = "ALTER TABLE catalog.catalog_items RENAME COLUMN {} TO {}"
    async with stores.engine.begin() as connection:
        await connection.execute(text(rename.format("thumbnail_url", "gone")))
    try:
        yield
    finally:
        async with stores.engine.begin() as connection:
            await connection.execute(text(rename.format("gone", "thumbnail_url")))


async def test_internal_errors_are_masked_and_logged(client: httpx.AsyncClient, stores: Stores) -> None:
    item = await create_catalog_item(stores, name="Silk")
    query = f'{{ good: catalogItem(id: "{gid(item)}") {{ name }} users {{ totalCount }} }}'
    bad = f'{{ bad: catalogItem(id: "{gid(item)}") {{ thumbnailUrl }} users {{ totalCount }} }}'

    async with without_column(stores):
        with structlog.testing.capture_logs() as logs:
            response = await client.post("/graphql", json={"query": bad})
        good = await execute(client, query)

    request_id = response.headers["x-request-id"]
    assert response.status_code == 200
    assert response.json() == {
        "data": {"bad": None, "users": {"totalCount": 0}},
        "errors": [
            {
                "message": f"Internal error; the request id is {request_id}.",
                "locations": [{"line": 1, "column": 3}],
                "path": ["bad"],
                "extensions": {"code": "INTERNAL", "requestId": request_id},
            }
        ],
    }
    failure, line = logs
    assert (failure["event"], failure["log_level"]) == ("internal error", "error")
    assert (failure["request_id"], failure["path"]) == (request_id, ["bad"])
    assert "column catalog_items.thumbnail_url does not exist" in str(failure["exc_info"])
    assert (line["event"], line["status"], line["errors"], line["request_id"]) == ("request", 200, 1, request_id)
    assert good == {"good": {"name": "Silk"}, "users": {"totalCount": 0}}


@pytest.fixture
def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@asynccontextmanager
async def client_of(settings: Settings, **changes: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Starlette]]:
    """A client of an application with other settings."""
    app = create_app(settings.model_copy(update=changes))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield as_admin(client, app), app


def unavailable(store: str, *path: Any) -> dict[str, Any]:
    """The error of a field that needs a store that is down, its place in the document aside."""
    return {
        "message": f"{store} is not available; try again later.",
        "path": list(path),
        "extensions": {"code": "STORE_UNAVAILABLE", "store": store},
    }


def placeless(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in error.items() if name != "locations"} for error in body["errors"]]


async def test_without_mongodb_the_rest_works(settings: Settings, stores: Stores, closed_port: int) -> None:
    user, item = await create_user(stores, email="ada@example.com"), await create_catalog_item(stores)
    design = await create_design(stores)
    uri = SecretStr(f"mongodb://secret-user:secret-password@127.0.0.1:{closed_port}/fashion_wallet")
    query = """query ($user: ID!, $design: ID!, $ids: [ID!]!) {
      users { nodes { email } totalCount }
      design(id: $design) { name }
      user(id: $user) { email designs { totalCount nodes { name } } }
      designs { edges { cursor } pageInfo { hasNextPage } }
      nodes(ids: $ids) { id }
    }"""
    ids = [gid(item), gid(design), gid(user)]

    async with client_of(settings, mongodb_uri=uri, mongodb_selection_timeout=0.2, health_timeout=0.3) as (client, _):
        with structlog.testing.capture_logs() as logs:
            body = await respond(client, query, user=gid(user), design=gid(design), ids=ids)
        sql_only = await execute(client, "{ users { nodes { avatars { totalCount } } } catalogItems { totalCount } }")

    assert body["data"] == {
        "users": {"nodes": [{"email": "ada@example.com"}], "totalCount": 1},
        "design": None,
        "user": {"email": "ada@example.com", "designs": {"totalCount": None, "nodes": None}},
        "designs": {"edges": None, "pageInfo": {"hasNextPage": False}},
        "nodes": [{"id": gid(item)}, None, {"id": gid(user)}],
    }
    errors = sorted(placeless(body), key=lambda error: str(error["path"]))
    assert errors == [
        unavailable("MongoDB", "design"),
        unavailable("MongoDB", "designs", "edges"),
        unavailable("MongoDB", "nodes", 1),
        unavailable("MongoDB", "user", "designs", "nodes"),
        unavailable("MongoDB", "user", "designs", "totalCount"),
    ]
    assert {entry["event"] for entry in logs} == {"failure", "request"}
    assert "secret" not in str(logs)
    assert sql_only == {"users": {"nodes": [{"avatars": {"totalCount": 0}}]}, "catalogItems": {"totalCount": 1}}


async def test_without_postgresql_the_rest_works(settings: Settings, stores: Stores, closed_port: int) -> None:
    design = await create_design(stores, name="Evening")
    url = SecretStr(f"postgresql://secret-user:secret-password@127.0.0.1:{closed_port}/secret-database")
    query = """query ($user: ID!, $design: ID!) {
      design(id: $design) { name owner { id } }
      designs { nodes { name } totalCount }
      user(id: $user) { id }
    }"""

    async with client_of(settings, database_url=url, health_timeout=0.3) as (client, _):
        with structlog.testing.capture_logs() as logs:
            body = await respond(client, query, user=encode_id("User", new_id()), design=gid(design))

    assert body["data"] == {
        "design": {"name": "Evening", "owner": None},
        "designs": {"nodes": [{"name": "Evening"}], "totalCount": 1},
        "user": None,
    }
    errors = sorted(placeless(body), key=lambda error: str(error["path"]))
    assert errors == [unavailable("PostgreSQL", "design", "owner"), unavailable("PostgreSQL", "user")]
    assert "secret" not in str(logs)


async def test_a_full_pool_is_a_store_that_is_not_available(settings: Settings, stores: Stores) -> None:
    limits = {"postgres_pool_size": 1, "postgres_max_overflow": 0, "postgres_pool_timeout": 0.05}

    async with client_of(settings, **limits) as (client, app):
        async with app.state.stores.engine.connect():
            body = await respond(client, COUNT)
        after = await respond(client, COUNT)

    assert placeless(body) == [unavailable("PostgreSQL", "users", "totalCount")]
    assert after == COUNTED


async def test_a_lost_connection_is_replaced(client: httpx.AsyncClient, app: Starlette, postgres_url: str) -> None:
    assert await respond(client, COUNT) == COUNTED
    async with app.state.stores.engine.connect() as connection:
        pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    assert await end_sessions(postgres_url, f"pid = {pid}") == 1

    assert await respond(client, COUNT) == COUNTED
    assert app.state.stores.engine.sync_engine.pool.checkedout() == 0
