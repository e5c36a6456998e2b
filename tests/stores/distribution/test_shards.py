"""How many shards the statements of the API ask: the table of docs/operating/citus.md."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any, Final

import pytest

from api.config.settings import Settings
from api.idempotency import claims
from api.reconcile.run import reconcile
from tests.support.documentation.pages import ROOT
from tests.support.graphql import gid
from tests.support.mutations.inputs import INPUTS, mutation
from tests.support.stores.distributed import distribute
from tests.support.stores.shards import Asked, recording
from tests.support.world import World, living

pytestmark = pytest.mark.anyio

AVATAR: Final = "{ id name owner { id } }"
QUERIES: Final = {
    "one": f"query ($avatar: ID!) {{ avatar(id: $avatar) {AVATAR} }}",
    "node": "query ($avatar: ID!) { node(id: $avatar) { id } }",
    "all": "{ avatars(first: 3) { edges { node { id } } totalCount } }",
    "owners": "{ users(first: 5) { nodes { defaultAvatar { id } avatars(first: 2) { nodes { id } totalCount } } } }",
    "worn": "query ($design: ID!) { design(id: $design) { avatar { id name } } }",
    "worn by many": "{ designs(first: 5) { edges { node { avatar { id name } } } } }",
    "versions": "query ($design: ID!) { design(id: $design) { revisions(first: 2) { nodes { avatar { id } } } } }",
    "log": "{ auditLog(first: 3) { edges { node { id } } totalCount } }",
}


BY_USERS: Final = frozenset({"signUp", "signIn", "refreshSession", "signOut", "changePassword"})


Operation = tuple[str, str, dict[str, Any], str | None]
"""Who sends it, the document, its variables, and its idempotency key."""


async def operations(world: World) -> list[Operation]:
    """Something of all that the API asks of avatars and idempotency keys."""
    ids = {"avatar": gid(world.avatars["ada's worn"]), "design": gid(world.designs["ada's complete"])}
    queries: list[Operation] = [
        (viewer, query, {name: id for name, id in ids.items() if f"${name}" in query}, None)
        for viewer in ("anonymous", "owner", "admin")
        for query in QUERIES.values()
    ]
    mutations: list[Operation] = [
        (viewer, mutation(name), {"input": await build(world, False)}, None)
        for name, build in INPUTS.items()
        for viewer in ("owner", "admin")
        if name not in BY_USERS
    ]
    kept: Operation = ("owner", mutation("createAvatar"), {"input": {"name": "Kept"}}, "first-key")
    again: Operation = ("admin", mutation("createAvatar"), {"input": {"name": "Kept"}}, "second-key")
    return [*queries, *mutations, kept, kept, again]


async def send(world: World, operation: Operation) -> None:
    viewer, query, variables, key = operation
    given = {"query": query, "variables": variables}
    headers = {} if key is None else {"idempotency-key": key}
    answer = await world.viewer(viewer).post("/graphql", json=given, headers=headers)
    assert answer.status_code == 200, answer.text
    if viewer == "admin":
        assert "errors" not in answer.json(), (query, answer.text)


def documented() -> set[Asked]:
    text = (ROOT / "docs/operating/citus.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([A-Z]+)` \| ([^|]+) \| ([a-z ]+) \|", text, re.MULTILINE)
    return {
        Asked(table, kind, source, shards)
        for table, kind, sources, shards in rows
        for source in (each.strip(" `") for each in sources.split(","))
    }


async def test_the_documented_table_is_what_is_asked(on_cluster: Settings) -> None:
    await asyncio.to_thread(distribute, on_cluster)
    async with living(on_cluster) as world:
        asked_for = await operations(world)
        with recording(world.stores) as recorder:
            for operation in asked_for:  # each in a task, as a server has it: it leaves nothing in our context
                await asyncio.create_task(send(world, operation))
            await reconcile(world.stores, world.settings, repair=True)
            await claims.sweep(world.stores, timedelta(0), 10)
        asked = await recorder.asked(on_cluster)

    assert sorted(asked - documented()) == []
    assert sorted(documented() - asked) == []
