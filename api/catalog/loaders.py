"""Loaders of catalog items."""

from collections.abc import Mapping
from typing import Final

from api.catalog import finding_store, store
from api.fields.sources import Source, counts, facets, objects, pages, some_bytes

_SIZE_TABLE: Final = 400
"""About the bytes of a size table."""

sources: Final[Mapping[str, Source]] = {
    "catalog_item": objects(store.catalog_items.by_id),
    "similar_items": Source(
        finding_store.candidates,
        some_bytes,
        question=lambda key: key[2],
        rows=lambda _: finding_store.MOST_OF_VALUE,
    ),
    "size_tables": Source(
        finding_store.newest_size_tables,
        lambda _: _SIZE_TABLE,
        question=lambda scope: scope,
        rows=lambda _: finding_store.MOST_TABLES,
    ),
    "catalog_items": pages(store.catalog_items.pages),
    "catalog_items_count": counts(store.catalog_items.counts),
    "catalog_items_facets": facets(store.catalog_items.facets),
}
