"""Collections of MongoDB as most tests need them: with validators, and only the indexes that an answer depends on.

SecantusDB keeps its indexes in Python: with all of them, a design takes it ten times as long to insert.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.stores.mongodb.client import MongoDatabase
from documents.schemas import SCHEMAS

JOINED: Final = "idx_designs_layers_itemId_status_createdAt"
"""Without it, SecantusDB's `$lookup` finds nothing by a field of an array's objects."""


async def make_collections(database: MongoDatabase) -> None:
    """Make those that aren't there."""
    existing = set(await database.list_collection_names())
    for schema in SCHEMAS:
        if schema.name not in existing:
            await database.create_collection(
                schema.name, check_exists=False, validator=schema.validator, validationLevel="moderate"
            )
            if needed := [index for index in schema.indexes if _is_needed(index.document)]:
                await database[schema.name].create_indexes(needed)


async def drop_indexes(database: MongoDatabase) -> None:
    """Drop those that only make reading quicker."""
    for schema in SCHEMAS:
        async for index in await database[schema.name].list_indexes():
            if index["name"] != "_id_" and not _is_needed(index):
                await database[schema.name].drop_index(index["name"])


def _is_needed(index: Mapping[str, Any]) -> bool:
    return index["name"] == JOINED or bool(index.get("unique"))
