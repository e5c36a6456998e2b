"""The declared validators and indexes of the collections, as data.

The level `moderate` lets documents be changed that were invalid before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, TEXT, IndexModel

from documents.design import LAYER_TYPES, STATUSES, UUID_PATTERN


@dataclass(frozen=True, slots=True)
class Schema:
    """A collection with its validator and indexes."""

    name: str
    validator: dict[str, Any]
    indexes: tuple[IndexModel, ...]
    retired: tuple[IndexModel, ...] = ()
    """Indexes of older versions of this program that are now in the way. They are dropped if they are exactly these."""
    pre_images: bool = False
    """Whether live updates ask for documents as they were before a write."""


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

# not what may be empty objects: Mongoose leaves those out, and they read as their defaults
_REQUIRED: Final = ["userId", "name", "status", "layers", "catalogItemIds", "version", "createdAt", "updatedAt"]

_DESIGN: Final[dict[str, Any]] = {
    "$jsonSchema": _object(
        _REQUIRED,
        userId=_UUID,
        name={"bsonType": "string", "minLength": 1, "maxLength": 255},
        status={"enum": list(STATUSES)},
        layers={
            "bsonType": "array",
            "items": _object(
                ["id", "type", "visible"],
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
        publishedAt=_nullable(_DATE),
    )
}

_NEWEST: Final = [("createdAt", DESCENDING), ("_id", DESCENDING)]
_LIST: Final = [("status", ASCENDING), *_NEWEST]

TEXT_INDEX: Final = IndexModel(
    [("name", TEXT), ("metadata.description", TEXT)],
    weights={"name": 10, "metadata.description": 5},
    # a field that designs don't have: the default is `language`, and what the original stores there ("ja") is an error
    language_override="__language",
    name="idx_designs_text",
)

_DESIGN_INDEXES: Final = (
    IndexModel([("userId", ASCENDING), *_LIST], name="idx_designs_userId_status_createdAt"),
    # for owners, who see their own designs, and for admins, who see all, whatever the status
    IndexModel([("userId", ASCENDING), *_NEWEST], name="idx_designs_userId_createdAt"),
    IndexModel(_NEWEST, name="idx_designs_createdAt"),
    IndexModel([("name", ASCENDING), ("_id", ASCENDING)], name="idx_designs_name"),
    IndexModel(_LIST, name="idx_designs_status_createdAt"),
    IndexModel([("catalogItemIds", ASCENDING), *_LIST], name="idx_designs_catalogItemIds_status_createdAt"),
    # an item's designs: other programs write layers without keeping catalogItemIds
    IndexModel([("layers.itemId", ASCENDING), *_LIST], name="idx_designs_layers_itemId_status_createdAt"),
    IndexModel([("avatarId", ASCENDING), *_LIST], name="idx_designs_avatarId_status_createdAt"),
    IndexModel([("metadata.tags", ASCENDING)], name="idx_designs_tags"),
    # the newest published designs with a tag
    IndexModel([("metadata.tags", ASCENDING), *_LIST], name="idx_designs_tags_status_createdAt"),
    IndexModel([("deletedAt", ASCENDING)], sparse=True, name="idx_designs_deletedAt"),
    IndexModel([("updatedAt", DESCENDING), ("_id", DESCENDING)], name="idx_designs_updatedAt"),
    # the audit log
    IndexModel([("change.at", DESCENDING), ("_id", DESCENDING)], name="idx_designs_change_at"),
    # for every viewer: nearly all designs with a `publishedAt` are still published
    IndexModel([("publishedAt", DESCENDING), ("_id", DESCENDING)], name="idx_designs_publishedAt"),
    TEXT_INDEX,
)

DESIGNS: Final = Schema("designs", _DESIGN, _DESIGN_INDEXES, pre_images=True)

REVISIONS: Final = Schema(
    "design_revisions",
    # only the fields by which revisions are found, since a revision may be of an invalid design
    {
        "$jsonSchema": _object(
            ["designId", "version", "at"],
            designId={"bsonType": "objectId"},
            version=_INTEGER,
            at=_DATE,
            actorId=_nullable(_UUID),
            requestId=_nullable(_TEXT),
        )
    },
    (
        IndexModel(
            [("designId", ASCENDING), ("version", DESCENDING), ("number", DESCENDING)],
            unique=True,
            name="uidx_design_revisions_designId_version_number",
        ),
        # the order of the audit log: a version keeps its place when it becomes a revision
        IndexModel(
            [("at", DESCENDING), ("designId", DESCENDING), ("version", DESCENDING)], name="idx_design_revisions_at"
        ),
        IndexModel([("actorId", ASCENDING), ("at", DESCENDING)], name="idx_design_revisions_actorId_at"),
    ),
    # made by an older version, in which every version had only one write
    (
        IndexModel(
            [("designId", ASCENDING), ("version", DESCENDING)],
            unique=True,
            name="uidx_design_revisions_designId_version",
        ),
    ),
)

SCHEMAS: Final = (DESIGNS, REVISIONS)
