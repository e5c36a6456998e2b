"""Loaders of catalog items."""

from collections.abc import Mapping
from typing import Final

from api.catalog import store
from api.fields.sources import Source, counts, objects, pages

sources: Final[Mapping[str, Source]] = {
    "catalog_item": objects(store.catalog_items.by_id),
    "catalog_items": pages(store.catalog_items.pages),
    "catalog_items_count": counts(store.catalog_items.counts),
}
