"""Filters and orders of avatars, and what their mutations take."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import strawberry

from api.lists.filters import DateTimeRange, TextFilter, where
from api.lists.pagination import OrderDirection


@strawberry.enum(description="For whom an avatar stands.")
class Gender(Enum):
    MALE = strawberry.enum_value("male", description="For a man.")
    FEMALE = strawberry.enum_value("female", description="For a woman.")
    UNISEX = strawberry.enum_value("unisex", description="For anyone at all.")


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
    NAME = strawberry.enum_value("name", description="By the name.")


@strawberry.input(description="How avatars are ordered.")
class AvatarOrder:
    field: AvatarOrderField = strawberry.field(description="What they are ordered by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description="In which direction.")


_URL = "an http or https address of at most 2048 characters"
_EXPECTED = "`updatedAt` as the client knows it: where it is another by now, nothing changes, and the error is STALE."


@strawberry.input(
    description="The measures of a body, each greater than 0. In a change of an avatar, what is left out stays, and "
    "null removes a measure; of a new one, neither is known."
)
class MeasurementsInput:
    height: float | None = strawberry.field(default=strawberry.UNSET, description="Height in cm, at most 300.")
    weight: float | None = strawberry.field(default=strawberry.UNSET, description="Weight in kg, at most 1000.")
    chest: float | None = strawberry.field(
        default=strawberry.UNSET, description="Girth of the chest in cm, at most 500."
    )
    waist: float | None = strawberry.field(
        default=strawberry.UNSET, description="Girth of the waist in cm, at most 500."
    )
    hips: float | None = strawberry.field(default=strawberry.UNSET, description="Girth of the hips in cm, at most 500.")
    shoulder_width: float | None = strawberry.field(
        default=strawberry.UNSET, description="Width of the shoulders in cm, at most 200."
    )


@strawberry.input(description="A new avatar.")
class CreateAvatarInput:
    name: str = strawberry.field(description="Its name: 1 to 255 characters.")
    gender: Gender = strawberry.field(default=Gender.UNISEX, description="For whom it stands.")
    measurements: MeasurementsInput | None = strawberry.field(default=None, description="Its measures, in cm and kg.")
    model_url: str | None = strawberry.field(default=None, description=f"3D model: {_URL}.")
    thumbnail_url: str | None = strawberry.field(default=None, description=f"Small picture: {_URL}.")
    is_default: bool | None = strawberry.field(
        default=None,
        description="True: it becomes the default in place of the present one. False: it does not become the default. "
        "Where it is left out or null, it becomes the default if its owner has none.",
    )
    user_id: strawberry.ID | None = strawberry.field(
        default=None, description="Whose avatar it is; only admins may name somebody else. The viewer where left out."
    )


@strawberry.input(description="What changes about an avatar. What is left out stays; null removes, where it says so.")
class UpdateAvatarInput:
    id: strawberry.ID = strawberry.field(description="Global id of the avatar.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="Its name: 1 to 255 characters.")
    gender: strawberry.Maybe[Gender | None] = strawberry.field(description="For whom it stands.")
    measurements: strawberry.Maybe[MeasurementsInput | None] = strawberry.field(
        description="Its measures: those that are left out stay, null removes one. Null in place of all removes all."
    )
    model_url: strawberry.Maybe[str | None] = strawberry.field(description=f"3D model: {_URL}. Null removes it.")
    thumbnail_url: strawberry.Maybe[str | None] = strawberry.field(
        description=f"Small picture: {_URL}. Null removes it."
    )
    expected_updated_at: datetime | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="Which avatar becomes its owner's default.")
class SetDefaultAvatarInput:
    id: strawberry.ID = strawberry.field(description="Global id of the avatar.")


@strawberry.input(description="Which avatar is deleted.")
class DeleteAvatarInput:
    id: strawberry.ID = strawberry.field(description="Global id of the avatar.")
    expected_updated_at: datetime | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="Which deleted avatar comes back.")
class RestoreAvatarInput:
    id: strawberry.ID = strawberry.field(description="Global id of the avatar.")
