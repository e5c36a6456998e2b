"""Nodes of a cluster that are killed under an application that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio
import httpx
import pytest
from starlette.applications import Starlette

from api.config.settings import Settings
from models import Avatar, User
from models.distribution import DISTRIBUTED
from tests.support.applications import running
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.graphql import execute, gid, respond
from tests.support.signing_in import client_of, signed_in
from tests.support.stores.databases import sql
from tests.support.stores.distributed import SHARDS, distribute
from tests.support.stores.engines import Cluster
from tests.support.stores.nodes import Node
from tests.support.stores.roles import granted_role, of_role
from tests.support.waiting import pause

pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

QUICK: Final[dict[str, Any]] = {
    "breaker_failures": 3,
    "breaker_patience": 0.2,
    "breaker_probe_timeout": 5.0,
    "breaker_probe_interval": 0.05,
}
UNAVAILABLE: Final = {"code": "STORE_UNAVAILABLE", "store": "PostgreSQL"}
LOOKING: Final = "EXECUTE ON FUNCTION pg_catalog.citus_check_connection_to_node(text, integer)"
LATE: Final = {"code": "TIMEOUT", "limit": "STATEMENT_TIMEOUT", "store": "PostgreSQL"}
CREATE: Final = (
    "mutation ($input: CreateAvatarInput!) { it: createAvatar(input: $input) { avatar { id } errors { code } } }"
)
ASKED: Final = """query ($mine: ID!, $worn: ID!) {
  avatar(id: $mine) { name } viewer { firstName defaultAvatar { name } }
  catalogItems(first: 1) { nodes { name } } design(id: $worn) { name avatar { name } } }"""
ANYBODYS: Final = "query ($mine: ID!, $worn: ID!) { avatar(id: $mine) { name } design(id: $worn) { avatar { name } } }"


@dataclass
class Owner:
    """An account with an avatar; avatars and idempotency keys of it are at one worker."""

    user: User
    client: httpx.AsyncClient
    avatar: Avatar
    design: Any
    node: Node

    async def ask(self) -> dict[str, Any]:
        return await respond(self.client, ASKED, mine=gid(self.avatar), worn=gid(self.design))

    async def create(self, name: str, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"idempotency-key": key}
        given = {"query": CREATE, "variables": {"input": {"name": name}}}
        return await self.client.post("/graphql", json=given, headers=headers)


@pytest.fixture
async def served(on_cluster: Settings, anyio_backend: str) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    await asyncio.to_thread(distribute, on_cluster)
    async with running(on_cluster, **QUICK) as served:
        yield served


@pytest.fixture
async def owners(served: tuple[Starlette, httpx.AsyncClient], cluster: Cluster) -> list[Owner]:
    """One at each worker."""
    app, client = served
    stores, found = app.state.stores, dict[int, Owner]()
    await create_catalog_item(stores, name="Silk")
    while len(found) < len(cluster.nodes) - 1:
        mine, user = await signed_in(client, stores, first_name="Ada")
        port, *others = await _ports_of(app.state.settings, user)
        if port not in found and not others:
            node = next(each for each in cluster.nodes if each.port == port)
            avatar = await create_avatar(stores, user_id=user.id, name="First", is_default=True)
            design = await create_design(stores, user_id=user.id, avatar_id=avatar.id, status="published")
            found[port] = Owner(user, mine, avatar, design, node)
    return list(found.values())


async def _ports_of(settings: Settings, user: User) -> set[int]:
    """The ports of the workers that have this user's avatars and idempotency keys."""
    asked = (
        "SELECT nodeport FROM citus_shards WHERE shardid IN ("
        f"get_shard_id_for_distribution_column('avatar.avatars', '{user.id}'::uuid), "
        f"get_shard_id_for_distribution_column('shared.idempotency_keys', 'account:{user.id}'::text))"
    )
    return {row[0] for row in await asyncio.to_thread(sql, settings, asked)}


async def _sessions(settings: Settings) -> set[int]:
    """The application's sessions on the coordinator."""
    asked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'fashion-wallet'"
    return {row[0] for row in await asyncio.to_thread(sql, settings, asked)}


async def found(client: httpx.AsyncClient, type_name: str) -> dict[str, Any]:
    """How much of a type has the word silk."""
    query = 'query ($types: [SearchType!]) { search(query: "silk", types: $types) { totalCount } }'
    return await respond(client, query, types=[type_name])


async def _hanging(settings: Settings) -> bool:
    """Whether a session on the coordinator still runs a statement for an application that has gone."""
    asked = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fashion-wallet' AND state = 'active' "
        "AND query_start < now() - interval '1 second'"
    )
    return bool((await asyncio.to_thread(sql, settings, asked))[0][0])


async def _nodes(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = (await client.get("/health/database")).json()["checks"]["postgres"]["nodes"]
    return nodes


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(60):
        while not await condition():
            await pause()


async def test_a_killed_worker_takes_its_rows_alone_with_it(
    served: tuple[Starlette, httpx.AsyncClient], owners: list[Owner], cluster: Cluster
) -> None:
    app, client = served
    lost, other = owners
    whole = await lost.ask()
    assert "errors" not in whole
    sessions = await _sessions(app.state.settings)
    nodes = (await client.get("/health/database")).json()["checks"]["postgres"]["nodes"]
    assert [(each["role"], each["reachable"], each["shards"]) for each in nodes] == [
        ("coordinator", True, 0),
        *[("worker", True, SHARDS * len(DISTRIBUTED) // 2)] * 2,  # half of those of each table
    ]

    await asyncio.to_thread(lost.node.kill)
    try:
        # what is on the worker is unavailable, and said to be so; the rest of the answer is there
        partial = await lost.ask()
        assert partial["data"] == whole["data"] | {
            "avatar": None,
            "viewer": {"firstName": "Ada", "defaultAvatar": None},
            "design": {"name": "Evening", "avatar": None},
        }
        assert [error["extensions"] for error in partial["errors"]] == [UNAVAILABLE] * 3
        refused = (await lost.create("Refused")).json()
        assert refused["data"] == {"it": None}
        assert [error["extensions"]["code"] for error in refused["errors"]] == ["STORE_UNAVAILABLE"]
        kept = await lost.create("Refused, too", key="a-key")
        assert "data" not in kept.json()
        assert [error["extensions"] for error in kept.json()["errors"]] == [UNAVAILABLE]

        # a search of designs asks all shards, and one of items none
        assert "errors" not in await found(lost.client, "CATALOG_ITEM")
        assert [each["extensions"] for each in (await found(lost.client, "DESIGN"))["errors"]] == [UNAVAILABLE]

        # others go on with what is elsewhere
        assert await other.ask() == whole
        # a design says where its avatar is, which the avatar's id alone doesn't
        anybodys = await respond(client, ANYBODYS, mine=gid(other.avatar), worn=gid(other.design))
        assert anybodys["data"] == {"avatar": None, "design": {"avatar": {"name": "First"}}}
        assert [error["extensions"] for error in anybodys["errors"]] == [UNAVAILABLE]
        acknowledged = (await other.create("Acknowledged", key="a-key")).json()
        assert acknowledged["data"]["it"]["errors"] == []
        # a cluster without one of its workers is no dead store, and no connection is lost
        assert not any(breaker.is_open for breaker in app.state.stores.breakers)
        health = await client.get("/health/database")
        told = health.json()["checks"]["postgres"]["nodes"]
        place = [each.port for each in cluster.nodes].index(lost.node.port)
        assert [each["reachable"] for each in told] == [number != place for number in range(3)]
        assert health.status_code == (await client.get("/readyz")).status_code == 200
        assert sessions <= await _sessions(app.state.settings)
    finally:
        await asyncio.to_thread(lost.node.start)

    async def is_whole() -> bool:
        return await lost.ask() == whole

    await until(is_whole)
    names = (
        await execute(lost.client, "{ avatars { nodes { name } } }"),
        await execute(other.client, "{ avatars { nodes { name } } }"),
    )
    assert [[each["name"] for each in data["avatars"]["nodes"]] for data in names] == [
        ["First"],
        ["Acknowledged", "First"],
    ]
    assert (await lost.create("Refused, too", key="a-key")).json()["data"]["it"]["errors"] == []


@pytest.mark.parametrize("is_ended", [False, True], ids=["goes-on", "is-ended"])
async def test_a_frozen_worker_is_waited_for_by_its_owners_alone(
    served: tuple[Starlette, httpx.AsyncClient], owners: list[Owner], cluster: Cluster, is_ended: bool
) -> None:
    settings = served[0].state.settings
    async with running(settings, statement_timeout=3.0) as (app, client):
        lost, other = [replace(each, client=await client_of(client, app.state.stores, each.user)) for each in owners]
        whole = await lost.ask()

        async def nobody_hangs() -> bool:
            return not await _hanging(settings)

        assert all(each["reachable"] for each in await _nodes(client))  # on a connection that health keeps

        lost.node.freeze()
        try:
            reading = asyncio.create_task(lost.ask())
            writing = asyncio.create_task(lost.create("Hung"))
            with_key = asyncio.create_task(lost.create("Hung", "a-key"))
            # others go on, and are told at once which worker it is
            told = await _nodes(client)
            assert await other.ask() == whole
            assert (await other.create("Acknowledged", key="a-key")).json()["data"]["it"]["errors"] == []
            place = [each.port for each in cluster.nodes].index(lost.node.port)
            assert [each["reachable"] for each in told] == [number != place for number in range(3)]
            assert (await client.get("/readyz")).status_code == 200
            partial, hung, keyed = await reading, await writing, await with_key
            assert partial["data"] == whole["data"] | {
                "avatar": None,
                "viewer": {"firstName": "Ada", "defaultAvatar": None},
                "design": {"name": "Evening", "avatar": None},
            }
            assert [error["extensions"] for error in partial["errors"]] == [LATE] * 3
            # where the coordinator can't end a transaction, since the worker would have to hear of it, we hang up
            assert hung.json()["data"] == {"it": None}
            assert [error["extensions"] in (LATE, UNAVAILABLE) for error in hung.json()["errors"]] == [True]
            assert "data" not in keyed.json()
            assert [error["extensions"] in (LATE, UNAVAILABLE) for error in keyed.json()["errors"]] == [True]
            assert not any(breaker.is_open for breaker in app.state.stores.breakers)
            if is_ended:  # then it is one that is down, and nobody waits for it any more
                await asyncio.to_thread(lost.node.kill)
                await until(nobody_hangs)
                assert [error["extensions"] for error in (await lost.ask())["errors"]] == [UNAVAILABLE] * 3
        finally:
            if is_ended:
                await asyncio.to_thread(lost.node.kill)
                await lost.node.restart()
            else:
                lost.node.thaw()

        async def is_whole() -> bool:
            return await lost.ask() == whole and await nobody_hangs()

        await until(is_whole)
        assert await execute(lost.client, "{ avatars { nodes { name } } }") == {
            "avatars": {"nodes": [{"name": "First"}]}
        }
        # the claim of its key may have been written, and lapses
        again = (await lost.create("Hung", key="a-key")).json()
        assert [error["extensions"]["code"] for error in again.get("errors", ())] in ([], ["IDEMPOTENCY_IN_PROGRESS"])


@pytest.fixture
def role(on_cluster: Settings) -> Iterator[str]:
    """A role that may not look at nodes, which it may by itself."""
    distribute(on_cluster)
    with granted_role(on_cluster) as role:
        sql(on_cluster, f"REVOKE {LOOKING} FROM PUBLIC")
        try:
            yield role
        finally:
            sql(on_cluster, f"GRANT {LOOKING} TO PUBLIC")


async def test_health_of_a_role_that_may_not_look_at_nodes_names_none(role: str, on_cluster: Settings) -> None:
    async with running(of_role(on_cluster, role)) as (_, client):
        health = await client.get("/health/database")
        assert health.status_code == 200
        assert "nodes" not in health.json()["checks"]["postgres"]
        assert health.json()["checks"]["postgres"]["server"]["version"]

        await asyncio.to_thread(sql, on_cluster, f"GRANT {LOOKING} TO {role}")
        assert [each["reachable"] for each in await _nodes(client)] == [True] * 3


async def test_a_coordinator_that_is_started_again_is_a_lost_connection(
    served: tuple[Starlette, httpx.AsyncClient], owners: list[Owner], cluster: Cluster
) -> None:
    owner, _ = owners
    whole = await owner.ask()

    await asyncio.to_thread(cluster.nodes[0].kill)
    try:
        dead = await owner.client.post("/graphql", json={"query": "{ catalogItems { totalCount } }"})
        assert dead.json()["errors"][0]["extensions"] == UNAVAILABLE
    finally:
        await asyncio.to_thread(cluster.nodes[0].start)

    async def is_whole() -> bool:
        answer = await owner.client.post(
            "/graphql",
            json={"query": ASKED, "variables": {"mine": gid(owner.avatar), "worn": gid(owner.design)}},
        )
        return bool(answer.json() == whole)

    await until(is_whole)
    assert (await owner.create("Afterwards", key="a-key")).json()["data"]["it"]["errors"] == []
