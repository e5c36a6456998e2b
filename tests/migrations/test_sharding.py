"""`migrate distribute` for MongoDB: what it decides to send for what the server says, and what servers make of that.

No mongos is at hand. What one would say is given to the functions that decide; servers that are none are asked and sent
what can be sent to them: indexes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.database import AsyncDatabase

from api.config.settings import Settings
from documents import collection as collections
from documents.schemas import SCHEMAS
from documents.sharding import SHARD_KEYS
from migrations import clusters, distributing, sharding
from migrations.connection import exclusive_connection
from migrations.errors import MigrationError
from migrations.sharding import UNSHARDS, Collection, Server
from tests.support.stores.databases import scalar
from tests.support.stores.engines import documentdb

Database = AsyncDatabase[dict[str, Any]]

OWNER = {"userId": "hashed", "_id": 1}
DESIGN = {"designId": "hashed"}
INDEX_OF_DESIGNS = {
    "createIndexes": "designs",
    "indexes": [{"key": OWNER, "name": "idx_designs_shard_key"}],
}
INDEX_OF_REVISIONS = {
    "createIndexes": "design_revisions",
    "indexes": [{"key": DESIGN, "name": "idx_design_revisions_shard_key"}],
}
SHARD_DESIGNS = {"shardCollection": "wallet.designs", "key": OWNER}
SHARD_REVISIONS = {"shardCollection": "wallet.design_revisions", "key": DESIGN}


def declared(name: str, *more: dict[str, Any]) -> list[dict[str, Any]]:
    """The indexes that a migrated server has of a collection, and some more."""
    schema = next(schema for schema in SCHEMAS if schema.name == name)
    indexes = [IndexModel("_id", name="_id_"), *schema.indexes]
    return [*(dict(index.document) for index in indexes), *more]


def index(key: dict[str, Any], name: str = "someones", **options: Any) -> dict[str, Any]:
    return {"key": key, "name": name, **options}


def server(version: int = UNSHARDS, **found: Collection) -> Server:
    """What mongos says of collections that `migrate run` has made, but for the given ones."""
    made = [found.get(name, Collection(name, True, None, declared(name))) for name in SHARD_KEYS]
    return Server("wallet", True, version, made)


def commands(steps: list[sharding.Step]) -> list[tuple[str, dict[str, Any]]]:
    return [(step.database, dict(step.command)) for step in steps]


def without_citus(settings: Settings) -> None:
    if scalar(settings, "SELECT count(*) FROM pg_extension WHERE extname = 'citus'"):
        pytest.skip("this PostgreSQL has Citus")


@contextlib.asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Database]:
    assert settings.mongodb_uri is not None
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(settings.mongodb_uri.get_secret_value())
    async with client:
        yield client[settings.mongodb_database or ""]


def test_each_collection_gets_an_index_and_then_its_shard_key() -> None:
    assert commands(sharding.pending(server())) == [
        ("wallet", INDEX_OF_DESIGNS),
        ("admin", SHARD_DESIGNS),
        ("wallet", INDEX_OF_REVISIONS),
        ("admin", SHARD_REVISIONS),
    ]


def test_what_is_done_is_not_done_again() -> None:
    # an index was made, and the run was killed
    indexed = Collection("designs", True, None, declared("designs", index(OWNER, "idx_designs_shard_key")))
    assert commands(sharding.pending(server(designs=indexed)))[0] == ("admin", SHARD_DESIGNS)
    # one collection was sharded
    sharded = dataclasses.replace(indexed, key=OWNER)
    assert commands(sharding.pending(server(designs=sharded))) == [
        ("wallet", INDEX_OF_REVISIONS),
        ("admin", SHARD_REVISIONS),
    ]
    # all are, which others may have done with an index of another name
    both = server(designs=sharded, design_revisions=Collection("design_revisions", True, DESIGN, [index(DESIGN)]))
    assert sharding.pending(both) == []


@pytest.mark.parametrize(
    ("found", "serves"),
    [
        (index(OWNER), True),
        (index({"userId": "hashed", "_id": 1.0}), True),
        (index(OWNER | {"version": 1}), True),
        (index(OWNER, collation={"locale": "simple"}), True),
        (index({"_id": 1, "userId": "hashed"}), False),
        (index({"userId": "hashed"}), False),
        (index({"userId": "hashed", "_id": -1}), False),
        (index({"userId": 1, "_id": 1}), False),
        (index(OWNER, sparse=True), False),
        (index(OWNER, hidden=True), False),
        (index(OWNER, partialFilterExpression={"deletedAt": None}), False),
        (index(OWNER, collation={"locale": "de"}), False),
    ],
)
def test_only_a_whole_index_that_begins_with_the_key_serves(found: dict[str, Any], serves: bool) -> None:
    steps = sharding.pending(server(designs=Collection("designs", True, None, declared("designs", found))))
    assert (INDEX_OF_DESIGNS not in [step.command for step in steps]) is serves


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Collection("designs", False, None, ()), "MongoDB has no collection designs: run `migrate run` first"),
        (
            Collection("designs", True, {"userId": "hashed"}, declared("designs")),
            'designs is sharded by {"userId": "hashed"} already, and not by {"userId": "hashed", "_id": 1}',
        ),
        (
            Collection("designs", True, {"_id": 1, "userId": "hashed"}, declared("designs")),
            'designs is sharded by {"_id": 1, "userId": "hashed"} already',
        ),
        (
            Collection("designs", True, None, [index({"name": 1}, "names", unique=True)]),
            "has the unique index names, which doesn't begin with the shard key",
        ),
        (
            Collection("designs", True, None, [index({"userId": 1, "name": 1}, "names", unique=True)]),
            "has the unique index names, which doesn't begin with the shard key",
        ),
    ],
)
def test_what_mongos_would_refuse_is_said_before_anything_is_done(found: Collection, reason: str) -> None:
    with pytest.raises(MigrationError) as refused:
        sharding.pending(server(designs=found))
    assert reason in str(refused.value)


@pytest.mark.parametrize("key", [{"_id": 1, "name": 1}, {"userId": 1, "_id": 1, "name": 1}, {"userId": -1, "_id": 1}])
def test_unique_indexes_that_begin_with_the_key_or_the_id_are_no_obstacle(key: dict[str, Any]) -> None:
    unique = Collection("designs", True, None, declared("designs", index(key, unique=True)))
    assert SHARD_DESIGNS in [step.command for step in sharding.pending(server(designs=unique))]


def test_undoing_takes_the_last_collection_first_and_drops_what_was_made() -> None:
    designs = Collection("designs", True, OWNER, declared("designs", index(OWNER, "idx_designs_shard_key")))
    revisions = Collection("design_revisions", True, DESIGN, [index(DESIGN, "idx_design_revisions_shard_key")])
    assert commands(sharding.undoing(server(designs=designs, design_revisions=revisions))) == [
        ("admin", {"unshardCollection": "wallet.design_revisions"}),
        ("wallet", {"dropIndexes": "design_revisions", "index": "idx_design_revisions_shard_key"}),
        ("admin", {"unshardCollection": "wallet.designs"}),
        ("wallet", {"dropIndexes": "designs", "index": "idx_designs_shard_key"}),
    ]
    # killed between the two: only the index is left
    killed = server(designs=dataclasses.replace(designs, key=None))
    assert commands(sharding.undoing(killed)) == [
        ("wallet", {"dropIndexes": "designs", "index": "idx_designs_shard_key"})
    ]
    # somebody else's index stays
    assert sharding.undoing(server(designs=Collection("designs", True, None, [index(OWNER)]))) == []


def test_before_mongodb_8_nothing_is_unsharded() -> None:
    sharded = Collection("designs", True, OWNER, declared("designs"))
    with pytest.raises(MigrationError, match=r"stay sharded, since MongoDB can unshard them from version 8\.0 on"):
        sharding.undoing(server(UNSHARDS - 1, designs=sharded))
    assert sharding.undoing(server(UNSHARDS - 1)) == []


def test_a_step_is_told_as_what_mongosh_takes() -> None:
    assert [str(step) for step in sharding.pending(server())][:2] == [
        'db.getSiblingDB("wallet").runCommand({"createIndexes": "designs", '
        '"indexes": [{"key": {"userId": "hashed", "_id": 1}, "name": "idx_designs_shard_key"}]})',
        'db.getSiblingDB("admin").runCommand({"shardCollection": "wallet.designs", '
        '"key": {"userId": "hashed", "_id": 1}})',
    ]


def test_a_server_that_is_no_mongos_is_not_asked_for_collections(settings: Settings) -> None:
    async def look() -> Server:
        async with connected(settings) as database:
            return await sharding.look(database)

    found = asyncio.run(look())
    assert (found.is_mongos, found.collections) == (False, [])
    assert found.wire_version >= 17


def test_what_there_is_of_a_collection_is_read_from_the_server(settings: Settings) -> None:
    name = f"{settings.mongodb_database}.designs"

    async def read() -> tuple[Collection, ...]:
        async with connected(settings) as database:
            missing = await sharding.collection(database, "designs")
            await collections.ensure(database)
            plain = await sharding.collection(database, "designs")
            # what mongos keeps of sharded collections, and since 8.0 of unsharded ones
            catalog = database.client["config"]["collections"]
            try:
                await catalog.insert_one({"_id": name, "key": {"_id": 1}, "unsplittable": True})
                unsharded = await sharding.collection(database, "designs")
                await catalog.replace_one({"_id": name}, {"key": OWNER, "unique": False})
                return missing, plain, unsharded, await sharding.collection(database, "designs")
            finally:
                await catalog.delete_one({"_id": name})

    missing, plain, unsharded, sharded = asyncio.run(read())
    assert missing == Collection("designs", False, None, ())
    assert plain.exists
    assert {"_id_", "idx_designs_userId_createdAt"} <= {each["name"] for each in plain.indexes}
    assert [plain.key, unsharded.key, sharded.key] == [None, None, OWNER]


@pytest.fixture
def hashing(migrated: Settings) -> Iterator[Settings]:
    """Settings of a fresh database whose MongoDB makes hashed indexes, which SecantusDB doesn't."""
    without_citus(migrated)
    with documentdb() as uri:
        yield migrated.model_copy(update={"mongodb_uri": SecretStr(uri)})


def test_a_run_that_breaks_off_goes_on_where_it_ended(hashing: Settings) -> None:
    """The server has the collections and makes the index; what only mongos knows, it refuses."""
    lines: list[str] = []

    async def run(say: Callable[[str], None], *, dry_run: bool = False, undo: bool = False) -> tuple[int, list[str]]:
        async with connected(hashing) as database, exclusive_connection(hashing) as connection:
            await collections.ensure(database)
            found = [await sharding.collection(database, name) for name in SHARD_KEYS]
            told = Server(database.name, True, UNSHARDS, found)
            steps = await clusters.distribute(connection, database, told, say, undo=undo, dry_run=dry_run)
            return steps, [each["name"] async for each in await database["designs"].list_indexes()]

    # when it is only asked
    planned: list[str] = []
    steps, indexes = asyncio.run(run(planned.append, dry_run=True))

    # then PostgreSQL, which is no cluster, is left out, and everything is as it was
    assert planned[0].startswith("-- PostgreSQL: left as it is, this database has no Citus")
    assert planned[1:4] == [
        "// designs gets an index by its shard key",
        f'db.getSiblingDB("{hashing.mongodb_database}").runCommand({json.dumps(INDEX_OF_DESIGNS)});',
        "// designs is sharded by userId, _id",
    ]
    assert (steps, len(planned)) == (4, 1 + 2 * steps)
    assert "idx_designs_shard_key" not in indexes

    # when it is done, then it ends at the first command that this server doesn't know
    with pytest.raises(Exception, match=r"(?i)shardCollection"):
        asyncio.run(run(lines.append))
    assert [line for line in lines if line.startswith("MongoDB")] == ["MongoDB: designs gets an index by its shard key"]

    # and the next one begins with that
    again: list[str] = []
    steps, indexes = asyncio.run(run(again.append, dry_run=True))
    assert (steps, again[1]) == (3, "// designs is sharded by userId, _id")
    assert "idx_designs_shard_key" in indexes

    # and undoing drops what was made, once
    undone: list[str] = []
    assert asyncio.run(run(undone.append, undo=True)) == (1, [name for name in indexes if "shard_key" not in name])
    assert undone == ["MongoDB: designs loses the index by its shard key"]
    assert asyncio.run(run(undone.append, undo=True))[0] == 0


@pytest.mark.parametrize("undo", [False, True])
def test_where_neither_store_is_a_cluster_it_is_refused(migrated: Settings, undo: bool) -> None:
    without_citus(migrated)
    with pytest.raises(MigrationError) as refused:
        distributing.distribute(migrated, pytest.fail, undo=undo)
    assert "this database has no Citus, so there is nothing to distribute" in str(refused.value)
    assert "MongoDB: this server is no mongos, so there are no shards" in str(refused.value)


def test_where_mongodb_can_not_be_undone_and_postgresql_has_nothing_to_undo_it_is_refused(migrated: Settings) -> None:
    without_citus(migrated)
    sharded = Server("wallet", True, UNSHARDS - 1, [Collection("designs", True, OWNER, ())])

    async def run() -> None:
        async with connected(migrated) as database, exclusive_connection(migrated) as connection:
            await clusters.distribute(connection, database, sharded, pytest.fail, undo=True, dry_run=False)

    with pytest.raises(MigrationError, match=r"MongoDB: its collections stay sharded"):
        asyncio.run(run())
