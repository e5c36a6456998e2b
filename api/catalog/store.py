"""Statements on `catalog.catalog_items`."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

import models
from api.lists.rows import RowReader
from api.stores.stores import Stores
from models import PostgresRepository, new_id
from models.catalog_item import TAGS, TEXTS

catalog_items = RowReader(models.CatalogItem, special={"tags": TAGS, **TEXTS})


def repository(stores: Stores) -> PostgresRepository[models.CatalogItem]:
    """The repository of catalog items."""
    return PostgresRepository(models.CatalogItem, stores.reads, stores.sessions)


async def add(transaction: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> list[models.CatalogItem]:
    """Insert items with one statement, and return them in their order. All rows must have the same columns."""
    if not rows:
        return []
    new = [{"id": new_id(), **row} for row in rows]
    found = await transaction.scalars(insert(models.CatalogItem).returning(models.CatalogItem), new)
    items = {item.id: item for item in found}
    return [items[row["id"]] for row in new]
