"""Designs as search knows them: rows of PostgreSQL that are made of documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from bson import ObjectId
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.stores.mongodb.client import MongoDatabase
from documents.schemas import DESIGNS

FIELDS: Final = {
    **{"name": 1, "userId": 1, "status": 1, "version": 1, "updatedAt": 1, "deletedAt": 1},
    **{"metadata.description": 1, "metadata.tags": 1},
}
_LONGEST: Final = 50_000
"""Characters of a text that are kept."""

_UPSERT: Final = text("""
    INSERT INTO design.design_search
        (id, user_id, status, name, description, tags, updated_at, version, words)
    SELECT id, user_id, status, name, description, tags, updated_at, version,
        shared.search_words(name, NULL, shared.search_tags(tags), description)
    FROM jsonb_to_recordset(CAST(:designs AS jsonb)) AS designs
        (id text, user_id text, status text, name text, description text, tags jsonb, updated_at timestamptz,
         version int)
    ON CONFLICT (id) DO UPDATE SET
        (user_id, status, name, description, tags, updated_at, version, words) =
        (excluded.user_id, excluded.status, excluded.name, excluded.description, excluded.tags, excluded.updated_at,
         excluded.version, excluded.words)
""")
_LEARN: Final = text("""
    SELECT shared.learn_search_words(ARRAY(SELECT shared.search_text(each) FROM unnest(CAST(:texts AS text[])) each))
""")
_REMOVE: Final = text("DELETE FROM design.design_search WHERE id = ANY(CAST(:ids AS text[]))")
_REMOVE_BETWEEN: Final = text("""
    DELETE FROM design.design_search WHERE id <> ALL(CAST(:ids AS text[]))
        AND id > :after AND (CAST(:upto AS text) IS NULL OR id <= :upto)
""")


async def read(database: MongoDatabase, keys: Sequence[ObjectId]) -> list[dict[str, Any]]:
    """These designs, as they are now, with what search needs of them."""
    found: list[dict[str, Any]] = await database[DESIGNS.name].find({"_id": {"$in": list(keys)}}, FIELDS).to_list()
    return found


async def read_after(database: MongoDatabase, last: ObjectId | None, limit: int) -> list[dict[str, Any]]:
    """The next designs in the order of their ids."""
    where = {} if last is None else {"_id": {"$gt": last}}
    cursor = database[DESIGNS.name].find(where, FIELDS).sort("_id", 1).limit(limit)
    found: list[dict[str, Any]] = await cursor.to_list()
    return found


async def write(connection: AsyncConnection, designs: Iterable[dict[str, Any]], gone: Iterable[ObjectId] = ()) -> None:
    """Take over these designs, and forget those that are gone or deleted."""
    rows = [_row(design) for design in designs if design.get("deletedAt") is None]
    live = {row["id"] for row in rows}
    removed = {str(key) for key in gone} | {str(design["_id"]) for design in designs}
    if rows:
        await connection.execute(_UPSERT, {"designs": orjson.dumps(rows).decode()})
        texts = [" ".join([row["name"], *row["tags"], row["description"] or ""])[:_LONGEST] for row in rows]
        await connection.execute(_LEARN, {"texts": texts})
    if removed - live:
        await connection.execute(_REMOVE, {"ids": sorted(removed - live)})


async def remove_others(
    connection: AsyncConnection, designs: Sequence[dict[str, Any]], after: ObjectId | None, upto: ObjectId | None
) -> None:
    """Forget what lies between two ids and isn't among these designs. `upto` None stands for the end."""
    await connection.execute(
        _REMOVE_BETWEEN,
        {
            "ids": [str(design["_id"]) for design in designs],
            "after": "" if after is None else str(after),
            "upto": None if upto is None else str(upto),
        },
    )


def _row(design: dict[str, Any]) -> dict[str, Any]:
    """Its row. What another program has stored in another type isn't searched."""
    metadata = design.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    tags = metadata.get("tags")
    at, version = design.get("updatedAt"), design.get("version")
    return {
        "id": str(design["_id"]),
        "user_id": _text(design.get("userId")),
        "status": _text(design.get("status")) or "draft",
        "name": _text(design.get("name")) or "",
        "description": _text(metadata.get("description")),
        "tags": [_text(tag) for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        "updated_at": at if isinstance(at, datetime) else datetime.fromtimestamp(0, UTC),
        "version": version if isinstance(version, int) and 0 < version < 2**31 else 1,
    }


def _text(value: Any) -> str | None:
    return value[:_LONGEST].replace("\0", "") if isinstance(value, str) else None
