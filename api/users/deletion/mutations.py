"""Mutations that delete and restore users."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

import models
from api.accounts import security_log
from api.accounts.security_log import SecurityEvent
from api.error_codes import MutationErrorCode
from api.fields.context import Context
from api.users import store
from api.users.deletion import operations
from api.users.types import User
from api.users.validation import Chosen
from api.writing.inputs import validated
from api.writing.refusals import MutationError, conflict, refusable


@strawberry.input(description="Who is deleted.")
class DeleteUserInput:
    id: strawberry.ID = strawberry.field(description="Global id of the user.")


@strawberry.input(description="Who is restored.")
class RestoreUserInput:
    id: strawberry.ID = strawberry.field(description="Global id of the deleted user.")


@strawberry.type(description="A user who is deleted, with their avatars and designs; their sessions have ended.")
class DeleteUserPayload:
    user: User | None = strawberry.field(default=None, description="The deleted account.")
    errors: list[MutationError] = strawberry.field(
        default_factory=list, description="Why nobody was deleted; empty where somebody was."
    )


@strawberry.type(description="A user who is back, with the avatars and designs that were deleted with them.")
class RestoreUserPayload:
    user: User | None = strawberry.field(default=None, description="The restored account.")
    errors: list[MutationError] = strawberry.field(
        default_factory=list, description="Why nobody was restored; empty where somebody was."
    )


@strawberry.type
class DeletionMutations:
    @strawberry.mutation(
        description="Delete a user with their avatars and designs, and end their sessions; for admins, and not for "
        "their own account. Where it was interrupted, the same call goes on with it."
    )
    @refusable(DeleteUserPayload)
    async def delete_user(
        self,
        info: strawberry.Info[Context],
        input: Annotated[DeleteUserInput, strawberry.argument(description="Which user it is.")],
    ) -> DeleteUserPayload | None:
        context = info.context
        actor = context.viewer.require("admin")
        user_id = validated(Chosen, {"id": input.id}).id
        if user_id == actor:
            raise conflict(
                MutationErrorCode.OWN_ACCOUNT, "Nobody can delete their own account: ask another admin.", "id"
            )
        try:
            await operations.finish(context, await operations.begin_deletion(context, user_id))
        finally:  # the account may be deleted even where its designs aren't yet
            context.auth.sessions.forget_user(user_id)
        security_log.note(context, SecurityEvent.DELETED, account=user_id)
        return DeleteUserPayload(user=await _user(context, user_id))

    @strawberry.mutation(
        description="Bring a deleted user back, with exactly the avatars and designs that were deleted with them; for "
        "admins. Where it was interrupted, the same call goes on with it."
    )
    @refusable(RestoreUserPayload)
    async def restore_user(
        self,
        info: strawberry.Info[Context],
        input: Annotated[RestoreUserInput, strawberry.argument(description="Which user it is.")],
    ) -> RestoreUserPayload | None:
        context = info.context
        context.viewer.require("admin")
        user_id = validated(Chosen, {"id": input.id}).id
        await operations.finish(context, await operations.begin_restoration(context, user_id))
        context.auth.sessions.forget_user(user_id)
        security_log.note(context, SecurityEvent.RESTORED, account=user_id)
        return RestoreUserPayload(user=await _user(context, user_id))


async def _user(context: Context, user_id: UUID) -> User | None:
    """The account as it is now, deleted or not; what was loaded before is forgotten."""
    context.loader("user").clear(user_id)
    user: models.User | None = await store.repository(context.stores).find_by_id(user_id, include_deleted=True)
    return None if user is None else User.of(user)
