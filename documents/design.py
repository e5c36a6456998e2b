"""Collection `designs`: layers of catalog items on an avatar.

References to PostgreSQL are plain 36-character UUID strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from documents.base import Moment, Part, Stored
from documents.last_change import CHANGE, first_change

STATUSES: Final = ("draft", "published", "archived")
LAYER_TYPES: Final = ("silhouette", "fabric", "pattern")

Status = Literal["draft", "published", "archived"]
LayerType = Literal["silhouette", "fabric", "pattern"]

UUID_PATTERN: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
UuidString = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


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
    """The description of a design: tags, text, thumbnail, canvas."""

    tags: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(default_factory=list)
    description: str | None = None
    thumbnail_url: str | None = None
    canvas_size: CanvasSize | None = None


class Design(Stored):
    """A design. `user_id`, `avatar_id`, `updated_by` and the layers' `item_id` refer to PostgreSQL.

    `updated_by` and `request_id` say who made this version, and in which request. `change` describes the last write
    (documents/last_change.py); only writers use it. `published_at` is when the design was last published by this
    program. It stays when the design is no longer published; the original service doesn't write it.
    """

    times = Stored.times | {"publishedAt"}
    open_parts = frozenset(("layers", "metadata", CHANGE))

    user_id: UuidString
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    status: Status = "draft"
    layers: list[Layer] = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=Metadata)
    avatar_id: UuidString | None = None
    catalog_item_ids: list[UuidString] = Field(default_factory=list)
    updated_by: UuidString | None = None
    request_id: str | None = None
    published_at: Moment | None = None

    class Settings:
        name = "designs"
        keep_nulls: ClassVar[bool] = False

    def to_mongo(self) -> dict[str, Any]:
        """The design as it is stored, with `catalogItemIds` taken from the layers."""
        return super().to_mongo() | {"catalogItemIds": item_ids(self.layers)}

    def as_new(self) -> dict[str, Any]:
        """A new design as it is stored, with the write that makes it."""
        return self.to_mongo() | {CHANGE: first_change(self.version, self.updated_at, self.updated_by, self.request_id)}

    @classmethod
    def changes(cls, values: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """As `Stored.changes`, but each layer is validated by itself, and new layers set `catalogItemIds`."""
        if "layers" not in values:
            return super().changes(values)
        own = {id(layer) for layer in layers_of(stored or {})}
        layers = [*values["layers"]]
        places = [place for place, layer in enumerate(layers) if id(layer) not in own]
        changed = super().changes({**values, "layers": [layers[place] for place in places]})
        for place, layer in zip(places, changed["layers"], strict=True):
            layers[place] = layer
        return changed | {"layers": layers, "catalogItemIds": item_ids_of(layers)}


def layers_of(design: Mapping[str, Any]) -> list[Any]:
    """The layers of a stored design, any of which may be odd."""
    layers = design.get("layers")
    return layers if isinstance(layers, list) else []


def item_ids_of(layers: Iterable[Any]) -> list[str]:
    """The distinct catalog items of stored layers (only valid keys), in the order of their first use."""
    named = [layer.get("itemId") for layer in layers if isinstance(layer, dict)]
    return _distinct(key for key in named if is_uuid(key))


def item_ids(layers: list[Layer]) -> list[str]:
    """The distinct catalog items of the layers, in the order of their first use."""
    return _distinct(layer.item_id for layer in layers)


def is_uuid(value: Any) -> bool:
    """Whether a stored value is a reference to PostgreSQL."""
    return isinstance(value, str) and re.fullmatch(UUID_PATTERN, value) is not None


def _distinct(ids: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(item_id for item_id in ids if item_id is not None))
