"""Mutations of a design's content: create, update, patch, duplicate, restore a revision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import strawberry
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

import documents
from api.designs import patch, references, store
from api.designs.inputs import (
    ApplyDesignPatchInput,
    CreateDesignInput,
    DuplicateDesignInput,
    RestoreDesignRevisionInput,
    UpdateDesignInput,
)
from api.designs.lifecycle import LifecycleMutations
from api.designs.patch_operations import Add, ApplyDesignPatch, OneOperation, Update
from api.designs.payloads import (
    ApplyDesignPatchPayload,
    CreateDesignPayload,
    DuplicateDesignPayload,
    RestoreDesignRevisionPayload,
    UpdateDesignPayload,
)
from api.designs.revisions import one
from api.designs.types import Design
from api.designs.validation import CreateDesign, DuplicateDesign, RestoreDesignRevision, UpdateDesign, checked
from api.designs.writing import Document, beside_deletions, changed, expect, opened, stale, storable, visible
from api.error_codes import MutationErrorCode
from api.fields.context import Context
from api.idempotency.claims import idempotent_object_id
from api.writing.inputs import given
from api.writing.refusals import InvalidInput, MutationError, NotFoundError, Refusal, not_found, refusable
from documents.cleaning import UNNAMED, clean_avatar, clean_content, clean_name, shown_id
from documents.design import layers_of
from documents.last_change import version_of

_CONTENT = frozenset(("name", "layers", "metadata", "avatar_id"))
"""The fields that restoring a revision brings back. The status isn't one of them: publishing has its own rules."""


@strawberry.type
class DesignMutations(LifecycleMutations):
    @strawberry.mutation(
        description="Make a design, a draft of the viewer. Errors: INVALID; NOT_FOUND for the avatar or an item; "
        "LAYER_TYPE where a layer shows an item of another type than its own."
    )
    @refusable(CreateDesignPayload)
    async def create_design(
        self,
        info: strawberry.Info[Context],
        input: Annotated[CreateDesignInput, strawberry.argument(description="The new design.")],
    ) -> CreateDesignPayload | None:
        context = info.context
        owner = str(context.viewer.account_id)
        chosen = checked(CreateDesign, given(input))
        layers = [layer.to_mongo() for layer in chosen.layers]
        values = {
            "name": chosen.name,
            "layers": layers,
            "metadata": chosen.metadata.model_dump(by_alias=True, exclude_none=True),
            "avatarId": chosen.avatar_id,
        }
        named, shows = references.item_paths(layers), references.layer_paths(layers)
        await references.check(context, {"userId": owner}, values, named, shows)
        return CreateDesignPayload(design=Design.of(await _create(info, owner, values)))

    @strawberry.mutation(
        description="Change a design: its name, its avatar, its layers, what describes it. Errors beside INVALID and "
        "NOT_FOUND: VERSION_CONFLICT; LAYER_TYPE where a layer that is new, or shows something else now, shows an item "
        "of another type than its own; of a published design also those of publishDesign, for what is new in it."
    )
    @refusable(UpdateDesignPayload)
    async def update_design(
        self,
        info: strawberry.Info[Context],
        input: Annotated[UpdateDesignInput, strawberry.argument(description="The design and its changes.")],
    ) -> UpdateDesignPayload | None:
        context = info.context
        design, update = await opened(context, UpdateDesign, input)

        async def change(current: Document) -> dict[str, Any]:
            values = _keeping_unknown(current, update.values())
            layers = values.get("layers", ())
            named, shows = references.item_paths(layers), references.layer_paths(layers)
            await references.check(context, current, values, named, shows)
            return _on_metadata(current, values)

        return UpdateDesignPayload(design=Design.of(await changed(context, design, change, update.expected_version)))

    @strawberry.mutation(
        description="Change the layers of a design by operations: all of them, or none where one can't be applied. "
        "Clients that work on different layers at the same time can all succeed, with `rebase`. Errors as of "
        "updateDesign."
    )
    @refusable(ApplyDesignPatchPayload)
    async def apply_design_patch(
        self,
        info: strawberry.Info[Context],
        input: Annotated[ApplyDesignPatchInput, strawberry.argument(description="The design and the operations.")],
    ) -> ApplyDesignPatchPayload | None:
        context = info.context
        design, wanted = await opened(context, ApplyDesignPatch, input)
        _name_new_layers(wanted.operations, idempotent_object_id(context.claim, info.path))
        operations, expected = [one_of.operation for one_of in wanted.operations], wanted.expected_version
        named, shows = _items_of(wanted.operations), _shown_by(wanted.operations)
        base: Sequence[patch.Layer] | None = None

        async def change(current: Document) -> dict[str, Any]:
            nonlocal base
            layers, rebasing = layers_of(current), version_of(current) != expected
            if rebasing and base is None:
                if not wanted.rebase or (revision := await _revision(context, current, expected)) is None:
                    raise stale(current)
                base = layers_of(revision)
            elif not rebasing:
                base = layers
            if rebasing and (conflicts := patch.conflicts(base or [], layers, operations)):
                raise stale(current, patch.contested(base or [], layers, operations, conflicts))
            patched, problems = patch.apply(layers, operations, clamp=rebasing)
            if problems:
                raise Refusal(*(_error(problem, wanted.operations) for problem in problems))
            await references.check(context, current, {"layers": patched}, named, shows)
            return {"layers": patched}

        written = await changed(context, design, change, None if wanted.rebase else expected)
        return ApplyDesignPatchPayload(design=Design.of(written))

    @strawberry.mutation(
        description="Copy a design that the viewer may see: a draft of the viewer, on the same avatar where that is "
        "the viewer's own. Its history begins anew."
    )
    @refusable(DuplicateDesignPayload)
    async def duplicate_design(
        self,
        info: strawberry.Info[Context],
        input: Annotated[
            DuplicateDesignInput, strawberry.argument(description="The design, and what the copy is called.")
        ],
    ) -> DuplicateDesignPayload | None:
        context = info.context
        original, copy = await opened(context, DuplicateDesign, input, visible)
        expect(original, copy.expected_version)
        owner = str(context.viewer.account_id)
        values: dict[str, Any] = {
            "name": copy.name or clean_name(original) or UNNAMED,
            **clean_content(original),
            "avatarId": clean_avatar(original) if references.owner_of(original) == owner else None,
        }
        return DuplicateDesignPayload(design=Design.of(await _create(info, owner, values)))

    @strawberry.mutation(
        description="Give a design the name, the layers, the description and the avatar of an earlier version, as a "
        "new version; the status stays. Errors as of updateDesign, without LAYER_TYPE."
    )
    @refusable(RestoreDesignRevisionPayload)
    async def restore_design_revision(
        self,
        info: strawberry.Info[Context],
        input: Annotated[RestoreDesignRevisionInput, strawberry.argument(description="The design and the version.")],
    ) -> RestoreDesignRevisionPayload | None:
        context = info.context
        design, wanted = await opened(context, RestoreDesignRevision, input)

        async def change(current: Document) -> dict[str, Any]:
            revision = await _revision(context, current, wanted.version)
            if revision is None:
                raise not_found("version", "version")
            if version_of(current) == wanted.version:
                return {}
            values: dict[str, Any] = {
                **clean_content(revision),
                "avatarId": clean_avatar(revision),
            }
            if (name := clean_name(revision)) is not None:
                values["name"] = name
            await references.check(context, current, values, {}, {}, avatar=False)
            return values

        written = await changed(context, design, change, wanted.expected_version)
        return RestoreDesignRevisionPayload(design=Design.of(written))


async def _create(info: strawberry.Info[Context], owner: str, values: Mapping[str, Any]) -> Document:
    context = info.context
    author = {"userId": owner, "updatedBy": owner, "requestId": context.request_id}
    key = idempotent_object_id(context.claim, info.path)
    with storable():
        try:
            named = {} if key is None else {"_id": key}
            design = await store.repository(context.stores).create({**values, **author, **named})
        except DuplicateKeyError:  # a repeated request, which was interrupted after it had created the design
            if key is None or (found := await store.whole(context.stores, key)) is None:
                raise
            return await beside_deletions(context, found)
    return await beside_deletions(context, design.to_mongo())


def _keeping_unknown(design: Document, values: dict[str, Any]) -> dict[str, Any]:
    """The values, with unknown fields added that other programs have stored in the replaced layers and canvas."""
    layers = {shown_id(layer): layer for layer in layers_of(design)}
    if "layers" in values:
        kept = [documents.Layer.keeping(layers.get(layer["id"]), layer) for layer in values["layers"]]
        values = {**values, "layers": kept}
    if values.get("metadata.canvasSize") is not None:
        metadata = design.get("metadata")
        stored = metadata.get("canvasSize") if isinstance(metadata, dict) else None
        canvas = documents.CanvasSize.keeping(stored, values["metadata.canvasSize"])
        values = {**values, "metadata.canvasSize": canvas}
    return values


async def _revision(context: Context, design: Document, version: int) -> Document | None:
    revision: Document | None = await one(design, version, context, _CONTENT)
    return revision


def _on_metadata(design: Document, values: dict[str, Any]) -> dict[str, Any]:
    """The values; where the stored design has no metadata, with all metadata as one value."""
    if isinstance(design.get("metadata"), dict) or not any(path.startswith("metadata.") for path in values):
        return values
    metadata = {path.removeprefix("metadata."): value for path, value in values.items() if path.startswith("metadata.")}
    rest = {path: value for path, value in values.items() if not path.startswith("metadata.")}
    return rest | {"metadata": {name: value for name, value in metadata.items() if value is not None}}


def _name_new_layers(operations: Sequence[OneOperation], key: ObjectId | None) -> None:
    """Give new layers ids that follow from the idempotency key.

    A repeated request gets the same ids, so that it doesn't add a layer twice.
    """
    for number, one_of in enumerate(operations):
        if key is not None and one_of.add is not None and "id" not in one_of.add.layer.model_fields_set:
            one_of.add.layer.id = f"{key}-{number}"


def _items_of(operations: Sequence[OneOperation]) -> references.Paths:
    """The paths in a patch at which it names items."""
    paths: dict[str, list[references.Path]] = defaultdict(list)
    for number, one_of in enumerate(operations):
        match one_of.operation:
            case Add(layer=layer) if layer.item_id is not None:
                paths[layer.item_id].append(("operations", str(number), "add", "layer", "itemId"))
            case Update(item_id=item_id) if item_id is not None:
                paths[item_id].append(("operations", str(number), "update", "itemId"))
    return paths


def _shown_by(operations: Sequence[OneOperation]) -> references.LayerPaths:
    """The path in a patch of the last operation that says what a layer shows, for each layer."""
    paths: dict[str, references.Path] = {}
    for number, one_of in enumerate(operations):
        match one_of.operation:
            case Add(layer=layer):
                paths[layer.id] = ("operations", str(number), "add", "layer", "itemId")
            case Update(layer_id=id, model_fields_set=given) if not given.isdisjoint(("item_id", "type")):
                paths[id] = ("operations", str(number), "update", "itemId" if "item_id" in given else "type")
    return paths


def _error(problem: patch.Problem, operations: Sequence[OneOperation]) -> MutationError:
    path = ["operations", str(problem.operation), operations[problem.operation].kind, *problem.path]
    if problem.missing:
        return NotFoundError(code=MutationErrorCode.NOT_FOUND, message=problem.message, path=path)
    return InvalidInput(code=MutationErrorCode.INVALID, message=problem.message, path=path)
