"""Filters and orders of designs."""

from __future__ import annotations

from enum import Enum

import strawberry

from api.lists.filters import DateTimeRange, TagsFilter, TextFilter, where
from api.lists.pagination import OrderDirection


@strawberry.enum(description="How far a design has come.")
class DesignStatus(Enum):
    DRAFT = strawberry.enum_value("draft", description="Being worked on; for its owner only.")
    PUBLISHED = strawberry.enum_value("published", description="For everyone to see.")
    ARCHIVED = strawberry.enum_value("archived", description="Put away; for its owner only.")


@strawberry.input(description="Which designs. Conditions given together must all hold; a list takes one value as well.")
class DesignFilter:
    and_: list[DesignFilter] | None = where("All of these filters.", name="and")
    or_: list[DesignFilter] | None = where("At least one of these filters.", name="or")
    not_: DesignFilter | None = where("Not this filter.", name="not")
    id: list[strawberry.ID] | None = where("One of these designs.", node="Design")
    owner: list[strawberry.ID] | None = where("Of one of these users.", on="user_id", node="User", as_text=True)
    avatar: list[strawberry.ID] | None = where(
        "Worn on one of these avatars.", on="avatar_id", node="Avatar", as_text=True
    )
    catalog_item: list[strawberry.ID] | None = where(
        "With a layer that shows one of these items.", on="layers.item_id", node="CatalogItem", as_text=True
    )
    name: TextFilter | None = where("Conditions on the name.")
    status: list[DesignStatus] | None = where("One of these statuses.")
    tags: TagsFilter | None = where("Conditions on the tags.", on="metadata.tags")
    created_at: DateTimeRange | None = where("When it was created.")
    deleted: bool | None = where("True: the deleted designs instead of the live ones; for their owner and admins.")
    updated_at: DateTimeRange | None = where("When it last changed.")


@strawberry.enum(description="By what designs are ordered.")
class DesignOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When the design was created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When the design last changed.")
    PUBLISHED_AT = strawberry.enum_value(
        "published_at",
        description="When the design was last published; those without such a time come first ascending.",
    )
    NAME = strawberry.enum_value("name", description="Name, capital letters before small ones.")


@strawberry.input(description="How designs are ordered.")
class DesignOrder:
    field: DesignOrderField = strawberry.field(description="What they are ordered by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description="In which direction.")
