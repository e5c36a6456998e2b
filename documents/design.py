"""Collection `designs`: layers of catalog items on an avatar.

Field names in MongoDB are camelCase, as the original service wrote them; Python names are snake_case through
aliases. References to PostgreSQL are plain 36-character UUID strings. This module validates what is written;
reads go through projections (`documents.repository`) and are not validated again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal
from uuid import UUID

from beanie import Document
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

STATUSES: Final = ("draft", "published", "archived")
LAYER_TYPES: Final = ("silhouette", "fabric", "pattern")

Status = Literal["draft", "published", "archived"]
LayerType = Literal["silhouette", "fabric", "pattern"]

UUID_PATTERN: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
UuidString = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def utc_now() -> datetime:
    """Now, cut to the milliseconds that BSON keeps, so that what was written compares equal when read."""
    return truncate(datetime.now(UTC))


def truncate(moment: datetime) -> datetime:
    """The moment without the microseconds that BSON drops."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Part(BaseModel):
    """An embedded part: camelCase in MongoDB, unknown keys refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Position(Part):
    """Where a layer lies on the canvas; `z` orders layers from back to front."""

    x: Finite = 0
    y: Finite = 0
    z: Finite = 0


class Scale(Part):
    """Factors by which a layer is stretched."""

    x: Finite = 1
    y: Finite = 1


class CanvasSize(Part):
    """Size of the canvas in pixels."""

    width: int = Field(gt=0, le=100_000)
    height: int = Field(gt=0, le=100_000)


class Layer(Part):
    """One catalog item on the canvas. `rotation` is in degrees."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    type: LayerType
    item_id: UuidString | None = None
    position: Position = Field(default_factory=Position)
    rotation: Finite | None = None
    scale: Scale | None = None
    color: Annotated[str, StringConstraints(max_length=64)] | None = None
    visible: bool = True


class Metadata(Part):
    """What describes a design beside its layers."""

    tags: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(default_factory=list)
    description: str | None = None
    thumbnail_url: str | None = None
    canvas_size: CanvasSize | None = None


class Design(Document):
    """A design. `user_id`, `avatar_id` and the layers' `item_id` refer to PostgreSQL."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    user_id: UuidString
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    status: Status = "draft"
    layers: list[Layer] = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=Metadata)
    avatar_id: UuidString | None = None
    catalog_item_ids: list[UuidString] = Field(default_factory=list)
    version: int = Field(default=1, ge=1)
    created_at: datetime = Field(default_factory=utc_now)
    updated_at: datetime = Field(default_factory=utc_now)
    deleted_at: datetime | None = None

    class Settings:
        name = "designs"
        keep_nulls: ClassVar[bool] = False

    def to_mongo(self) -> dict[str, Any]:
        """As it is stored: camelCase names, absent where null, `catalogItemIds` taken from the layers."""
        stored = self.model_dump(by_alias=True, exclude_none=True, exclude={"id", "revision_id"})
        stored["catalogItemIds"] = item_ids(self.layers)
        if self.id is not None:
            stored["_id"] = self.id
        return stored


def item_ids(layers: list[Layer]) -> list[str]:
    """The distinct catalog items of the layers, in the order of their first use."""
    return list(dict.fromkeys(layer.item_id for layer in layers if layer.item_id is not None))


def uuid_string(value: UUID) -> str:
    """How a UUID of PostgreSQL is written in MongoDB."""
    return str(value)
