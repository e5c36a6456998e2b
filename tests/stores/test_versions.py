"""Which servers are served from, and which are refused with a sentence; options of MongoDB's that hosts ask for."""

from __future__ import annotations

import struct
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import asyncpg
import pytest
from pydantic import SecretStr
from pymongo import AsyncMongoClient, monitoring

from api.config.settings import Settings
from api.errors import StoreUnfit
from api.stores.mongodb.client import mongo_client, mongo_database
from api.stores.postgres import connector
from api.stores.startup_errors import describe
from api.stores.stores import open_stores
from migrations.errors import MigrationError
from migrations.runner import show, upgrade
from tests.support.applications import running
from tests.support.failures.proxies import Proxy, proxying
from tests.support.graphql import execute, gid
from tests.support.signing_in import signed_in
from tests.support.stores.databases import fresh_database

pytestmark = pytest.mark.anyio

TOO_OLD = "MongoDB: the server is older than MongoDB 6.0, or speaks an older protocol, as Amazon DocumentDB does"


def said(wire_version: int) -> bytes:
    """How a greeting says its newest wire version: a BSON integer."""
    return b"\x10maxWireVersion\x00" + struct.pack("<i", wire_version)


async def newest(mongodb_url: str) -> int:
    async with AsyncMongoClient[dict[str, Any]](mongodb_url) as client:
        version: int = (await client.admin.command("hello"))["maxWireVersion"]
        return version


async def behind(proxy: Proxy, settings: Settings, mongodb_url: str, wire_version: int) -> Settings:
    """Settings of a MongoDB that says that it is of this wire version."""
    proxy.rewritten = said(await newest(mongodb_url)), said(wire_version)
    address = urlsplit(mongodb_url)
    url = address._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()
    return settings.model_copy(update={"mongodb_uri": SecretStr(url)})


async def test_a_mongodb_before_6_is_refused(settings: Settings, clean_stores: None, mongodb_url: str) -> None:
    port = urlsplit(mongodb_url).port
    assert port is not None
    async with proxying(port) as proxy:
        old = await behind(proxy, settings, mongodb_url, 13)  # 5.0
        with pytest.raises(StoreUnfit) as caught:
            async with running(old):
                pass
        assert describe(caught.value) == TOO_OLD
        assert (await anyio.to_thread.run_sync(show, old)).mongodb_error == TOO_OLD
        with pytest.raises(MigrationError, match=f"^{TOO_OLD}$"):
            await anyio.to_thread.run_sync(upgrade, old)

    async with proxying(port) as proxy:
        new_enough = await behind(proxy, settings, mongodb_url, 17)  # 6.0
        async with running(new_enough) as (_, client):
            assert (await client.get("/readyz")).status_code == 200


async def test_a_mongodb_that_turns_out_too_old_is_not_ready(
    settings: Settings, clean_stores: None, mongodb_url: str
) -> None:
    port = urlsplit(mongodb_url).port
    assert port is not None
    async with proxying(port) as proxy:
        old = await behind(proxy, settings, mongodb_url, 13)
        proxy.refuse()
        async with running(old.model_copy(update={"mongodb_selection_timeout": 0.2})) as (_, client):
            await proxy.listen()
            with anyio.fail_after(30):
                while "older" not in (await client.get("/readyz")).json()["errors"]["mongodb"]:
                    pass


async def test_a_postgresql_before_13_is_refused(
    settings: Settings, clean_stores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "OLDEST", 99)
    async with open_stores(settings) as stores:
        with pytest.raises(StoreUnfit, match="not available") as caught:
            await stores.engine.connect()
    version = await served(settings)
    line = f"PostgreSQL: the server is PostgreSQL {version}, and 99 is the oldest that will do"
    assert describe(caught.value) == line
    assert caught.value.lasts


async def served(settings: Settings) -> str:
    """The version of the suite's PostgreSQL."""
    connection = await asyncpg.connect(settings.postgres_url)
    version: str = await connection.fetchval("SHOW server_version")
    await connection.close()
    return version.partition(" ")[0]


class Sent(monitoring.CommandListener):
    """Every command that is sent."""

    def __init__(self) -> None:
        self.commands: list[Any] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.commands.append(event.command)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


async def test_commands_name_the_version_of_the_stable_api(settings: Settings, clean_stores: None) -> None:
    sent = Sent()
    monitoring.register(sent)
    try:
        async with mongo_client(settings.model_copy(update={"mongodb_api_version": "1"})) as client:
            assert await mongo_database(settings, client)["designs"].find_one({}) is None
        async with mongo_client(settings) as client:
            assert await mongo_database(settings, client)["designs"].find_one({}) is None
    finally:
        monitoring._LISTENERS.command_listeners.remove(sent)
    assert [command.get("apiVersion") for command in sent.commands if "find" in command] == ["1", None]


CREATE = "mutation ($input: CreateDesignInput!) { createDesign(input: $input) { design { id } errors { code } } }"
RENAME = "mutation ($input: UpdateDesignInput!) { updateDesign(input: $input) { design { name } errors { code } } }"
DELETE = "mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { errors { code } } }"


@pytest.mark.parametrize("parameter", ["retryWrites=false", "retryWrites=false&retryReads=false"])
async def test_servers_without_retryable_writes(settings: Settings, clean_stores: None, parameter: str) -> None:
    assert settings.mongodb_url is not None
    without = settings.model_copy(update={"mongodb_uri": SecretStr(f"{settings.mongodb_url}&{parameter}")})
    async with running(without) as (app, client):
        stores = app.state.stores
        mine, user = await signed_in(client, stores)
        admin, _ = await signed_in(client, stores, "admin")
        made = (await execute(mine, CREATE, input={"name": "Dress"}))["createDesign"]
        assert made["errors"] == []
        id = made["design"]["id"]
        renamed = await execute(mine, RENAME, input={"id": id, "expectedVersion": 1, "name": "Gown"})
        assert renamed["updateDesign"] == {"design": {"name": "Gown"}, "errors": []}
        assert (await execute(admin, DELETE, input={"id": gid(user)}))["deleteUser"]["errors"] == []
        assert await stores.database["designs"].count_documents({"deletedAt": {"$ne": None}}) == 1


def test_migrations_too(postgres_url: str, mongodb_url: str) -> None:
    with fresh_database(postgres_url, mongodb_url) as settings:
        assert settings.mongodb_url is not None
        without = settings.model_copy(
            update={
                "mongodb_uri": SecretStr(f"{settings.mongodb_url}&retryWrites=false"),
                "mongodb_api_version": "1",
            }
        )
        assert any(line.startswith("MongoDB: ") for line in upgrade(without))
