"""The validated operations of a patch, which `api.designs.patch` applies."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from api.designs.validation import DesignKey, ExpectedVersion, LayerChanges, LayerId, LayerValues, Schema

MAX_OPERATIONS: Final = 100
Index = Annotated[int, Field(ge=0)]


class Add(Schema):
    """Add a layer at `index`, or on top."""

    layer: LayerValues
    index: Index | None = None


class Move(Schema):
    """Move a layer to another place in the order."""

    layer_id: LayerId
    index: Index


class Update(LayerChanges):
    """Change the content of a layer; fields that are not given stay."""

    layer_id: LayerId

    def changes(self) -> dict[str, Any]:
        """The given fields by stored name; None removes a field."""
        return self.model_dump(by_alias=True, exclude_unset=True, exclude={"layer_id"})


class Remove(Schema):
    """Remove a layer."""

    layer_id: LayerId


class Reorder(Schema):
    """Put all layers in a new order."""

    layer_ids: list[LayerId] = Field(max_length=1000)


LayerOperation = Add | Move | Update | Remove | Reorder


class OneOperation(Schema):
    """The input of an operation, in which exactly one is given."""

    add: Add | None = None
    move: Move | None = None
    update: Update | None = None
    remove: Remove | None = None
    reorder: Reorder | None = None

    @property
    def operation(self) -> LayerOperation:
        """The operation that is given."""
        given = self.add or self.move or self.update or self.remove or self.reorder
        assert given is not None, "validation leaves exactly one"
        return given

    @property
    def kind(self) -> str:
        """Its name in the input."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _exactly_one(self) -> OneOperation:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError("must be exactly one operation")
        return self


class ApplyDesignPatch(Schema):
    """The input of `applyDesignPatch`."""

    id: DesignKey
    expected_version: ExpectedVersion
    operations: list[OneOperation] = Field(min_length=1, max_length=MAX_OPERATIONS)
    rebase: bool = False
