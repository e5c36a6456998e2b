"""Designs for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bson import ObjectId

from api.stores.stores import Stores
from documents import Design, MongoRepository
from models import new_id


def designs(stores: Stores) -> MongoRepository[Design]:
    return MongoRepository(Design, stores.database)


def layer_of(item_id: UUID | str | None, **values: Any) -> dict[str, Any]:
    """A layer that shows this catalog item."""
    layer = {"id": "layer-1", "type": "fabric"} | values
    return layer if item_id is None else layer | {"itemId": str(item_id)}


async def create_design(stores: Stores, **values: Any) -> Design:
    """A design; `user_id` is nobody's where it isn't given. UUIDs are written as text."""
    values = {"user_id": new_id(), "name": "Evening"} | values
    as_text = {name: str(value) if isinstance(value, UUID) else value for name, value in values.items()}
    return await designs(stores).create(as_text)


def object_id(design: Design) -> ObjectId:
    """The id of a stored design."""
    assert design.id is not None
    return design.id


async def insert_design(stores: Stores, **document: Any) -> ObjectId:
    """A document as an older service may have left it: stored names, no validation, nothing but these fields
    (and `userId`, `name`, `status` and times where they aren't given)."""
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    defaults = {
        "userId": str(new_id()),
        "name": "Old",
        "status": "draft",
        "createdAt": moment,
        "updatedAt": moment,
    }
    result = await designs(stores).collection.insert_one(defaults | document, bypass_document_validation=True)
    inserted: ObjectId = result.inserted_id
    return inserted
