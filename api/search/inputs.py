"""What a search is narrowed by: types, and filters of each."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import strawberry

from api.catalog.inputs import CatalogItemFilter
from api.designs.inputs import DesignStatus
from api.errors import BadUserInput
from api.lists.conditions import Condition
from api.lists.filters import DateTimeRange, TagsFilter, TextFilter, condition_of, where


@strawberry.enum(description="What may be searched.")
class SearchType(Enum):
    CATALOG_ITEM = strawberry.enum_value("CatalogItem", description="Items of the catalog.")
    DESIGN = strawberry.enum_value("Design", description="Published designs, and one's own.")


@strawberry.input(
    description="Which of the designs that a search finds, by what search knows of them. It reads like `DesignFilter`: "
    "conditions given together must all hold; a list takes one value as well."
)
class SearchedDesignFilter:
    and_: list[SearchedDesignFilter] | None = where("All of these filters.", name="and")
    or_: list[SearchedDesignFilter] | None = where("At least one of these filters.", name="or")
    not_: SearchedDesignFilter | None = where("Not this filter.", name="not")
    id: list[strawberry.ID] | None = where("One of these designs.", node="Design", as_text=True)
    owner: list[strawberry.ID] | None = where("Of one of these users.", on="user_id", node="User", as_text=True)
    name: TextFilter | None = where("Conditions on the name.")
    status: list[DesignStatus] | None = where("One of these statuses.")
    tags: TagsFilter | None = where("Conditions on the tags.", on="metadata.tags")
    updated_at: DateTimeRange | None = where("When it last changed.")


@strawberry.input(
    description="Which objects of each type are found. A type without a filter is found as if there were none: `types` "
    "leaves one out."
)
class SearchFilter:
    catalog_items: CatalogItemFilter | None = strawberry.field(
        default=None, description="Which catalog items; deleted ones are found by no search."
    )
    designs: SearchedDesignFilter | None = strawberry.field(
        default=None, description="Which published designs, and which of the viewer's own."
    )


def conditions_of(filter: SearchFilter | None, types: Sequence[SearchType]) -> tuple[tuple[SearchType, Condition], ...]:
    """What the filter asks of each of these types. Raises BadUserInput as filters of lists do."""
    items, designs = (None, None) if filter is None else (filter.catalog_items, filter.designs)
    if items is not None and items.deleted:
        raise BadUserInput("A search finds no deleted items.")
    asked = {SearchType.CATALOG_ITEM: condition_of(items), SearchType.DESIGN: condition_of(designs)}
    return tuple((each, asked[each]) for each in types)
