"""Loaders of catalog items."""

from api.catalog import store

by_key = {"catalog_item": store.catalog_items.by_id}
lists = {"catalog_items": store.catalog_items.pages, "catalog_items_count": store.catalog_items.counts}
