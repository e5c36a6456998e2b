"""The GraphQL types of the differences between two versions of a design."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.scalars import JSON

from api.designs import diff
from api.designs.layers import DesignLayer
from api.ids import encode_id
from documents.cleaning import clean_layers
from documents.last_change import version_of

_IDS = {"itemId": "CatalogItem", "avatarId": "Avatar"}
_ENUMS = frozenset(("type", "status"))


@strawberry.type(description="One field that changed.")
class FieldChange:
    field: str = strawberry.field(description="Its name as inputs have it; dotted inside the metadata.")
    before: JSON | None = strawberry.field(description="Its old value; null where it was absent.")
    after: JSON | None = strawberry.field(description="Its new value; null where it is absent.")


@strawberry.type(description="A layer whose content changed.")
class LayerChange:
    id: strawberry.ID = strawberry.field(name="layerId", description="Id of the layer in its design.")
    fields: list[FieldChange] = strawberry.field(description="What changed about it.")
    before: DesignLayer = strawberry.field(description="The layer as it was.")
    after: DesignLayer = strawberry.field(description="The layer as it became.")


@strawberry.type(description="A layer that has another place in the order.")
class LayerMove:
    id: strawberry.ID = strawberry.field(name="layerId", description="Id of the layer in its design.")
    before: int = strawberry.field(description="Its old place, from 0.")
    after: int = strawberry.field(description="Its new place, from 0.")


@strawberry.type(description="What differs between two versions of a design.")
class DesignDiff:
    from_version: int = strawberry.field(description="The version that is compared.")
    to_version: int = strawberry.field(description="The version that it is compared with.")
    fields: list[FieldChange] = strawberry.field(
        description="What changed beside the layers: `name`, `status`, `avatarId` and the parts of `metadata`."
    )
    added: list[DesignLayer] = strawberry.field(description="Layers that came.")
    removed: list[DesignLayer] = strawberry.field(description="Layers that went.")
    changed: list[LayerChange] = strawberry.field(description="Layers whose content changed.")
    moved: list[LayerMove] = strawberry.field(
        description="Layers that have another place in the order, as few as explain the new order."
    )


def compare(before: dict[str, Any], after: dict[str, Any]) -> DesignDiff:
    """The differences between two stored versions of a design."""
    layers = diff.diff_layers(clean_layers(before.get("layers")), clean_layers(after.get("layers")))
    return DesignDiff(
        from_version=version_of(before),
        to_version=version_of(after),
        fields=[_field(change) for change in diff.diff_fields(before, after)],
        added=_parts(layers.added),
        removed=_parts(layers.removed),
        changed=[
            LayerChange(
                id=change.after["id"],
                fields=[_field(field) for field in change.fields],
                before=_part(change.before),
                after=_part(change.after),
            )
            for change in layers.changed
        ],
        moved=[LayerMove(id=move.layer["id"], before=move.before, after=move.after) for move in layers.moved],
    )


def _field(change: diff.FieldChange) -> FieldChange:
    name = change.field
    return FieldChange(field=name, before=_shown(name, change.before), after=_shown(name, change.after))


def _shown(name: str, value: Any) -> Any:
    """A stored value as clients know it: global ids, enum values by name."""
    if isinstance(value, str) and name in _IDS:
        return encode_id(_IDS[name], value)
    return value.upper() if isinstance(value, str) and name in _ENUMS else value


def _part(layer: diff.Layer) -> Any:
    return layer  # the source of an embedded part is its dictionary


def _parts(layers: tuple[diff.Layer, ...]) -> Any:
    return list(layers)
