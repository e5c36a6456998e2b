"""Designs for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bson import ObjectId

from api.stores.stores import Stores
from documents import Design, MongoRepository
from models import new_id
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.users import create_user


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


async def create_worn_design(stores: Stores, name: str = "Secret gown") -> Design:
    """A published design of one layer on an avatar of its owner, who is called Secretia: one read of each kind."""
    user = await create_user(stores, first_name="Secretia")
    avatar = await create_avatar(stores, user_id=user.id)
    layers = [layer_of((await create_catalog_item(stores)).id, id="1")]
    return await create_design(
        stores, user_id=user.id, avatar_id=avatar.id, layers=layers, status="published", name=name
    )


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
