"""Collection `designs` as the server keeps it: its validator and its indexes, made and described.

Existing collections are adopted. What the original service indexed under its own names counts as present and
is never dropped; the validator is replaced. Level `moderate` leaves documents alone that were invalid before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pymongo
from pymongo import ASCENDING, DESCENDING, TEXT, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from documents.design import LAYER_TYPES, STATUSES, UUID_PATTERN

COLLECTION: Final = "designs"


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or null: the original service wrote nulls where this one leaves the field out."""
    return {**schema, "bsonType": [schema["bsonType"], "null"]}


def _object(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"bsonType": "object", **({"required": required} if required else {}), "properties": properties}


_UUID: Final = {"bsonType": "string", "minLength": 36, "maxLength": 36, "pattern": UUID_PATTERN}
_TEXT: Final = {"bsonType": "string"}
_NUMBER: Final = {"bsonType": "number"}
_INTEGER: Final = {"bsonType": "number", "multipleOf": 1, "minimum": 1}
_DATE: Final = {"bsonType": "date"}

_REQUIRED: Final = [
    *("userId", "name", "status", "layers", "metadata"),
    *("catalogItemIds", "version", "createdAt", "updatedAt"),
]

VALIDATOR: Final[dict[str, Any]] = {
    "$jsonSchema": _object(
        _REQUIRED,
        userId=_UUID,
        name={"bsonType": "string", "minLength": 1, "maxLength": 255},
        status={"enum": list(STATUSES)},
        layers={
            "bsonType": "array",
            "items": _object(
                ["id", "type", "position", "visible"],
                id=_TEXT,
                type={"enum": list(LAYER_TYPES)},
                itemId=_nullable(_UUID),
                position=_object(["x", "y", "z"], x=_NUMBER, y=_NUMBER, z=_NUMBER),
                rotation=_nullable(_NUMBER),
                scale=_nullable(_object(["x", "y"], x=_NUMBER, y=_NUMBER)),
                color=_nullable(_TEXT),
                visible={"bsonType": "bool"},
            ),
        },
        metadata=_object(
            [],
            tags={"bsonType": "array", "items": _TEXT},
            description=_nullable(_TEXT),
            thumbnailUrl=_nullable(_TEXT),
            canvasSize=_nullable(_object(["width", "height"], width=_INTEGER, height=_INTEGER)),
        ),
        avatarId=_nullable(_UUID),
        catalogItemIds={"bsonType": "array", "items": _UUID},
        version=_INTEGER,
        createdAt=_DATE,
        updatedAt=_DATE,
        deletedAt=_nullable(_DATE),
    )
}

_LIST: Final = [("status", ASCENDING), ("createdAt", DESCENDING), ("_id", DESCENDING)]

TEXT_INDEX: Final = IndexModel(
    [("name", TEXT), ("metadata.description", TEXT)],
    weights={"name": 10, "metadata.description": 5},
    name="idx_designs_text",
)

INDEXES: Final[tuple[IndexModel, ...]] = (
    IndexModel([("userId", ASCENDING), *_LIST], name="idx_designs_userId_status_createdAt"),
    IndexModel(_LIST, name="idx_designs_status_createdAt"),
    IndexModel([("catalogItemIds", ASCENDING), *_LIST], name="idx_designs_catalogItemIds_status_createdAt"),
    IndexModel([("avatarId", ASCENDING), *_LIST], name="idx_designs_avatarId_status_createdAt"),
    IndexModel([("metadata.tags", ASCENDING)], name="idx_designs_tags"),
    IndexModel([("deletedAt", ASCENDING)], sparse=True, name="idx_designs_deletedAt"),
    TEXT_INDEX,
)

NAMESPACE_EXISTS: Final = 48
INDEX_NOT_FOUND: Final = 27
INDEX_OPTIONS_CONFLICT: Final = 85
NO_TEXT_INDEX: Final = frozenset({67, 115, 238})
"""CannotCreateIndex, CommandNotSupported, NotImplemented: how servers refuse to make a text index."""
NO_TEXT_SEARCH: Final = frozenset({2, 9, 115, 238})
"""BadValue, FailedToParse and the last two above: how servers answer `$text` when they don't know it."""

IndexStatus = Literal["present", "missing", "unsupported", "blocked"]


@dataclass(frozen=True, slots=True)
class IndexState:
    """One declared index. `found` names the index of the server that serves as it (present) or is in its way
    (blocked: same name or same keys with other options; a second text index)."""

    name: str
    status: IndexStatus
    found: str | None = None


@dataclass(frozen=True, slots=True)
class CollectionState:
    """What the server has of what this module declares."""

    exists: bool
    validator_current: bool
    indexes: tuple[IndexState, ...]

    @property
    def is_current(self) -> bool:
        """Whether `ensure` would change nothing."""
        made = all(index.status != "missing" for index in self.indexes)
        return self.exists and self.validator_current and made


async def ensure(database: AsyncDatabase[dict[str, Any]]) -> list[str]:
    """Create the collection, its validator and its indexes, as far as they are missing.

    Returns one line for each thing done, skipped or kept; nothing for what was already right. Safe to repeat,
    and to run from several processes. Takes as long as the server needs to build the indexes: the client's
    `timeoutMS` does not apply. Raises OperationFailure for what the server refuses, text indexes aside.
    """
    with pymongo.timeout(0):  # 0 is no limit; None would leave the client's own
        lines = await _ensure_collection(database)
        existing = await _indexes(database)
        for index in INDEXES:
            lines += await _ensure_index(database, index, existing)
        return lines


async def describe(database: AsyncDatabase[dict[str, Any]]) -> CollectionState:
    """What is there and what is missing. Changes nothing."""
    options = await _options(database)
    existing = await _indexes(database) if options is not None else []
    return CollectionState(
        exists=options is not None,
        validator_current=options is not None and _validator_is_current(options),
        indexes=tuple([await _state(database, index, existing) for index in INDEXES]),
    )


async def _ensure_collection(database: AsyncDatabase[dict[str, Any]]) -> list[str]:
    options = await _options(database)
    if options is None:
        try:
            await database.create_collection(
                COLLECTION, check_exists=False, validator=VALIDATOR, validationLevel="moderate"
            )
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise
            options = await _options(database)  # another process was faster
        else:
            return [f"collection {COLLECTION}: created with its validator"]
    if options is not None and _validator_is_current(options):
        return []
    await database.command(
        "collMod", COLLECTION, validator=VALIDATOR, validationLevel="moderate", validationAction="error"
    )
    return [f"collection {COLLECTION}: validator updated"]


async def _ensure_index(
    database: AsyncDatabase[dict[str, Any]], index: IndexModel, existing: list[Mapping[str, Any]]
) -> list[str]:
    name = index.document["name"]
    equivalent = _equivalent(index, existing)
    if equivalent is not None:
        return [] if equivalent == name else [f"index {name}: {equivalent} serves as it"]
    try:
        await database[COLLECTION].create_indexes([index])
    except OperationFailure as error:
        if index is TEXT_INDEX and error.code in NO_TEXT_INDEX:
            return [f"index {name}: skipped, this server makes no text indexes"]
        if error.code == INDEX_OPTIONS_CONFLICT:
            return [f"index {name}: skipped, {_obstacle(index, existing) or 'another index'} is in its way"]
        raise
    return [f"index {name}: created"]


async def _state(
    database: AsyncDatabase[dict[str, Any]], index: IndexModel, existing: list[Mapping[str, Any]]
) -> IndexState:
    name = index.document["name"]
    if (found := _equivalent(index, existing)) is not None:
        return IndexState(name, "present", found)
    if (found := _obstacle(index, existing)) is not None:
        return IndexState(name, "blocked", found)
    if index is TEXT_INDEX and not await _has_text_search(database):
        return IndexState(name, "unsupported")
    return IndexState(name, "missing")


async def _has_text_search(database: AsyncDatabase[dict[str, Any]]) -> bool:
    """Whether the server knows `$text`. One that does answers that it misses the index, or finds nothing."""
    try:
        await database[COLLECTION].find_one({"$text": {"$search": "design"}}, {"_id": True})
    except OperationFailure as error:
        if error.code in NO_TEXT_SEARCH:
            return False
        if error.code != INDEX_NOT_FOUND:
            raise
    return True


async def _options(database: AsyncDatabase[dict[str, Any]]) -> Mapping[str, Any] | None:
    """The collection's options, None where there is no such collection."""
    async for info in await database.list_collections(filter={"name": COLLECTION}):
        options: Mapping[str, Any] = info.get("options", {})
        return options
    return None


async def _indexes(database: AsyncDatabase[dict[str, Any]]) -> list[Mapping[str, Any]]:
    return [dict(index) async for index in await database[COLLECTION].list_indexes()]


def _validator_is_current(options: Mapping[str, Any]) -> bool:
    return bool(
        options.get("validator") == VALIDATOR
        and options.get("validationLevel") == "moderate"
        and options.get("validationAction", "error") == "error"
    )


def _definition(index: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two indexes the same, whatever they are called. Text indexes are what they weigh."""
    weights = tuple(sorted((field, int(weight)) for field, weight in index.get("weights", {}).items()))
    keys = tuple((field, _direction(direction)) for field, direction in index["key"].items())
    return (
        weights or keys,
        bool(index.get("sparse")),
        bool(index.get("unique")),
        index.get("partialFilterExpression"),
        index.get("collation"),
        index.get("expireAfterSeconds"),
        bool(index.get("hidden")),
    )


def _direction(direction: Any) -> Any:
    """Shells and old drivers wrote directions as floating point numbers."""
    return int(direction) if isinstance(direction, (int, float)) else direction


def _equivalent(index: IndexModel, existing: list[Mapping[str, Any]]) -> str | None:
    """The name of an existing index with the same definition; its own name before others."""
    wanted = _definition(index.document)
    names = [str(other["name"]) for other in existing if _definition(other) == wanted]
    return index.document["name"] if index.document["name"] in names else next(iter(names), None)


def _obstacle(index: IndexModel, existing: list[Mapping[str, Any]]) -> str | None:
    """The name of an existing index that keeps this one from being made, as far as can be told beforehand."""
    for other in existing:
        if other["name"] == index.document["name"] or (index is TEXT_INDEX and other.get("weights")):
            return str(other["name"])
    return None
