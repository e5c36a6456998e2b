"""Takes MongoDB's collections to the shards of a cluster, by the keys of `documents/sharding.py`, and back.

What is to be done follows from what mongos says is there, and is sent one command after the other: a run that was
killed goes on where it ended. The commands are those of MongoDB's manual, on its pages createIndexes, shardCollection
and unshardCollection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pymongo
from pymongo import ReadPreference
from pymongo.asynchronous.database import AsyncDatabase

from documents.sharding import SHARD_KEYS
from migrations.errors import MigrationError

NO_MONGOS: Final = (
    "this server is no mongos, so there are no shards to spread its collections over: "
    "MONGODB_URI would have to name the mongos of a sharded cluster"
)
MONGOS: Final = "isdbgrid"
"""What only mongos says in its greeting, by the manual's page "Routing with mongos"."""
UNSHARDS: Final = 25
"""The wire version of MongoDB 8.0, the first that knows `unshardCollection`."""
_PARTIAL: Final = ("sparse", "hidden", "partialFilterExpression")

Index = Mapping[str, Any]
"""An index, as `listIndexes` tells of it."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What the server has of a declared collection. `key` is what it is sharded by, None where it isn't sharded."""

    name: str
    exists: bool
    key: Mapping[str, Any] | None
    indexes: Sequence[Index]


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says. Where it isn't mongos, it wasn't asked for collections."""

    database: str
    is_mongos: bool
    wire_version: int
    collections: Sequence[Collection]


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and the database that it is sent to. As text it is what mongosh takes."""

    name: str
    database: str
    command: Mapping[str, Any]

    def __str__(self) -> str:
        return f"db.getSiblingDB({json.dumps(self.database)}).runCommand({json.dumps(self.command)})"


async def look(database: AsyncDatabase[dict[str, Any]]) -> Server:
    """Ask the server what it is, and what there is of the declared collections."""
    hello: Mapping[str, Any] = await database.client.admin.command("hello")
    is_mongos = hello.get("msg") == MONGOS
    collections = [await collection(database, name) for name in SHARD_KEYS] if is_mongos else []
    return Server(database.name, is_mongos, int(hello["maxWireVersion"]), collections)


async def collection(database: AsyncDatabase[dict[str, Any]], name: str) -> Collection:
    """What there is of one collection. What it is sharded by stands in the cluster's database `config`."""
    primary = database.with_options(read_preference=ReadPreference.PRIMARY)
    if not [info async for info in await primary.list_collections(filter={"name": name})]:
        return Collection(name, False, None, ())
    config = database.client.get_database("config", read_preference=ReadPreference.PRIMARY)
    # since 8.0 there are unsharded ones as well, which have a key, too
    sharded = await config["collections"].find_one(
        {"_id": f"{database.name}.{name}", "unsplittable": {"$ne": True}}, {"key": True}
    )
    indexes = [dict(index) async for index in await primary[name].list_indexes()]
    return Collection(name, True, None if sharded is None else sharded["key"], indexes)


async def do(database: AsyncDatabase[dict[str, Any]], step: Step) -> None:
    """Send the command of a step, and wait until it is done, however long that takes."""
    with pymongo.timeout(0):
        await database.client.get_database(step.database).command(dict(step.command))


def pending(server: Server) -> list[Step]:
    """What is to be done until each collection is sharded by its key: an index that begins with the key, then that.

    Raises MigrationError for what the server would refuse, before anything is done.
    """
    steps: list[Step] = []
    for found in server.collections:
        key = dict(SHARD_KEYS[found.name].fields)
        _require(found, key)
        if found.key is not None:
            continue
        if not any(_supports(index, key) for index in found.indexes):
            made = {"createIndexes": found.name, "indexes": [{"key": key, "name": _index(found.name)}]}
            steps.append(Step(f"{found.name} gets an index by its shard key", server.database, made))
        sharded = {"shardCollection": f"{server.database}.{found.name}", "key": key}
        steps.append(Step(f"{found.name} is sharded by {', '.join(key)}", "admin", sharded))
    return steps


def undoing(server: Server) -> list[Step]:
    """What brings every collection back to one shard, and drops the indexes that were made for it. The last one first.

    Raises MigrationError where a collection is sharded, and the server is too old to change that.
    """
    steps: list[Step] = []
    for found in reversed(server.collections):
        if found.key is not None:
            if server.wire_version < UNSHARDS:
                raise MigrationError(
                    "its collections stay sharded, since MongoDB can unshard them from version 8.0 on: upgrade it, or "
                    "take a backup and restore it into an unsharded database"
                )
            back = {"unshardCollection": f"{server.database}.{found.name}"}
            steps.append(Step(f"{found.name} is on one shard", "admin", back))
        if any(index["name"] == _index(found.name) for index in found.indexes):
            dropped = {"dropIndexes": found.name, "index": _index(found.name)}
            steps.append(Step(f"{found.name} loses the index by its shard key", server.database, dropped))
    return steps


def _index(collection: str) -> str:
    """The name of the index that is made for the shard key."""
    return f"idx_{collection}_shard_key"


def _require(found: Collection, key: Mapping[str, Any]) -> None:
    if not found.exists:
        raise MigrationError(f"MongoDB has no collection {found.name}: run `migrate run` first")
    if found.key is not None and list(found.key.items()) != list(key.items()):
        raise MigrationError(
            f"MongoDB's collection {found.name} is sharded by {json.dumps(found.key)} already, and not by "
            f"{json.dumps(key)}: unshard it, or change its key with reshardCollection"
        )
    for index in found.indexes:
        fields = list(index["key"])
        if index.get("unique") and fields[0] != "_id" and fields[: len(key)] != list(key):
            raise MigrationError(
                f"MongoDB's collection {found.name} has the unique index {index['name']}, which doesn't begin with the "
                f"shard key {json.dumps(key)}: drop it first"
            )


def _supports(index: Index, key: Mapping[str, Any]) -> bool:
    """Whether the index begins with the key and has all documents, as the manual's page "Shard Key Indexes" asks."""
    begins = list(index["key"].items())[: len(key)] == list(key.items())
    simple = index.get("collation", {}).get("locale", "simple") == "simple"
    return begins and simple and not any(index.get(option) for option in _PARTIAL)
