"""The validators and the indexes of the collections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from bson import ObjectId
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, MongoClient, monitoring
from pymongo import TEXT as TEXT_KEY
from pymongo.errors import DuplicateKeyError, OperationFailure, WriteError
from secantus import SecantusDBServer  # type: ignore[import-untyped]

from api.stores.mongodb.client import MongoDatabase
from api.stores.stores import Stores
from documents import Design, collection, utc_now

pytestmark = pytest.mark.anyio

NAMES = [
    "idx_designs_userId_status_createdAt",
    "idx_designs_userId_createdAt",
    "idx_designs_createdAt",
    "idx_designs_name",
    "idx_designs_status_createdAt",
    "idx_designs_catalogItemIds_status_createdAt",
    "idx_designs_layers_itemId_status_createdAt",
    "idx_designs_avatarId_status_createdAt",
    "idx_designs_tags",
    "idx_designs_tags_status_createdAt",
    "idx_designs_deletedAt",
    "idx_designs_updatedAt",
    "idx_designs_change_at",
    "idx_designs_publishedAt",
]
REVISIONS = [
    "uidx_design_revisions_designId_version_number",
    "idx_design_revisions_at",
    "idx_design_revisions_actorId_at",
]
REVISIONS_MADE = [
    "collection design_revisions: created with its validator",
    *(f"index {name}: created" for name in REVISIONS),
]
TEXT = "idx_designs_text"
SKIPPED = f"index {TEXT}: skipped, this server makes no text indexes"
OWNER = "019abcde-0000-7000-8000-000000000001"
BY_OWNER = [("userId", ASCENDING), ("status", ASCENDING), ("createdAt", DESCENDING), ("_id", DESCENDING)]


@pytest.fixture
async def database(stores: Stores) -> AsyncIterator[MongoDatabase]:
    """A database with nothing in it."""
    name = "collection_test"
    await stores.mongo.drop_database(name)
    yield stores.mongo[name]
    await stores.mongo.drop_database(name)


@pytest.fixture(scope="module")
def makes_text_indexes(mongodb_url: str) -> bool:
    """Whether the server makes text indexes, as MongoDB and DocumentDB do; SecantusDB doesn't."""
    with MongoClient[dict[str, Any]](mongodb_url) as client:
        try:
            client["text_index_test"]["texts"].create_index([("text", TEXT_KEY)])
        except OperationFailure:
            return False
        finally:
            client.drop_database("text_index_test")
    return True


@pytest.fixture
def text_made(makes_text_indexes: bool) -> str:
    """What `ensure` says of the text index at first."""
    return f"index {TEXT}: created" if makes_text_indexes else SKIPPED


@pytest.fixture
def text_again(makes_text_indexes: bool) -> list[str]:
    """What it says of it whenever it is called again."""
    return [] if makes_text_indexes else [SKIPPED]


@pytest.fixture
def text_index(makes_text_indexes: bool) -> dict[str, tuple[dict[str, Any], bool]]:
    """The text index as one of `keys`, where there is one."""
    return {TEXT: ({"_fts": "text", "_ftsx": 1}, False)} if makes_text_indexes else {}


@pytest.fixture(scope="module")
def faulty() -> Iterator[str]:
    """URI of a server that can be told to answer with errors, as MongoDB would where SecantusDB doesn't."""
    with SecantusDBServer(storage_path=":memory:", enable_test_commands=True) as server:
        yield server.uri


@contextlib.asynccontextmanager
async def answering(uri: str, command: str, code: int) -> AsyncIterator[MongoDatabase]:
    """An empty database of a server that refuses one command, with that code."""
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        await client.drop_database("faulty")
        data = {"failCommands": [command], "errorCode": code}
        await client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
        yield client["faulty"]
        await client.admin.command("configureFailPoint", "failCommand", mode="off")


async def test_a_missing_text_index_is_told_from_an_unsupported_one(faulty: str) -> None:
    async with answering(faulty, "find", code=27) as database:
        state = await collection.describe(database)

    assert [(index.name, index.status) for index in state.indexes if index.status != "missing"] == []
    assert len(state.indexes) == 18


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (85, "another index is in its way"),
        (86, "another index is in its way"),
        (67, "the server says: Failing command via 'failCommand' failpoint"),
    ],
)
async def test_an_index_that_the_server_refuses_is_skipped_and_said(faulty: str, code: int, reason: str) -> None:
    async with answering(faulty, "createIndexes", code=code) as database:
        lines = await collection.ensure(database)

    of_text = "this server makes no text indexes" if code == 67 else reason
    assert lines == [
        "collection designs: created with its validator",
        *(f"index {name}: skipped, {reason}" for name in NAMES),
        f"index idx_designs_text: skipped, {of_text}",
        "collection design_revisions: created with its validator",
        *(f"index {name}: skipped, {reason}" for name in REVISIONS),
    ]


@pytest.mark.parametrize("command", ["create", "createIndexes", "collMod"])
async def test_what_the_server_refuses_is_an_error(faulty: str, command: str) -> None:
    async with answering(faulty, command, code=13) as database:
        if command == "collMod":
            await database.create_collection("designs")

        with pytest.raises(OperationFailure) as refused:
            await collection.ensure(database)

    assert refused.value.code == 13


class Faster(monitoring.CommandListener):
    """Another process, which creates the collection just before this one does."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == "create":
            with MongoClient[dict[str, Any]](self.uri) as client:
                client[event.database_name].create_collection("designs")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


async def test_a_collection_made_meanwhile_is_adopted(database: MongoDatabase, mongodb_url: str) -> None:
    async with AsyncMongoClient[dict[str, Any]](mongodb_url, event_listeners=[Faster(mongodb_url)]) as client:
        lines = await collection.ensure(client[database.name])

    assert lines[0] == "collection designs: validator updated"
    assert (await collection.describe(database)).is_current


def stored(**values: Any) -> dict[str, Any]:
    """A document as it is stored, with these fields set or, where None, left out."""
    document = Design.model_validate({"userId": OWNER, "name": "Dress"}).to_mongo() | values
    return {name: value for name, value in document.items() if value is not None}


async def keys(database: MongoDatabase) -> dict[str, tuple[dict[str, Any], bool]]:
    """Keys and sparseness of the indexes, by name."""
    found = [index async for index in await database.designs.list_indexes()]
    return {index["name"]: (dict(index["key"]), index.get("sparse", False)) for index in found}


async def test_ensure_makes_everything_once(
    database: MongoDatabase, text_made: str, text_again: list[str], text_index: dict[str, Any]
) -> None:
    first = await collection.ensure(database)
    second = await collection.ensure(database)

    assert first == [
        "collection designs: created with its validator",
        *(f"index {name}: created" for name in NAMES),
        text_made,
        *REVISIONS_MADE,
    ]
    assert second == text_again
    newest = {"status": 1, "createdAt": -1, "_id": -1}
    assert await keys(database) == {
        "_id_": ({"_id": 1}, False),
        "idx_designs_userId_status_createdAt": ({"userId": 1, **newest}, False),
        "idx_designs_userId_createdAt": ({"userId": 1, "createdAt": -1, "_id": -1}, False),
        "idx_designs_createdAt": ({"createdAt": -1, "_id": -1}, False),
        "idx_designs_name": ({"name": 1, "_id": 1}, False),
        "idx_designs_status_createdAt": (newest, False),
        "idx_designs_catalogItemIds_status_createdAt": ({"catalogItemIds": 1, **newest}, False),
        "idx_designs_layers_itemId_status_createdAt": ({"layers.itemId": 1, **newest}, False),
        "idx_designs_avatarId_status_createdAt": ({"avatarId": 1, **newest}, False),
        "idx_designs_tags": ({"metadata.tags": 1}, False),
        "idx_designs_tags_status_createdAt": ({"metadata.tags": 1, **newest}, False),
        "idx_designs_deletedAt": ({"deletedAt": 1}, True),
        "idx_designs_updatedAt": ({"updatedAt": -1, "_id": -1}, False),
        "idx_designs_change_at": ({"change.at": -1, "_id": -1}, False),
        "idx_designs_publishedAt": ({"publishedAt": -1, "_id": -1}, False),
        **text_index,
    }
    revisions = {index["name"]: index async for index in await database.design_revisions.list_indexes()}
    assert {name: (dict(index["key"]), index.get("unique", False)) for name, index in revisions.items()} == {
        "_id_": ({"_id": 1}, False),
        "uidx_design_revisions_designId_version_number": ({"designId": 1, "version": -1, "number": -1}, True),
        "idx_design_revisions_at": ({"at": -1, "designId": -1, "version": -1}, False),
        "idx_design_revisions_actorId_at": ({"actorId": 1, "at": -1}, False),
    }


async def test_the_text_index_finds_names_and_descriptions(database: MongoDatabase, makes_text_indexes: bool) -> None:
    """Names weigh more than descriptions. A design's `language`, which the original may store, means nothing to it."""
    if not makes_text_indexes:
        pytest.skip("SecantusDB makes no text indexes: run this with --mongodb=documentdb")
    await collection.ensure(database)
    described = stored(name="Coat", metadata={"tags": [], "description": "Silk inside"}, language="ja")
    named, other = stored(name="Silk dress"), stored(name="Linen shirt")
    await database.designs.insert_many([described, named, other])

    [index] = [index async for index in await database.designs.list_indexes() if index["name"] == TEXT]
    score = {"$meta": "textScore"}
    found = database.designs.find({"$text": {"$search": "silk"}}, {"name": True, "score": score}).sort(
        [("score", score)]
    )

    assert (index["weights"], index["language_override"]) == (
        {"name": 10, "metadata.description": 5},
        "__language",
    )
    assert [design["name"] for design in await found.to_list()] == ["Silk dress", "Coat"]


async def test_describe_follows_ensure(database: MongoDatabase, makes_text_indexes: bool) -> None:
    before = await collection.describe(database)
    assert await database.list_collection_names() == []
    await collection.ensure(database)
    after = await collection.describe(database)

    assert (before.exists, before.validator_current, before.is_current) == (False, False, False)
    assert [(index.name, index.status) for index in before.indexes] == [
        *((name, "missing") for name in NAMES),
        (TEXT, "missing" if makes_text_indexes else "unsupported"),
        *((name, "missing") for name in REVISIONS),
    ]
    assert before.missing == ("designs", "design_revisions")
    assert (after.exists, after.validator_current, after.is_current) == (True, True, True)
    assert [(index.name, index.status, index.found) for index in after.indexes] == [
        *((name, "present", name) for name in NAMES),
        (TEXT, "present", TEXT) if makes_text_indexes else (TEXT, "unsupported", None),
        *((name, "present", name) for name in REVISIONS),
    ]


async def test_a_missing_index_is_seen_and_made(database: MongoDatabase, text_again: list[str]) -> None:
    await collection.ensure(database)
    await database.designs.drop_index("idx_designs_tags")

    state = await collection.describe(database)
    lines = await collection.ensure(database)

    assert not state.is_current
    assert [index.name for index in state.indexes if index.status == "missing"] == ["idx_designs_tags"]
    assert lines == ["index idx_designs_tags: created", *text_again]


async def test_a_collection_of_the_original_service_is_adopted(
    database: MongoDatabase, text_made: str, text_index: dict[str, Any]
) -> None:
    await database.designs.create_index(BY_OWNER)
    await database.designs.create_index("name")
    await database.designs.create_index("deletedAt")
    await database.designs.insert_one({"name": "", "__v": 0})

    lines = await collection.ensure(database)
    state = await collection.describe(database)

    served = "userId_1_status_1_createdAt_-1__id_-1"
    assert lines == [
        "collection designs: validator updated",
        f"index idx_designs_userId_status_createdAt: {served} serves as it",
        *(f"index {name}: created" for name in NAMES[1:]),
        text_made,
        *REVISIONS_MADE,
    ]
    assert set(await keys(database)) == {"_id_", served, "name_1", "deletedAt_1", *NAMES[1:], *text_index}
    assert state.is_current
    assert state.indexes[0].found == served
    # what was invalid before may stay so
    assert (await database.designs.update_one({}, {"$set": {"__v": 1}})).modified_count == 1


async def test_another_validator_is_replaced(database: MongoDatabase, text_again: list[str]) -> None:
    await collection.ensure(database)
    await database.command("collMod", "designs", validator={"name": "Dress"}, validationLevel="strict")

    state = await collection.describe(database)
    lines = await collection.ensure(database)

    assert (state.exists, state.validator_current, state.is_current) == (True, False, False)
    assert lines == ["collection designs: validator updated", *text_again]
    assert (await collection.describe(database)).is_current


async def test_an_index_of_that_name_with_other_keys_stays_and_is_said(
    database: MongoDatabase, text_again: list[str]
) -> None:
    """MongoDB answers 86 where SecantusDB does."""
    await database.designs.create_index("name", name="idx_designs_tags")

    lines = await collection.ensure(database)

    assert [line for line in lines if "skipped" in line] == [
        "index idx_designs_tags: skipped, idx_designs_tags is in its way",
        *text_again,
    ]
    assert lines[-len(REVISIONS) :] == REVISIONS_MADE[1:]  # it goes on
    [tags] = [index for index in (await collection.describe(database)).indexes if index.name == "idx_designs_tags"]
    assert (tags.status, tags.found) == ("blocked", "idx_designs_tags")
    assert (await keys(database))["idx_designs_tags"] == ({"name": 1}, False)


async def test_duplicates_keep_a_unique_index_away_and_nothing_else(database: MongoDatabase) -> None:
    revision = {"designId": ObjectId(), "version": 1, "at": utc_now()}
    await database.design_revisions.insert_many([dict(revision), dict(revision)])

    lines = await collection.ensure(database)

    [skipped] = [line for line in lines if "uidx_design_revisions" in line]
    assert skipped.startswith("index uidx_design_revisions_designId_version_number: skipped, the server says: ")
    assert "duplicate key" in skipped or "could not create exclusion constraint" in skipped  # DocumentDB's words
    assert lines[-3:] == [*REVISIONS_MADE[-2:], "collection design_revisions: 2 revisions have got their operation"]


async def test_what_an_older_version_recorded_is_adopted(database: MongoDatabase, text_again: list[str]) -> None:
    old = "uidx_design_revisions_designId_version"
    await database.design_revisions.create_index([("designId", 1), ("version", -1)], unique=True, name=old)
    id, at = ObjectId(), utc_now()
    await database.design_revisions.insert_many({"designId": id, "version": number, "at": at} for number in (1, 2))
    design = {"_id": id, "version": 3, "updatedAt": at, "updatedBy": OWNER, "requestId": "r"}
    theirs = {"_id": ObjectId(), "version": 2, "updatedAt": at, "name": "of the original"}
    odd = {"_id": ObjectId(), "version": 1.5, "updatedAt": at, "updatedBy": OWNER}
    await database.designs.insert_many([design, theirs, odd])

    before = await collection.describe(database)
    lines = await collection.ensure(database)

    assert [index.name for index in before.indexes if index.status == "outdated"] == [old]
    assert lines[-3:] == [
        f"index {old}: dropped, another is in its place",
        "collection design_revisions: 2 revisions have got their operation",
        "collection designs: 1 designs tell of their last change",
    ]
    kept = await database.design_revisions.find({}, {"_id": False}).sort("version").to_list()
    assert kept == [
        {"designId": id, "version": 1, "at": at, "operation": "INSERT", "number": 0},
        {"designId": id, "version": 2, "at": at, "operation": "UPDATE", "number": 0},
    ]
    change = {
        "version": 3, "number": 0, "operation": "UPDATE", "at": at, "since": at, "updatedAt": at,
        "actorId": OWNER, "requestId": "r",
    }  # fmt: skip
    assert await database.designs.find().sort("_id").to_list() == [design | {"change": change}, theirs, odd]
    assert await collection.ensure(database) == text_again
    assert (await collection.describe(database)).is_current


async def test_an_index_of_a_retired_name_that_says_something_else_stays(database: MongoDatabase) -> None:
    old = "uidx_design_revisions_designId_version"
    await database.design_revisions.create_index([("version", 1)], name=old)

    lines = await collection.ensure(database)

    assert not any(old + ":" in line for line in lines)
    assert old in await database.design_revisions.index_information()
    assert (await collection.describe(database)).is_current


async def test_several_processes_may_start_at_once(database: MongoDatabase, text_index: dict[str, Any]) -> None:
    await asyncio.gather(*(collection.ensure(database) for _ in range(4)))

    assert (await collection.describe(database)).is_current
    assert sorted(await keys(database)) == sorted(["_id_", *NAMES, *text_index])


@pytest.mark.parametrize(
    "values",
    [
        {"userId": None},
        {"userId": "019ABCDE-0000-7000-8000-000000000001"},
        {"userId": OWNER + "\n"},
        {"avatarId": "me"},
        {"catalogItemIds": ["me"]},
        {"name": ""},
        {"name": "x" * 256},
        {"status": "sold"},
        {"version": 0},
        {"version": 1.5},
        {"version": "1"},
        {"createdAt": "2025-11-17T10:30:00Z"},
        {"publishedAt": "2025-11-17T10:30:00Z"},
        {"layers": [{"id": "a", "type": "button", "position": {"x": 0, "y": 0, "z": 0}, "visible": True}]},
        {"layers": [{"id": "a", "type": "fabric", "position": {"x": 0, "y": 0}, "visible": True}]},
        {"metadata": {"tags": [1]}},
        {"metadata": {"tags": [], "canvasSize": {"width": 0, "height": 600}}},
    ],
)
async def test_the_validator_refuses(database: MongoDatabase, values: dict[str, Any]) -> None:
    await collection.ensure(database)

    with pytest.raises(WriteError) as refused:
        await database.designs.insert_one(stored(**values))

    assert refused.value.code == 121
    assert await database.designs.count_documents({}) == 0


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"metadata": None},  # Mongoose leaves empty objects out
        {"layers": [{"id": "a", "type": "fabric", "visible": True, "_id": ObjectId()}], "metadata": None},
        {"name": "x" * 255, "avatarId": OWNER, "catalogItemIds": [OWNER], "version": 2, "__v": 0},
        {
            "layers": [
                {
                    "id": "a",
                    "type": "fabric",
                    "position": {"x": 0, "y": 0.5, "z": -1},
                    "visible": True,
                    "itemId": OWNER,
                    "rotation": 90,
                    "scale": {"x": 1, "y": 1},
                    "color": "red",
                }
            ]
        },
        {"metadata": {"tags": ["a"], "description": "b", "canvasSize": {"width": 1, "height": 1.0}}},
    ],
)
async def test_the_validator_accepts(database: MongoDatabase, values: dict[str, Any]) -> None:
    await collection.ensure(database)

    await database.designs.insert_one(stored(**values) | {"deletedAt": None})

    assert await database.designs.count_documents({}) == 1


@pytest.mark.parametrize(
    "values", [{"version": 0}, {"version": None}, {"designId": "me"}, {"actorId": "me"}, {"at": 1}]
)
async def test_the_validator_of_revisions_refuses(database: MongoDatabase, values: dict[str, Any]) -> None:
    await collection.ensure(database)
    revision = {"designId": ObjectId(), "version": 1, "at": utc_now(), "actorId": OWNER, "requestId": "r"}

    with pytest.raises(WriteError) as refused:
        await database.design_revisions.insert_one(
            {name: value for name, value in (revision | values).items() if value is not None}
        )

    assert refused.value.code == 121
    assert await database.design_revisions.count_documents({}) == 0


async def test_a_version_of_a_design_is_kept_once(database: MongoDatabase) -> None:
    await collection.ensure(database)
    revision = {"designId": ObjectId(), "version": 1, "at": utc_now()}
    await database.design_revisions.insert_one(dict(revision))

    with pytest.raises(DuplicateKeyError):
        await database.design_revisions.insert_one(dict(revision))
