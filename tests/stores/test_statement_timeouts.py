"""What a store takes too long over is stopped by the store and has a code of its own; all else is answered."""

from __future__ import annotations

import math
from typing import Any

import pymongo
import pytest
from sqlalchemy import text

from api.config.settings import Settings
from api.log import CommandCounter
from api.stores.mongodb.client import guarded_mongo_client
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.factories.designs import create_design
from tests.support.graphql import respond

pytestmark = pytest.mark.anyio

BOTH = "{ designs { totalCount nodes { name } } catalogItems { totalCount } }"


def stopped(store: str, *path: str) -> dict[str, Any]:
    return {"path": list(path), "extensions": {"code": "TIMEOUT", "limit": "STATEMENT_TIMEOUT", "store": store}}


def told(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: error[name] for name in ("path", "extensions")} for error in body["errors"]]


async def test_postgresql_stops_a_statement(settings: Settings, stores: Stores) -> None:
    await create_design(stores, status="published", name="Evening")
    async with running(settings, statement_timeout=0.5) as (_, client), stores.engine.begin() as connection:
        await connection.execute(text("LOCK TABLE catalog.catalog_items IN ACCESS EXCLUSIVE MODE"))
        body = await respond(client, BOTH)
        alone = await client.post("/graphql", json={"query": "{ catalogItems { totalCount } }"})

    assert body["data"] == {
        "designs": {"totalCount": 1, "nodes": [{"name": "Evening"}]},
        "catalogItems": {"totalCount": None},
    }
    assert told(body) == [stopped("PostgreSQL", "catalogItems", "totalCount")]
    assert body["errors"][0]["message"] == (
        "PostgreSQL took longer than STATEMENT_TIMEOUT over a part of it, and was stopped: ask for less."
    )
    assert alone.status_code == 200


async def test_mongodb_is_told_its_limit_and_the_driver_waits_longer(
    settings: Settings, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int] = []
    monkeypatch.setattr(CommandCounter, "count", staticmethod(lambda command: limits.append(command["maxTimeMS"])))
    client = guarded_mongo_client(settings.model_copy(update={"statement_timeout": 30.0}))
    try:
        database = client[stores.database.name]
        await database["designs"].find_one({})
        await database.command({"find": "designs"})
        with pymongo.timeout(10):
            await database.command({"find": "designs"})
        with pymongo.timeout(1):
            await database.command({"find": "designs"})
    finally:
        await client.close()

    assert [math.ceil(limit / 500) / 2 for limit in limits] == [30, 30, 9, 0.5]
    assert client.options.timeout == 31.0
