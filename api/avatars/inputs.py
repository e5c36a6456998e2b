"""Filters and orders of avatars."""

from __future__ import annotations

from enum import Enum

import strawberry

from api.filtering import DateTimeRange, TextFilter, where
from api.pagination import OrderDirection


@strawberry.enum(description="For whom an avatar stands.")
class Gender(Enum):
    MALE = strawberry.enum_value("male", description="A man.")
    FEMALE = strawberry.enum_value("female", description="A woman.")
    UNISEX = strawberry.enum_value("unisex", description="Anyone.")


@strawberry.input(description="Which avatars. Conditions given together must all hold; a list takes one value as well.")
class AvatarFilter:
    and_: list[AvatarFilter] | None = where("All of these filters.", name="and")
    or_: list[AvatarFilter] | None = where("At least one of these filters.", name="or")
    not_: AvatarFilter | None = where("Not this filter.", name="not")
    id: list[strawberry.ID] | None = where("One of these avatars.", node="Avatar")
    owner: list[strawberry.ID] | None = where("Of one of these users.", on="user_id", node="User")
    name: TextFilter | None = where("Conditions on the name.")
    gender: list[Gender] | None = where("One of these genders.")
    is_default: bool | None = where("Whether it is its owner's default.")
    created_at: DateTimeRange | None = where("When it was created.")
    deleted: bool | None = where("True: the deleted avatars instead of the live ones; for their owner and admins.")
    updated_at: DateTimeRange | None = where("When it last changed.")


@strawberry.enum(description="By what avatars are ordered.")
class AvatarOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When the avatar was created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When the avatar last changed.")
    NAME = strawberry.enum_value("name", description="Name.")


@strawberry.input(description="How avatars are ordered.")
class AvatarOrder:
    field: AvatarOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description="In which direction.")
