"""Loaders of catalog items."""

from collections.abc import Mapping
from typing import Final

from api.catalog import sizes, store
from api.fields.sources import Source, counts, objects, pages

_SIZE_TABLE: Final = 400
"""About the bytes of a size table."""

sources: Final[Mapping[str, Source]] = {
    "catalog_item": objects(store.catalog_items.by_id),
    "size_tables": Source(
        sizes.newest, lambda _: _SIZE_TABLE, question=lambda scope: scope, rows=lambda _: sizes.MOST_TABLES
    ),
    "catalog_items": pages(store.catalog_items.pages),
    "catalog_items_count": counts(store.catalog_items.counts),
}
