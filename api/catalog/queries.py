"""Root fields of the catalog."""

from __future__ import annotations

import strawberry

from api.catalog.inputs import CatalogItemFilter, CatalogItemOrder
from api.catalog.types import CatalogItem, CatalogItemConnection
from api.fields.declared import connection, lookup


@strawberry.type
class CatalogQueries:
    catalog_item: CatalogItem | None = lookup("catalog_item", description="One catalog item.")
    catalog_items: CatalogItemConnection | None = connection(
        "catalog_items",
        filter=CatalogItemFilter,
        order=CatalogItemOrder,
        description="The active items of the catalog; for brands their own inactive ones, too, for admins all.",
    )
