"""Validation of the inputs of designs: a schema for each, built on the parts of the stored document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

from bson import ObjectId
from pydantic import ConfigDict, Field, PlainValidator, StringConstraints, model_validator

from api.error_codes import MutationErrorCode
from api.errors import BadUserInput
from api.ids import decode_id_of
from api.writing.inputs import S, validated
from api.writing.refusals import InvalidInput, MutationError, Refusal
from api.writing.validation import UNGIVEN, Description, Name, NoNull, Tag, Url
from documents.base import Part
from documents.design import CanvasSize, LayerType
from models import new_id

MAX_LAYERS: Final = 200
MAX_TAGS: Final = 50


class Schema(Part):
    """The schema of an input."""

    model_config = ConfigDict(arbitrary_types_allowed=True)


def _key_of(type_name: str) -> Callable[[Any], Any]:
    """Reads a global id as the key that a design stores: its own ObjectId, or a key of PostgreSQL as text."""

    def parse(value: Any) -> ObjectId | str:
        try:
            key = decode_id_of(type_name, str(value))
        except BadUserInput as error:
            raise ValueError(error.message) from None
        return key if isinstance(key, ObjectId) else str(key)

    return parse


Color = Annotated[str, StringConstraints(max_length=64), NoNull]
LayerId = Annotated[str, StringConstraints(min_length=1, max_length=64), NoNull]
Pixels = Annotated[float, Field(ge=-1_000_000, le=1_000_000)]
"""Ten times the longest canvas, in both directions. Stored values may be larger, and stay until they are changed."""
Degrees = Annotated[float, Field(ge=-3600, le=3600)]
Factor = Annotated[float, Field(ge=-1000, le=1000)]
ExpectedVersion = int
DesignKey = Annotated[ObjectId, PlainValidator(_key_of("Design"))]
AvatarKey = Annotated[str, PlainValidator(_key_of("Avatar"))]
ItemKey = Annotated[str, PlainValidator(_key_of("CatalogItem"))]


class _NullsLeftOut(Schema):
    """A schema in which null counts as not given."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}


class PositionValues(_NullsLeftOut):
    """The position of a layer; without `z`, the old one stays."""

    x: Pixels
    y: Pixels
    z: Pixels = 0


class ScaleValues(Schema):
    """The scale of a layer."""

    x: Factor
    y: Factor


class LayerValues(_NullsLeftOut):
    """A new layer."""

    id: LayerId = Field(default_factory=lambda: str(new_id()))
    type: LayerType
    item_id: ItemKey | None = None
    position: PositionValues = Field(default_factory=lambda: PositionValues(x=0, y=0))
    rotation: Degrees | None = None
    scale: ScaleValues | None = None
    color: Color | None = None
    visible: bool = True

    def to_mongo(self) -> dict[str, Any]:
        """The layer as it is stored."""
        return self.model_dump(by_alias=True, exclude_none=True)


class LayerChanges(Schema):
    """Changed fields of a layer: fields that are not given stay, null removes one."""

    type: LayerType = UNGIVEN
    item_id: ItemKey | None = None
    position: PositionValues = UNGIVEN
    rotation: Degrees | None = None
    scale: ScaleValues | None = None
    color: Color | None = None
    visible: bool = UNGIVEN


class MetadataValues(_NullsLeftOut):
    """The metadata of a new design."""

    tags: list[Tag] = Field(default_factory=list, max_length=MAX_TAGS)
    description: Description | None = None
    thumbnail_url: Url | None = None
    canvas_size: CanvasSize | None = None


class MetadataChanges(Schema):
    """Changed metadata: fields that are not given stay, null removes one."""

    tags: list[Tag] = Field(default=UNGIVEN, max_length=MAX_TAGS)
    description: Description | None = None
    thumbnail_url: Url | None = None
    canvas_size: CanvasSize | None = None


class CreateDesign(_NullsLeftOut):
    """The input of `createDesign`."""

    name: Name
    avatar_id: AvatarKey | None = None
    layers: list[LayerValues] = Field(default_factory=list, max_length=MAX_LAYERS)
    metadata: MetadataValues = Field(default_factory=MetadataValues)


class UpdateDesign(Schema):
    """The input of `updateDesign`."""

    id: DesignKey
    expected_version: ExpectedVersion
    name: Name = UNGIVEN
    avatar_id: AvatarKey | None = None
    layers: list[LayerValues] = Field(default=UNGIVEN, max_length=MAX_LAYERS)
    metadata: MetadataChanges = UNGIVEN

    def values(self) -> dict[str, Any]:
        """The values to store, by dotted path; None removes a field."""
        given = self.model_fields_set
        values: dict[str, Any] = {}
        if "name" in given:
            values["name"] = self.name
        if "avatar_id" in given:
            values["avatarId"] = self.avatar_id
        if "layers" in given:
            values["layers"] = [layer.to_mongo() for layer in self.layers]
        if "metadata" in given:
            described = self.metadata.model_dump(by_alias=True, exclude_unset=True)
            values.update({f"metadata.{name}": value for name, value in described.items()})
        return values


class ChangeStatus(Schema):
    """The input of mutations that only change the status, delete or restore."""

    id: DesignKey
    expected_version: ExpectedVersion | None = None


class DuplicateDesign(ChangeStatus):
    """The input of `duplicateDesign`."""

    name: Name | None = None


class RestoreDesignRevision(Schema):
    """The input of `restoreDesignRevision`."""

    id: DesignKey
    version: Annotated[int, Field(ge=1)]
    expected_version: ExpectedVersion


def checked(schema: type[S], values: Mapping[str, Any]) -> S:
    """As `validated`, but layers that share an id are an error, too."""
    repeated = _repeated_ids(values.get("layers") or ())
    try:
        result = validated(schema, values)
    except Refusal as refusal:
        raise Refusal(*refusal.errors, *repeated) from None
    if repeated:
        raise Refusal(*repeated)
    return result


def _repeated_ids(layers: Sequence[Mapping[str, Any]]) -> list[MutationError]:
    seen: set[str] = set()
    errors: list[MutationError] = []
    for index, layer in enumerate(layers):
        id = layer.get("id")
        if id is None:
            continue
        if id in seen:
            message, path = "another layer has this id", ["layers", str(index), "id"]
            errors.append(InvalidInput(code=MutationErrorCode.INVALID, message=message, path=path))
        seen.add(id)
    return errors
