"""How many shards the statements of the API ask: the table of docs/operating/citus.md."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from api.config.settings import Settings
from api.idempotency import claims
from api.ids import encode_id
from api.reconcile.run import reconcile
from api.search import projection
from api.stores.stores import Stores
from models import new_id
from tests.search.following import copy_designs
from tests.support.applications import running
from tests.support.documentation.pages import ROOT
from tests.support.factories.avatars import create_avatar
from tests.support.factories.designs import create_design, insert_design, object_id
from tests.support.graphql import execute, gid
from tests.support.mutations.inputs import INPUTS, mutation
from tests.support.signing_in import signed_in
from tests.support.stores.distributed import distribute
from tests.support.stores.shards import ALL, EACH, ONE, Asked, recording
from tests.support.world import DELETED, World, living

pytestmark = pytest.mark.anyio

AVATAR: Final = "{ id name owner { id } }"
QUERIES: Final = {
    "one": f"query ($avatar: ID!) {{ avatar(id: $avatar) {AVATAR} }}",
    "node": "query ($avatar: ID!) { node(id: $avatar) { id } }",
    "all": "{ avatars(first: 3) { edges { node { id } } totalCount } }",
    "owners": "{ users(first: 5) { nodes { defaultAvatar { id } avatars(first: 2) { nodes { id } totalCount } } } }",
    "worn": "query ($design: ID!) { design(id: $design) { avatar { id name } } }",
    "worn by many": "{ designs(first: 5) { edges { node { avatar { id name } } } } }",
    "versions": "query ($design: ID!) { design(id: $design) { revisions(first: 2) { nodes { avatar { id } } } "
    "revision(version: 1) { avatar { id } } } }",
    "searched": """{ search(query: "published") {
        totalCount edges { node { __typename } highlights { field } } facets { designs { tags { value } } }
    } }""",
    "mistyped": '{ search(query: "publishde") { totalCount } }',
    "completed": '{ suggest(prefix: "publ") { text } }',
    "log": "{ auditLog(first: 3, filter: { kind: [AVATAR] }) { edges { node { record { id } } } totalCount } }",
}


BY_USERS: Final = frozenset({"signUp", "signIn", "refreshSession", "signOut", "changePassword"})


Operation = tuple[str, str, dict[str, Any], str | None]
"""Who sends it, the document, its variables, and its idempotency key."""


async def operations(world: World) -> list[Operation]:
    """Something of all that the API asks of avatars, idempotency keys, and designs as search knows them."""
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
    worn = {"input": await INPUTS["createDesign"](world, False) | {"avatarId": ids["avatar"]}}
    mutations.append(("owner", mutation("createDesign"), worn, None))
    # somebody with an avatar is deleted, somebody is restored together with one, and a design is worn on another's
    for name, deleted_at in (("deleteUser", None), ("restoreUser", DELETED)):
        user = await world.user(deleted_at=deleted_at)
        await create_avatar(world.stores, user_id=user.id, deleted_at=deleted_at)
        mutations.append(("admin", mutation(name), {"input": {"id": gid(user)}}, None))
    borrowed = await world.design(user_id=world.users["ben"].id, avatar_id=world.avatars["ada's worn"].id)
    queries.append(("anonymous", QUERIES["worn"], {"design": gid(borrowed)}, None))
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
            await copy_designs(world.stores)
            for operation in asked_for:  # each in a task, as a server has it: it leaves nothing in our context
                await asyncio.create_task(send(world, operation))
            await reconcile(world.stores, world.settings, repair=True)
            await claims.sweep(world.stores, timedelta(0), 10)
            async with world.stores.engine.begin() as connection:
                await projection.write(connection, [], [*map(object_id, world.designs.values())])
        asked = await recorder.asked(on_cluster)

    assert sorted(asked - documented()) == []
    assert sorted(documented() - asked) == []


PAGES: Final = (
    "{ designs(first: 5) { nodes { avatar { name } } } }",
    "{ viewer { designs { nodes { avatar { name } } } } }",
)
NAMED: Final = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Design { avatar { name } } ... on Avatar { name } } }"


@pytest.mark.parametrize("row_level_security", [False, True])
async def test_an_avatar_is_found_whosever_it_is(on_cluster: Settings, row_level_security: bool) -> None:
    # given
    await asyncio.to_thread(distribute, on_cluster)
    async with running(on_cluster, row_level_security=row_level_security) as (app, client):
        stores: Stores = app.state.stores
        mine, ada = await signed_in(client, stores)
        _, eve = await signed_in(client, stores)
        admin, _ = await signed_in(client, stores, "admin")
        hers = await create_avatar(stores, user_id=ada.id, name="Ada's")
        others = await create_avatar(stores, user_id=eve.id, name="Eve's")
        hidden = await create_avatar(stores, user_id=eve.id, name="Hidden")
        gone = await create_avatar(stores, user_id=ada.id, name="Gone", deleted_at=datetime(2026, 1, 2, tzinfo=UTC))

        async def worn(user_id: UUID, avatar_id: UUID) -> str:
            return gid(await create_design(stores, user_id=user_id, avatar_id=avatar_id, status="published"))

        own, another = await worn(ada.id, hers.id), await worn(eve.id, others.id)
        on_others, on_gone, on_nothing = [await worn(ada.id, id) for id in (others.id, gone.id, new_id())]
        odd = {"userId": "nobody", "avatarId": str(hers.id), "status": "published"}
        nobodys = encode_id("Design", await insert_design(stores, **odd))

        async def sent(viewer: httpx.AsyncClient, query: str, **variables: Any) -> tuple[Any, list[str]]:
            with recording(stores) as recorder:
                found = await asyncio.create_task(execute(viewer, query, **variables))
            return found, await recorder.shards(on_cluster)

        async def asked(viewer: httpx.AsyncClient, *ids: str) -> tuple[list[str | None], list[str]]:
            found, shards = await sent(viewer, NAMED, ids=ids)
            shown = [one and one.get("avatar", one) for one in found["nodes"]]
            return [one and one["name"] for one in shown], shards

        # then: one statement finds those that belong to the designs' owners, and one more all others
        assert await asked(mine, own, another) == (["Ada's", "Eve's"], [EACH])
        assert await asked(client, own) == (["Ada's"], [EACH])
        assert await asked(mine, own, on_others, on_gone, on_nothing) == (["Ada's", "Eve's", None, None], [EACH, ALL])
        assert await asked(client, on_gone) == ([None], [EACH])
        assert await asked(mine, nobodys) == (["Ada's"], [ALL])
        assert await asked(mine, nobodys, own) == (["Ada's", "Ada's"], [ALL])
        for page in PAGES:
            assert (await sent(mine, page))[1] == [EACH, ALL]
        # an owner's edit that fails, too, asks where the owner is
        stale = {"id": gid(hers), "expectedUpdatedAt": "2020-01-01T00:00:00Z", "name": "x"}
        refused, shards = await sent(mine, mutation("updateAvatar"), input=stale)
        assert ([each["code"] for each in refused["it"]["errors"]], shards) == (["STALE"], [ONE, ONE])
        # by its id alone: the viewer's own, one that a published design shows, and one that none does
        assert await asked(mine, gid(hers)) == (["Ada's"], [EACH])
        assert await asked(mine, gid(others)) == (["Eve's"], [EACH, ALL])
        assert await asked(mine, gid(hidden)) == ([None], [EACH, ALL])
        assert await asked(client, gid(others)) == (["Eve's"], [ALL])
        assert await asked(admin, gid(hidden)) == (["Hidden"], [ALL])
