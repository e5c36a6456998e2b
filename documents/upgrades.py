"""Upgrades of stored data: copies what older versions of this program recorded to the fields that are used now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from documents.design import is_uuid
from documents.last_change import CHANGE, INSERT, UPDATE, first_change, key_of
from documents.revision import REVISIONS
from documents.schemas import DESIGNS

BATCH: Final = 1000
_NOTHING: Final = {"$exists": False}
_WRITTEN_HERE: Final = {"$or": [{"updatedBy": {"$type": "string"}}, {"requestId": {"$type": "string"}}]}
"""Designs that this program wrote: only it records who did."""


async def ensure(database: AsyncDatabase[dict[str, Any]]) -> list[str]:
    """Give old revisions their operation, and designs that were last written by an old version their `change`.

    Returns a line for each collection where there was something to do. Safe to repeat, and to interrupt.
    """
    revisions, designs = await _name_operations(database), await _tell_changes(database)
    return [
        *([f"collection {REVISIONS}: {revisions} revisions have got their operation"] if revisions else []),
        *([f"collection {DESIGNS.name}: {designs} designs tell of their last change"] if designs else []),
    ]


async def _name_operations(database: AsyncDatabase[dict[str, Any]]) -> int:
    old, first = {"operation": _NOTHING}, {"version": {"$lte": 1}}
    kept = database[REVISIONS]
    created = await kept.update_many(old | first, {"$set": {"operation": INSERT, "number": 0}})
    changed = await kept.update_many(old, {"$set": {"operation": UPDATE, "number": 0}})
    return created.modified_count + changed.modified_count


async def _tell_changes(database: AsyncDatabase[dict[str, Any]]) -> int:
    designs, told = database[DESIGNS.name], 0
    where: dict[str, Any] = {CHANGE: _NOTHING, **_WRITTEN_HERE}
    fields = ["userId", "version", "updatedAt", "updatedBy", "requestId"]
    while found := await designs.find(where, fields, sort=[("_id", 1)], limit=BATCH).to_list():
        updates = [
            UpdateOne(
                {**key_of(design), "version": {"$eq": design.get("version")}, CHANGE: _NOTHING},
                {"$set": {CHANGE: change}},
            )
            for design in found
            if (change := _change(design)) is not None
        ]
        if updates:
            told += (await designs.bulk_write(updates, ordered=False)).modified_count
        where["_id"] = {"$gt": found[-1]["_id"]}
    return told


def _change(design: Mapping[str, Any]) -> dict[str, Any] | None:
    version, at = design.get("version"), design.get("updatedAt")
    if not isinstance(version, (int, float)) or not float(version).is_integer() or not isinstance(at, datetime):
        return None
    actor, request = design.get("updatedBy"), design.get("requestId")
    return first_change(
        int(version), at, actor if is_uuid(actor) else None, request if isinstance(request, str) else None
    )
