"""What inputs of avatars must be like."""

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
    """Lengths in cm, weight in kg, within what people have; what is stored already may lie beyond."""

    height: Height | None = None
    weight: Weight | None = None
    chest: Girth | None = None
    waist: Girth | None = None
    hips: Girth | None = None
    shoulder_width: Width | None = None


Measured = Annotated[Measurements, BeforeValidator(lambda value: {} if value is None else value)]
"""Measurements; none at all for null."""


class NewAvatar(BaseModel):
    """An avatar as it is created. `is_default`: None where that depends on the owner's other avatars."""

    user_id: UserKey | None = None
    name: Name
    gender: Gender = "unisex"
    measurements: Measured = Field(default_factory=Measurements)
    model_url: Url | None = None
    thumbnail_url: Url | None = None
    is_default: bool | None = None

    def values(self) -> dict[str, Any]:
        """By column; what needs a look at other rows is left out."""
        return self.model_dump(exclude={"user_id", "is_default"})


class AvatarChoice(BaseModel):
    """One avatar."""

    id: AvatarKey


class AvatarDeletion(AvatarChoice):
    """One avatar, as the client knows it."""

    expected_updated_at: datetime | None = None


class AvatarChanges(AvatarDeletion):
    """What changes about an avatar; only what is set."""

    name: Name = UNGIVEN
    gender: Gender = UNGIVEN
    measurements: Measurements | None = None
    model_url: Url | None = None
    thumbnail_url: Url | None = None

    def values(self) -> dict[str, Any]:
        """By column."""
        return self.model_dump(exclude={"id", "expected_updated_at"}, exclude_unset=True)
