"""What inputs of avatars must be like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from api.validation import UNGIVEN, AvatarKey, Embedded, Name, Url, UserKey

Gender = Literal["male", "female", "unisex"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Measurements(Embedded):
    """Lengths in cm, weight in kg."""

    height: Positive | None = None
    weight: Positive | None = None
    chest: Positive | None = None
    waist: Positive | None = None
    hips: Positive | None = None
    shoulder_width: Positive | None = None


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
    measurements: Measured = UNGIVEN
    model_url: Url | None = None
    thumbnail_url: Url | None = None

    def values(self) -> dict[str, Any]:
        """By column."""
        return self.model_dump(exclude={"id", "expected_updated_at"}, exclude_unset=True)
