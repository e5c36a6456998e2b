"""Creating and describing the collections on the server, with their validators and indexes.

Existing collections are adopted. Indexes that the original service made under other names count as present and are
never dropped; the validator is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pymongo
from pymongo import IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from documents import upgrades
from documents.schemas import DESIGNS, SCHEMAS, TEXT_INDEX, Schema

COLLECTION: Final = DESIGNS.name

NAMESPACE_EXISTS: Final = 48
INDEX_NOT_FOUND: Final = 27
CONFLICTS: Final = frozenset({85, 86})
"""IndexOptionsConflict, IndexKeySpecsConflict: another index has the same keys, or the same name."""
PASSING: Final = frozenset({8, 13, 18, 43, 50, 91, 112, 189, 262, 8000, 11600, 11602})
"""Missing rights, timeouts, a server that goes down: errors that aren't about an index, so other indexes fail, too."""
NO_TEXT_INDEX: Final = frozenset({67, 115, 238})
"""CannotCreateIndex, CommandNotSupported, NotImplemented: how servers refuse to make a text index."""
NO_TEXT_SEARCH: Final = frozenset({2, 9, 115, 238})
"""BadValue, FailedToParse and the last two above: how servers answer `$text` when they don't know it."""

PRE_IMAGES: Final = "changeStreamPreAndPostImages"
DEFAULT_OVERRIDE: Final = "language"
"""The field that tells a text index a document's language, unless the index names another one."""
LONGEST_REASON: Final = 200

IndexStatus = Literal["present", "missing", "outdated", "unsupported", "blocked"]


@dataclass(frozen=True, slots=True)
class IndexState:
    """One declared index. `found` names the index on the server that does its work (present) or is in its way
    (blocked: same name with other keys or options; a second text index). An outdated one was made by an older version.
    """

    name: str
    status: IndexStatus
    found: str | None = None


@dataclass(frozen=True, slots=True)
class CollectionState:
    """What the server has of all declared collections and indexes."""

    missing: tuple[str, ...]
    """Collections that don't exist."""
    outdated: tuple[str, ...]
    """Collections whose validator isn't the declared one."""
    indexes: tuple[IndexState, ...]

    @property
    def exists(self) -> bool:
        return not self.missing

    @property
    def validator_current(self) -> bool:
        return not self.missing and not self.outdated

    @property
    def is_current(self) -> bool:
        """Whether `ensure` would change nothing, but for pre-images, which not every server keeps."""
        return self.validator_current and all(index.status not in ("missing", "outdated") for index in self.indexes)


async def ensure(database: AsyncDatabase[dict[str, Any]]) -> list[str]:
    """Create the collections, their validators and their indexes, as far as they are missing.

    Returns one line for each thing done, skipped or kept, and none for what was right already. It is safe to repeat it,
    and to run it from several processes. It takes as long as the server needs to build the indexes: the client's
    `timeoutMS` doesn't apply. An index that can't be made is skipped and reported. Raises OperationFailure where the
    server refuses a collection or its validator, or would refuse any index.
    """
    lines: list[str] = []
    with pymongo.timeout(0):  # 0 is no limit; None would leave the client's own
        for schema in SCHEMAS:
            made = await _ensure_collection(database, schema)
            kept = await _ensure_pre_images(database, schema.name) if schema.pre_images else []
            lines += made or kept
            existing = await _indexes(database, schema.name)
            for index in schema.indexes:
                lines += await _ensure_index(database, schema.name, index, existing)
            for name in _retired(schema, existing):
                await database[schema.name].drop_index(name)
                lines.append(f"index {name}: dropped, another is in its place")
        lines += await upgrades.ensure(database)
    return lines


def _retired(schema: Schema, existing: list[Mapping[str, Any]]) -> list[str]:
    """The names of indexes that an older version of this program made and this one doesn't need."""
    old = {index.document["name"]: _definition(index.document) for index in schema.retired}
    return [other["name"] for other in existing if old.get(other["name"]) == _definition(other)]


async def describe(database: AsyncDatabase[dict[str, Any]]) -> CollectionState:
    """Describe what exists and what is missing, without changing anything."""
    missing, outdated, indexes = [], [], []
    for schema in SCHEMAS:
        options = await _options(database, schema.name)
        existing = await _indexes(database, schema.name) if options is not None else []
        if options is None:
            missing.append(schema.name)
        elif not _validator_is_current(options, schema):
            outdated.append(schema.name)
        indexes += [await _state(database, index, existing) for index in schema.indexes]
        indexes += [IndexState(name, "outdated", name) for name in _retired(schema, existing)]
    return CollectionState(tuple(missing), tuple(outdated), tuple(indexes))


async def _ensure_collection(database: AsyncDatabase[dict[str, Any]], schema: Schema) -> list[str]:
    name, validator = schema.name, schema.validator
    options = await _options(database, name)
    if options is None:
        try:
            await database.create_collection(name, check_exists=False, validator=validator, validationLevel="moderate")
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise
            options = await _options(database, name)  # another process was faster
        else:
            return [f"collection {name}: created with its validator"]
    if options is not None and _validator_is_current(options, schema):
        return []
    await database.command("collMod", name, validator=validator, validationLevel="moderate", validationAction="error")
    return [f"collection {name}: validator updated"]


async def _ensure_pre_images(database: AsyncDatabase[dict[str, Any]], name: str) -> list[str]:
    """Let the server keep documents as they were before each write, for those who follow its change stream."""
    wanted: dict[str, Any] = {PRE_IMAGES: {"enabled": True}}
    if wanted.items() <= ((await _options(database, name)) or {}).items():
        return []
    try:
        await database.command("collMod", name, **wanted)
    except OperationFailure as error:
        if error.code in PASSING:
            raise
        return []  # what follows designs does without
    return [f"collection {name}: keeps what documents were before each write"]


async def _ensure_index(
    database: AsyncDatabase[dict[str, Any]], collection: str, index: IndexModel, existing: list[Mapping[str, Any]]
) -> list[str]:
    name = index.document["name"]
    equivalent = _equivalent(index, existing)
    if outdated := _is_outdated(index, existing):
        await database[collection].drop_index(name)
    elif equivalent is not None:
        return [] if equivalent == name else [f"index {name}: {equivalent} serves as it"]
    try:
        await database[collection].create_indexes([index])
    except OperationFailure as error:
        if error.code in PASSING:
            raise
        return [f"index {name}: skipped, {_reason(error, index, existing)}"]
    return [f"index {name}: {'replaced' if outdated else 'created'}"]


def _reason(error: OperationFailure, index: IndexModel, existing: list[Mapping[str, Any]]) -> str:
    """Why the server refused the index."""
    if index is TEXT_INDEX and error.code in NO_TEXT_INDEX:
        return "this server makes no text indexes"
    if error.code in CONFLICTS:
        return f"{_obstacle(index, existing) or 'another index'} is in its way"
    said = str((error.details or {}).get("errmsg") or error).partition("\n")[0]
    return f"the server says: {said[:LONGEST_REASON]}"


async def _state(
    database: AsyncDatabase[dict[str, Any]], index: IndexModel, existing: list[Mapping[str, Any]]
) -> IndexState:
    name = index.document["name"]
    if _is_outdated(index, existing):
        return IndexState(name, "outdated", name)
    if (found := _equivalent(index, existing)) is not None:
        return IndexState(name, "present", found)
    if (found := _obstacle(index, existing)) is not None:
        return IndexState(name, "blocked", found)
    if index is TEXT_INDEX and not await _has_text_search(database):
        return IndexState(name, "unsupported")
    return IndexState(name, "missing")


async def _has_text_search(database: AsyncDatabase[dict[str, Any]]) -> bool:
    """Whether the server knows `$text`: then it reports the missing index, or finds nothing."""
    try:
        await database[COLLECTION].find_one({"$text": {"$search": "design"}}, {"_id": True})
    except OperationFailure as error:
        if error.code in NO_TEXT_SEARCH:
            return False
        if error.code != INDEX_NOT_FOUND:
            raise
    return True


async def _options(database: AsyncDatabase[dict[str, Any]], collection: str) -> Mapping[str, Any] | None:
    """The options of the collection; None where it doesn't exist."""
    async for info in await database.list_collections(filter={"name": collection}):
        options: Mapping[str, Any] = info.get("options", {})
        return options
    return None


async def _indexes(database: AsyncDatabase[dict[str, Any]], collection: str) -> list[Mapping[str, Any]]:
    return [dict(index) async for index in await database[collection].list_indexes()]


def _validator_is_current(options: Mapping[str, Any], schema: Schema) -> bool:
    return bool(
        options.get("validator") == schema.validator
        and options.get("validationLevel") == "moderate"
        and options.get("validationAction", "error") == "error"
    )


def _definition(index: Mapping[str, Any]) -> tuple[Any, ...]:
    """The definition of an index without its name. Two indexes with the same one are equal. Text indexes go by
    weights."""
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


def _is_outdated(index: IndexModel, existing: list[Mapping[str, Any]]) -> bool:
    """Whether the server has the text index of older versions of this program, which may be replaced."""
    return index is TEXT_INDEX and any(
        other["name"] == index.document["name"]
        and _definition(other) == _definition(index.document)
        and other.get("language_override", DEFAULT_OVERRIDE) == DEFAULT_OVERRIDE
        for other in existing
    )


def _obstacle(index: IndexModel, existing: list[Mapping[str, Any]]) -> str | None:
    """The name of an existing index that is in the way of this one, as far as that can be told in advance."""
    for other in existing:
        if other["name"] == index.document["name"] or (index is TEXT_INDEX and other.get("weights")):
            return str(other["name"])
    return None
