"""The domain of search."""

from __future__ import annotations

from typing import Final

from api.fields import sources
from api.fields.costs import Cost
from api.fields.domain import Domain
from api.search import facets
from api.search.highlights import MOST_HIGHLIGHTS, MOST_RANGES
from api.search.queries import SearchQueries
from api.search.suggestion_queries import SuggestionQueries

SEARCH: Final = 50
"""What a search costs, without its objects: it ranks thousands of them, and may be asked again with other words.
Measured (docs/using/cost.md), as is what suggestions cost."""

SUGGEST: Final = 50
"""What suggestions cost: the texts of thousands of objects are counted, and none is ranked."""

domain: Final = Domain(
    queries=(SearchQueries, SuggestionQueries),
    loaders={
        facets.LOADERS["CatalogItem"]: sources.facets(facets.items),
        facets.LOADERS["Design"]: sources.facets(facets.designs),
    },
    costs={
        "Query.search": Cost(SEARCH),
        "SearchEdge.highlights": Cost(size=MOST_HIGHLIGHTS),
        "SearchHighlight.ranges": Cost(size=MOST_RANGES),
        "Query.suggest": Cost(SUGGEST),
    },
)
