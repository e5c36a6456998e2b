"""Catalog items for tests."""

from __future__ import annotations

from typing import Any

from api.stores.stores import Stores
from models import CatalogItem, PostgresRepository


def catalog_items(stores: Stores) -> PostgresRepository[CatalogItem]:
    return PostgresRepository(CatalogItem, stores.reads, stores.sessions)


async def create_catalog_item(stores: Stores, **values: Any) -> CatalogItem:
    return await catalog_items(stores).create({"name": "Silk", "type": "fabric"} | values)
