"""The domain of the catalog."""

from __future__ import annotations

from typing import Final

from api.catalog import loaders, policy
from api.catalog.importing import MAX_ITEMS
from api.catalog.mutations import CatalogMutations
from api.catalog.queries import CatalogQueries
from api.catalog.sizes import MAX_SIZES
from api.catalog.subscriptions import CatalogSubscriptions
from api.fields.costs import LARGE_TEXT, Cost
from api.fields.domain import Domain, ObjectType
from api.ids import uuid_key
from api.lists.costs import COUNT
from api.lists.histogram import MAX_BUCKETS
from api.similarity.types import MOST_REASONS

domain: Final = Domain(
    queries=(CatalogQueries,),
    mutations=(CatalogMutations,),
    subscriptions=(CatalogSubscriptions,),
    objects={"CatalogItem": ObjectType(uuid_key, "catalog_item", policy.catalog_items)},
    loaders=loaders.sources,
    costs={
        "CatalogItem.description": LARGE_TEXT,
        "CatalogItemChange.item": Cost(1),
        "CatalogItemChange.actor": Cost(1),
        "CatalogItem.similar": Cost(80),
        "CatalogItem.usage": Cost(COUNT),
        "SimilarCatalogItem.reasons": Cost(size=MOST_REASONS),
        "CatalogItemProperties.sizes": Cost(size=MAX_SIZES),
        "ImportCatalogItemsPayload.results": Cost(size=MAX_ITEMS),
        "ImportResult.item": Cost(1),
        "Mutation.importCatalogItems": Cost(100),
        "NumberFacet.histogram": Cost(size=MAX_BUCKETS),
    },
)
