"""Validation of the inputs of avatars."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from api.writing.validation import UNGIVEN, AvatarKey, Embedded, Name, Url, UserKey

Gender = Literal["male", "female", "unisex"]
Height = Annotated[float, Field(gt=0, le=300)]
Weight = Annotated[float, Field(gt=0, le=1000)]
Girth = Annotated[float, Field(gt=0, le=500)]
Width = Annotated[float, Field(gt=0, le=200)]


class Measurements(Embedded):
    """Lengths in cm, weight in kg, within human limits. Stored values may be beyond these."""

    height: Height | None = None
    weight: Weight | None = None
    chest: Girth | None = None
    waist: Girth | None = None
    hips: Girth | None = None
    shoulder_width: Width | None = None


Measured = Annotated[Measurements, BeforeValidator(lambda value: {} if value is None else value)]
"""Measurements; null counts as empty."""


class NewAvatar(BaseModel):
    """A new avatar. `is_default` is None where that depends on the owner's other avatars."""

    user_id: UserKey | None = None
    name: Name
    gender: Gender = "unisex"
    measurements: Measured = Field(default_factory=Measurements)
    model_url: Url | None = None
    thumbnail_url: Url | None = None
    is_default: bool | None = None

    def values(self) -> dict[str, Any]:
        """The values by column, without those that depend on other rows."""
        return self.model_dump(exclude={"user_id", "is_default"})


class AvatarChoice(BaseModel):
    """The id of an avatar."""

    id: AvatarKey


class AvatarDeletion(AvatarChoice):
    """The id of an avatar, with the `updatedAt` that the client knows."""

    expected_updated_at: datetime | None = None


class AvatarChanges(AvatarDeletion):
    """Changes of an avatar; only fields that are set change."""

    name: Name = UNGIVEN
    gender: Gender = UNGIVEN
    measurements: Measurements | None = None
    model_url: Url | None = None
    thumbnail_url: Url | None = None

    def values(self) -> dict[str, Any]:
        """The changes by column."""
        return self.model_dump(exclude={"id", "expected_updated_at"}, exclude_unset=True)
