"""Statements on `catalog.catalog_items`."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

import models
from api.rows import RowReader
from api.stores import Stores
from models import PostgresRepository, new_id

catalog_items = RowReader(models.CatalogItem, special={"tags": models.CatalogItem.properties["tags"]})


def repository(stores: Stores) -> PostgresRepository[models.CatalogItem]:
    """The catalog."""
    return PostgresRepository(models.CatalogItem, stores.reads, stores.sessions)


async def add(transaction: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> list[models.CatalogItem]:
    """New items of these values by column, which must be the same ones in all, in their order: one statement."""
    if not rows:
        return []
    new = [{"id": new_id(), **row} for row in rows]
    found = await transaction.scalars(insert(models.CatalogItem).returning(models.CatalogItem), new)
    items = {item.id: item for item in found}
    return [items[row["id"]] for row in new]
