"""Where each command to MongoDB would go on a sharded cluster: the table of docs/operating/sharding.md.

No sharded server is asked: what is sent is recorded, and classified by the rules of mongos.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from api.reconcile.run import reconcile
from documents.schemas import SCHEMAS
from documents.sharding import SHARD_KEYS
from tests.support.graphql import gid, respond
from tests.support.mutations.inputs import INPUTS, mutation
from tests.support.stores.observing import observing
from tests.support.stores.sharding import BROADCAST, MERGED, REFUSED, TARGETED, documented, route
from tests.support.world import World

pytestmark = pytest.mark.anyio

QUERIES: Final = {
    "one": "query ($id: ID!) { design(id: $id) { name revisions(first: 2) { nodes { version } } } }",
    "all": "{ designs(first: 2) { edges { node { id } } totalCount facets { status { value count } } } }",
    "owners": "{ users(first: 5) { edges { node { designs(first: 2) { edges { node { id } } totalCount } } } } }",
    "items": "{ catalogItems(first: 5) { nodes { usage { designs } designs(first: 2) { nodes { id } totalCount } } } }",
    "avatars": "{ avatars(first: 5) { edges { node { designs(first: 2) { edges { node { id } } totalCount } } } } }",
    "similar": "query ($id: ID!) { design(id: $id) { similar(first: 3) { score } } }",
    "log": "{ auditLog(first: 3) { edges { node { id } } totalCount } }",
}
KEY: Final = {"userId": "a", "_id": 1}
HISTORY: Final = {"designId": 1, "version": 2, "number": {"$in": [0, None]}}
DOCUMENTS: Final = {"$documents": [{"_id": "a"}]}
BY_USERS: Final = frozenset({"signUp", "signIn", "refreshSession", "signOut", "changePassword"})


def lookup(field: str) -> dict[str, Any]:
    return {"$lookup": {"from": "designs", "localField": "_id", "foreignField": field, "pipeline": [], "as": "found"}}


async def operate(world: World) -> None:
    """Something of all that the API asks MongoDB for."""
    design = gid(world.designs["ada's complete"])
    for viewer in ("anonymous", "owner", "admin"):
        for name, query in QUERIES.items():
            variables = {"id": design} if "$id" in query else {}
            body = await respond(world.viewer(viewer), query, **variables)
            if viewer == "admin":
                assert "errors" not in body, (name, body)
    for name, build in INPUTS.items():
        for viewer in ("owner", "admin") if "Design" in name else () if name in BY_USERS else ("admin",):
            body = await respond(world.viewer(viewer), mutation(name), input=await build(world, False))
            assert "errors" not in body, (name, viewer, body)
            assert not body["data"]["it"]["errors"], (name, viewer, body)
    await reconcile(world.stores, world.settings, repair=True)


async def test_the_documented_table_is_what_is_sent(world: World) -> None:
    with observing(world.stores) as observed:
        await operate(world)

    commands = [call.source for call in observed.calls if call.store == "MongoDB" and isinstance(call.source, Mapping)]
    sent = {routed for command in commands if (routed := route(command)) is not None}

    assert sorted(sent) == sorted(documented("Queries and mutations"))
    assert not {routed for routed in sent if routed.way == REFUSED}


def test_each_collection_has_a_shard_key_that_its_unique_indexes_begin_with() -> None:
    assert set(SHARD_KEYS) == {schema.name for schema in SCHEMAS}
    for schema in SCHEMAS:
        for index in schema.indexes:
            if index.document.get("unique"):
                key = list(SHARD_KEYS[schema.name].fields)
                assert list(index.document["key"])[: len(key)] == key


@pytest.mark.parametrize(
    ("command", "way"),
    [
        ({"find": "designs", "filter": {"userId": "a"}}, TARGETED),
        ({"find": "designs", "filter": {"userId": {"$in": ["a", "b"]}}, "sort": {"_id": 1}}, TARGETED),
        ({"find": "designs", "filter": {"userId": {"$ne": "a"}}}, BROADCAST),
        ({"find": "designs", "filter": {"_id": 1}}, BROADCAST),
        ({"find": "designs", "filter": {}, "sort": {"_id": 1}}, MERGED),
        ({"find": "designs", "filter": {"$and": [{"userId": "a"}, {"x": 1}]}}, TARGETED),
        ({"find": "designs", "filter": {"$or": [{"userId": "a"}, {"x": 1}]}}, BROADCAST),
        ({"find": "designs", "filter": {"$or": [{"userId": "a"}, {"userId": "b"}]}}, TARGETED),
        ({"aggregate": "designs", "pipeline": [{"$match": {"x": 1}}, {"$group": {"_id": 1}}]}, MERGED),
        ({"aggregate": "designs", "pipeline": [{"$match": {"x": 1}}]}, BROADCAST),
        ({"aggregate": "designs", "pipeline": [{"$sort": {"x": 1}}, {"$match": {"userId": 1}}]}, MERGED),
        ({"insert": "designs", "documents": [{"_id": 1, "userId": "a"}]}, TARGETED),
        ({"insert": "designs", "documents": [{"_id": 1}]}, REFUSED),
        ({"findAndModify": "designs", "query": {"_id": 1}}, REFUSED),
        ({"findAndModify": "designs", "query": {"_id": 1, "userId": "a"}}, TARGETED),
        ({"update": "designs", "updates": [{"q": {"_id": 1}, "u": {"$set": {"x": 1}}}]}, BROADCAST),
        ({"update": "designs", "updates": [{"q": {"x": 1}, "u": {"$set": {"x": 1}}}]}, REFUSED),
        ({"update": "designs", "updates": [{"q": {"x": 1}, "u": {"$set": {"x": 1}}, "multi": True}]}, BROADCAST),
        ({"update": "designs", "updates": [{"q": {"userId": 1}, "u": {"$set": {"x": 1}}, "upsert": True}]}, REFUSED),
        ({"update": "designs", "updates": [{"q": {"userId": 1}, "u": {"$set": {"x": 1}}}]}, REFUSED),
        ({"update": "designs", "updates": [{"q": {"userId": 1}, "u": {"$set": {"x": 1}}, "multi": True}]}, BROADCAST),
        ({"update": "designs", "updates": [{"q": {"userId": 1, "_id": 1}, "u": {"$set": {"x": 1}}}]}, TARGETED),
        ({"update": "designs", "updates": [{"q": KEY, "u": {"$set": {"x": 1}}, "multi": True}]}, TARGETED),
        ({"update": "designs", "updates": [{"q": KEY, "u": {"$set": {"userId": "b"}}}]}, TARGETED),
        ({"update": "designs", "updates": [{"q": KEY, "u": {"$set": {"userId": "b"}}, "multi": True}]}, REFUSED),
        ({"update": "designs", "updates": [{"q": {"_id": 1}, "u": {"$unset": {"userId": ""}}}]}, REFUSED),
        ({"update": "designs", "updates": [{"q": {"_id": 1}, "u": [{"$set": {"userId": "b"}}]}]}, REFUSED),
        ({"update": "designs", "updates": [{"q": {"_id": 1}, "u": {"name": "in its place"}}]}, REFUSED),
        (
            {"update": "design_revisions", "updates": [{"q": HISTORY, "u": {"$setOnInsert": {}}, "upsert": True}]},
            TARGETED,
        ),
        ({"update": "design_revisions", "updates": [{"q": {"_id": {"$in": [1, 2]}}, "u": {"$set": {}}}]}, REFUSED),
        ({"update": "designs", "updates": [{"q": {"_id": 1}, "u": {"$set": {"x": 1}}, "upsert": True}]}, REFUSED),
        (
            {"update": "designs", "updates": [{"q": KEY, "u": {"$setOnInsert": KEY}, "upsert": True, "multi": True}]},
            TARGETED,
        ),
        ({"findAndModify": "designs", "query": {"_id": 1, "userId": {"$in": ["a"]}}}, REFUSED),
        ({"findAndModify": "designs", "query": {"_id": 1, "userId": {"$in": ["a", "b"]}}}, REFUSED),
        ({"findAndModify": "designs", "query": {"$and": [{"_id": 1}, {"userId": {"$eq": "a"}}]}}, TARGETED),
        ({"delete": "designs", "deletes": [{"q": {"_id": 1}, "limit": 1}]}, BROADCAST),
        ({"delete": "designs", "deletes": [{"q": {"userId": 1}, "limit": 1}]}, REFUSED),
        ({"delete": "designs", "deletes": [{"q": {"userId": 1}, "limit": 0}]}, BROADCAST),
        ({"delete": "design_revisions", "deletes": [{"q": {"_id": {"$in": [1, 2]}}, "limit": 0}]}, BROADCAST),
        ({"aggregate": 1, "pipeline": [DOCUMENTS, lookup("userId")]}, TARGETED),
        ({"aggregate": 1, "pipeline": [DOCUMENTS, lookup("avatarId")]}, MERGED),
        ({"aggregate": 1, "pipeline": [DOCUMENTS, lookup("userId"), lookup("avatarId")]}, MERGED),
        ({"aggregate": 1, "pipeline": [DOCUMENTS, lookup("userId")], "autocommit": False}, REFUSED),
        ({"aggregate": "designs", "pipeline": [{"$match": {"userId": "a"}}, lookup("avatarId")]}, MERGED),
        ({"aggregate": "designs", "pipeline": [{"$changeStream": {}}]}, MERGED),
        ({"count": "designs", "query": {"userId": "a"}}, TARGETED),
        ({"count": "designs"}, MERGED),
        ({"distinct": "designs", "key": "name", "query": {"userId": "a"}}, TARGETED),
        ({"delete": "design_revisions", "deletes": [{"q": {"designId": 1}, "limit": 0}]}, TARGETED),
    ],
)
def test_commands_go_where_their_filter_says(command: dict[str, Any], way: str) -> None:
    routed = route(command)

    assert routed is not None
    assert routed.way == way
