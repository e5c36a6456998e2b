"""Statements on `catalog.catalog_items`."""

import models
from api.rows import RowReader

catalog_items = RowReader(models.CatalogItem, special={"tags": models.CatalogItem.properties["tags"]})
