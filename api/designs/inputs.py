"""Filters and orders of designs, and what their mutations take."""

from __future__ import annotations

from enum import Enum

import strawberry

from api.catalog.inputs import CatalogItemType
from api.lists.filters import DateTimeRange, TagsFilter, TextFilter, where
from api.lists.pagination import OrderDirection

# `Maybe[T | None]` also where null is refused, so that validation reports it together with all other errors
_EXPECTED = "`version` as the client knows it: where it is another by now, nothing changes."


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


@strawberry.input(description="Where a layer lies; each number is from -1000000 to 1000000.")
class PositionInput:
    x: float = strawberry.field(description="Pixels from the left.")
    y: float = strawberry.field(description="Pixels from the top.")
    z: float | None = strawberry.field(
        default=strawberry.UNSET,
        description="Which layer covers which: the larger the nearer. Where it is not given, it is what it was for the "
        "operation `update` of a layer, and else 0.",
    )


@strawberry.input(description="How a layer is stretched; each factor is from -1000 to 1000.")
class ScaleInput:
    x: float = strawberry.field(description="By which factor across.")
    y: float = strawberry.field(description="By which factor down.")


@strawberry.input(description="The size of the canvas.")
class CanvasSizeInput:
    width: int = strawberry.field(description="Width in pixels, 1 to 100000.")
    height: int = strawberry.field(description="Height in pixels, 1 to 100000.")


@strawberry.input(description="A layer as it is to be.")
class DesignLayerInput:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="Unique in its design, at most 64 characters. The server makes one where it is not given.",
    )
    type: CatalogItemType = strawberry.field(description="What it shows.")
    item_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The item that it shows.")
    position: PositionInput | None = strawberry.field(
        default=strawberry.UNSET, description="Where it lies; at the origin where it is not given."
    )
    rotation: float | None = strawberry.field(
        default=strawberry.UNSET, description="By how many degrees it is turned, from -3600 to 3600."
    )
    scale: ScaleInput | None = strawberry.field(default=strawberry.UNSET, description="How it is stretched.")
    color: str | None = strawberry.field(
        default=strawberry.UNSET, description="Colour that it is tinted with; at most 64 characters."
    )
    visible: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether it is shown; it is where this is not given."
    )


@strawberry.input(description="What describes a design beside its layers.")
class DesignMetadataInput:
    tags: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Words to find it by: at most 50, each of at most 64 characters."
    )
    description: str | None = strawberry.field(
        default=strawberry.UNSET, description="What it is, for people; at most 10000 characters."
    )
    thumbnail_url: str | None = strawberry.field(
        default=strawberry.UNSET, description="Small picture: an http or https address of at most 2048 characters."
    )
    canvas_size: CanvasSizeInput | None = strawberry.field(default=strawberry.UNSET, description="Size of the canvas.")


@strawberry.input(description="What changes about a design's description; what is left out stays.")
class UpdateDesignMetadataInput:
    tags: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="Words to find it by: at most 50, each of at most 64 characters."
    )
    description: strawberry.Maybe[str | None] = strawberry.field(
        description="What it is, for people; at most 10000 characters. Null removes it."
    )
    thumbnail_url: strawberry.Maybe[str | None] = strawberry.field(
        description="Small picture: an http or https address of at most 2048 characters. Null removes it."
    )
    canvas_size: strawberry.Maybe[CanvasSizeInput | None] = strawberry.field(
        description="Size of the canvas. Null removes it."
    )


@strawberry.input(description="A new design.")
class CreateDesignInput:
    name: str = strawberry.field(description="Its name: 1 to 255 characters.")
    avatar_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="On which avatar of the viewer it is worn."
    )
    layers: list[DesignLayerInput] | None = strawberry.field(
        default=strawberry.UNSET, description="Its layers, in their order; at most 200."
    )
    metadata: DesignMetadataInput | None = strawberry.field(default=strawberry.UNSET, description="What describes it.")


@strawberry.input(description="What changes about a design; what is left out stays.")
class UpdateDesignInput:
    id: strawberry.ID = strawberry.field(description="Global id of the design.")
    expected_version: int = strawberry.field(description=_EXPECTED)
    name: strawberry.Maybe[str | None] = strawberry.field(description="Its name: 1 to 255 characters.")
    avatar_id: strawberry.Maybe[strawberry.ID | None] = strawberry.field(
        description="On which avatar of its owner it is worn; null for none."
    )
    layers: strawberry.Maybe[list[DesignLayerInput] | None] = strawberry.field(
        description="All its layers, in their order; at most 200."
    )
    metadata: strawberry.Maybe[UpdateDesignMetadataInput | None] = strawberry.field(
        description="What changes about its description."
    )


@strawberry.input(description="A new layer.")
class AddLayerInput:
    layer: DesignLayerInput = strawberry.field(description="Id of the layer in its design.")
    index: int | None = strawberry.field(
        default=strawberry.UNSET, description="Its place in the order, from 0; the end where it is not given."
    )


@strawberry.input(description="Another place for a layer.")
class MoveLayerInput:
    layer_id: strawberry.ID = strawberry.field(description="Id of the layer in its design.")
    index: int = strawberry.field(description="Its new place in the order, from 0.")


@strawberry.input(description="What changes about a layer; what is left out stays.")
class UpdateLayerInput:
    layer_id: strawberry.ID = strawberry.field(description="Id of the layer in its design.")
    type: strawberry.Maybe[CatalogItemType | None] = strawberry.field(description="What it shows.")
    item_id: strawberry.Maybe[strawberry.ID | None] = strawberry.field(
        description="The item that it shows; null for none."
    )
    position: strawberry.Maybe[PositionInput | None] = strawberry.field(description="Where it lies.")
    rotation: strawberry.Maybe[float | None] = strawberry.field(
        description="By how many degrees it is turned, from -3600 to 3600. Null removes it."
    )
    scale: strawberry.Maybe[ScaleInput | None] = strawberry.field(description="How it is stretched. Null removes it.")
    color: strawberry.Maybe[str | None] = strawberry.field(
        description="Colour that it is tinted with; at most 64 characters. Null removes it."
    )
    visible: strawberry.Maybe[bool | None] = strawberry.field(description="Whether it is shown.")


@strawberry.input(description="A layer that goes.")
class RemoveLayerInput:
    layer_id: strawberry.ID = strawberry.field(description="Id of the layer in its design.")


@strawberry.input(description="A new order of all layers.")
class ReorderLayersInput:
    layer_ids: list[strawberry.ID] = strawberry.field(description="Every layer once, in the new order.")


@strawberry.input(one_of=True, description="One change of the layers.")
class LayerOperation:
    add: strawberry.Maybe[AddLayerInput] = strawberry.field(description="Put a new layer in.")
    move: strawberry.Maybe[MoveLayerInput] = strawberry.field(description="Give a layer another place in the order.")
    update: strawberry.Maybe[UpdateLayerInput] = strawberry.field(description="Change what a layer is.")
    remove: strawberry.Maybe[RemoveLayerInput] = strawberry.field(description="Take a layer out.")
    reorder: strawberry.Maybe[ReorderLayersInput] = strawberry.field(description="Put all layers in a new order.")


@strawberry.input(description="Changes of the layers of one design: all of them, or none.")
class ApplyDesignPatchInput:
    id: strawberry.ID = strawberry.field(description="Global id of the design.")
    expected_version: int = strawberry.field(
        description="`version` that the operations were made for. Where it is another by now, nothing changes, unless "
        "`rebase` is given."
    )
    operations: list[LayerOperation] = strawberry.field(
        description="1 to 100 changes, in their order; each sees what those before it did."
    )
    rebase: bool = strawberry.field(
        default=False,
        description="Apply the operations to a newer version, provided that the versions in between left alone what "
        "they touch. What a layer is and its place in the order are apart: changing or removing a layer goes "
        "together with others moving it, moving it with others changing it. A new order of all layers goes together "
        "with changes of layers only. An index beyond the end then means the end.",
    )


@strawberry.input(description="A design to publish.")
class PublishDesignInput:
    id: strawberry.ID = strawberry.field(description="Global id of the design.")
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="A design to put away.")
class ArchiveDesignInput:
    id: strawberry.ID = strawberry.field(description="Global id of the design.")
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="A design to make a draft again.")
class ReturnDesignToDraftInput:
    id: strawberry.ID = strawberry.field(description="Global id of the design.")
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="A design to copy.")
class DuplicateDesignInput:
    id: strawberry.ID = strawberry.field(description="The design: any that the viewer may see.")
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED)
    name: str | None = strawberry.field(
        default=None, description="Name of the copy, 1 to 255 characters; that of the original where not given."
    )


@strawberry.input(description="A design to delete.")
class DeleteDesignInput:
    id: strawberry.ID = strawberry.field(description="Global id of the design.")
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="A deleted design to bring back.")
class RestoreDesignInput:
    id: strawberry.ID = strawberry.field(description="Global id of the design.")
    expected_version: int | None = strawberry.field(default=None, description=_EXPECTED)


@strawberry.input(description="An earlier version of a design.")
class RestoreDesignRevisionInput:
    id: strawberry.ID = strawberry.field(description="Global id of the design.")
    version: int = strawberry.field(description="The version to go back to.")
    expected_version: int = strawberry.field(description=_EXPECTED)
