"""Mutations of a design's status: publish, archive, delete, restore."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from api.designs import references
from api.designs.inputs import (
    ArchiveDesignInput,
    DeleteDesignInput,
    PublishDesignInput,
    RestoreDesignInput,
    ReturnDesignToDraftInput,
)
from api.designs.payloads import (
    ArchiveDesignPayload,
    DeleteDesignPayload,
    PublishDesignPayload,
    RestoreDesignPayload,
    ReturnDesignToDraftPayload,
)
from api.designs.types import Design
from api.designs.validation import ChangeStatus
from api.designs.writing import Document, beside_deletions, changed, deleted, editable, expect, marked, opened
from api.error_codes import MutationErrorCode
from api.fields.context import Context
from api.writing.refusals import conflict, refusable
from documents import utc_now


@strawberry.type
class LifecycleMutations:
    @strawberry.mutation(
        description="Show a draft or an archived design to everyone; a published one stays as it is. Needs a layer "
        "(EMPTY), and every item of its layers to be there (NOT_FOUND), to be offered (ITEM_INACTIVE), and to be "
        "for accounts like the owner's (PREMIUM_REQUIRED); the errors name the layers."
    )
    @refusable(PublishDesignPayload)
    async def publish_design(
        self,
        info: strawberry.Info[Context],
        input: Annotated[PublishDesignInput, strawberry.argument(description="Which design it is.")],
    ) -> PublishDesignPayload | None:
        return PublishDesignPayload(design=await _with_status("published", info.context, input))

    @strawberry.mutation(
        description="Put a draft or a published design away: only its owner sees it. An archived one stays as it is."
    )
    @refusable(ArchiveDesignPayload)
    async def archive_design(
        self,
        info: strawberry.Info[Context],
        input: Annotated[ArchiveDesignInput, strawberry.argument(description="Which design it is.")],
    ) -> ArchiveDesignPayload | None:
        return ArchiveDesignPayload(design=await _with_status("archived", info.context, input))

    @strawberry.mutation(description="Make a published or an archived design a draft again. A draft stays as it is.")
    @refusable(ReturnDesignToDraftPayload)
    async def return_design_to_draft(
        self,
        info: strawberry.Info[Context],
        input: Annotated[ReturnDesignToDraftInput, strawberry.argument(description="Which design it is.")],
    ) -> ReturnDesignToDraftPayload | None:
        return ReturnDesignToDraftPayload(design=await _with_status("draft", info.context, input))

    @strawberry.mutation(description="Delete a design; it can be restored. Its version stays.")
    @refusable(DeleteDesignPayload)
    async def delete_design(
        self,
        info: strawberry.Info[Context],
        input: Annotated[DeleteDesignInput, strawberry.argument(description="Which design it is.")],
    ) -> DeleteDesignPayload | None:
        design, wanted = await opened(info.context, ChangeStatus, input)
        gone = await marked(info.context, design, wanted.expected_version, editable, deleted_at=utc_now())
        return DeleteDesignPayload(design=Design.of(gone))

    @strawberry.mutation(
        description="Bring a deleted design back as it was; its version stays. Errors beside NOT_FOUND: NOT_DELETED "
        "where it is there, OWNER_DELETED where its owner must be restored first."
    )
    @refusable(RestoreDesignPayload)
    async def restore_design(
        self,
        info: strawberry.Info[Context],
        input: Annotated[RestoreDesignInput, strawberry.argument(description="Which design it is.")],
    ) -> RestoreDesignPayload | None:
        context = info.context
        design, wanted = await opened(context, ChangeStatus, input, deleted)
        expect(design, wanted.expected_version)
        if await references.owner_is_deleted(context, references.owner_of(design)):
            raise conflict(MutationErrorCode.OWNER_DELETED, "The owner of the design is deleted.", "id")
        restored = await marked(context, design, wanted.expected_version, deleted, deleted_at=None)
        return RestoreDesignPayload(design=Design.of(await beside_deletions(context, restored)))


async def _with_status(status: str, context: Context, mutation_input: Any) -> Design:
    design, wanted = await opened(context, ChangeStatus, mutation_input)

    async def change(current: Document) -> dict[str, Any]:
        if current.get("status") == status:
            return {}
        values: dict[str, Any] = {"status": status}
        if status == "published":
            values["publishedAt"] = utc_now()
        await references.check(context, current, values, {}, {})
        return values

    return Design.of(await changed(context, design, change, wanted.expected_version))
