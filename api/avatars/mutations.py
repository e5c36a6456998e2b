"""Mutations of avatars."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from sqlalchemy import func

import models
from api.avatars import defaults, store
from api.avatars.inputs import (
    CreateAvatarInput,
    DeleteAvatarInput,
    RestoreAvatarInput,
    SetDefaultAvatarInput,
    UpdateAvatarInput,
)
from api.avatars.payloads import (
    CreateAvatarPayload,
    DeleteAvatarPayload,
    RestoreAvatarPayload,
    SetDefaultAvatarPayload,
    UpdateAvatarPayload,
)
from api.avatars.types import Avatar
from api.avatars.validation import AvatarChanges, AvatarChoice, AvatarDeletion, Measurements, NewAvatar
from api.error_codes import MutationErrorCode
from api.fields.context import Context
from api.ids import encode_id
from api.writing.edits import editable, merging, restore, unchanged, why_not
from api.writing.inputs import given, validated
from api.writing.refusals import conflict, not_found, refusable
from api.writing.write_block import write_block


@strawberry.type
class AvatarMutations:
    @strawberry.mutation(description="Make an avatar, for the viewer or, as an admin, for anyone.")
    @refusable(CreateAvatarPayload)
    async def create_avatar(
        self,
        info: strawberry.Info[Context],
        input: Annotated[CreateAvatarInput, strawberry.argument(description="The new avatar.")],
    ) -> CreateAvatarPayload | None:
        context = info.context
        actor = context.viewer.account_id
        if input.user_id is not None and input.user_id != encode_id("User", actor):
            context.viewer.require("admin")
        new = validated(NewAvatar, given(input))
        owner_id = new.user_id or actor
        async with write_block(context) as transaction:
            owner = await defaults.hold_owner(transaction, owner_id)
            if owner is None or not owner.is_live:
                raise not_found("user", "userId")
            if new.is_default:
                await defaults.release(transaction, owner_id, actor)
            is_default: Any = new.is_default
            if is_default is None:
                is_default = await defaults.first_one(context.stores, transaction, owner_id)
            owned = {"user_id": owner_id, "is_default": is_default, "created_by": actor, "updated_by": actor}
            avatar = await store.repository(context.stores).within(transaction).create(new.values() | owned)
        context.forget("Avatar")
        return CreateAvatarPayload(avatar=Avatar.of(avatar))

    @strawberry.mutation(description="Change an avatar; for its owner and admins.")
    @refusable(UpdateAvatarPayload)
    async def update_avatar(
        self,
        info: strawberry.Info[Context],
        input: Annotated[UpdateAvatarInput, strawberry.argument(description="The avatar and its changes.")],
    ) -> UpdateAvatarPayload | None:
        context = info.context
        actor = context.viewer.account_id
        changes = validated(AvatarChanges, given(input))
        column, avatars = models.Avatar.__table__.c.measurements, store.repository(context.stores)
        values = merging(changes.values(), column, Measurements, changes.measurements)
        where = editable(context, models.Avatar) & unchanged(models.Avatar, changes.expected_updated_at)
        if values:
            async with write_block(context) as transaction:
                values["updated_by"] = actor
                avatar = await avatars.within(transaction).update(changes.id, values, where=where)
        else:
            avatar = await avatars.update(changes.id, {}, where=where)
        if avatar is None:
            raise await why_not(context, avatars, Avatar, changes.id, "avatar")
        context.forget("Avatar")
        return UpdateAvatarPayload(avatar=Avatar.of(avatar))

    @strawberry.mutation(
        description="Make an avatar its owner's default, in place of the present one; for its owner and admins."
    )
    @refusable(SetDefaultAvatarPayload)
    async def set_default_avatar(
        self,
        info: strawberry.Info[Context],
        input: Annotated[SetDefaultAvatarInput, strawberry.argument(description="Which avatar it is.")],
    ) -> SetDefaultAvatarPayload | None:
        context = info.context
        actor = context.viewer.account_id
        key = validated(AvatarChoice, given(input)).id
        where = editable(context, models.Avatar)
        async with write_block(context) as transaction:
            avatars = store.repository(context.stores).within(transaction)
            owner = await defaults.hold_owner_of(transaction, (models.Avatar.id == key) & where)
            if owner is None:
                raise not_found("avatar", "id")
            avatar = await avatars.find_one((models.Avatar.id == key) & owner.has & where)
            if avatar is None:
                raise not_found("avatar", "id")
            if not avatar.is_default:
                await defaults.release(transaction, owner.id, actor)
                avatar = await avatars.update(key, {"is_default": True, "updated_by": actor}, where=where & owner.has)
            if avatar is None:
                raise not_found("avatar", "id")
        context.forget("Avatar")
        return SetDefaultAvatarPayload(avatar=Avatar.of(avatar))

    @strawberry.mutation(
        description="Delete an avatar; for its owner and admins. Where it was the default, the newest of the owner's "
        "other avatars becomes the default. Designs on it stay, and have no avatar until it is restored."
    )
    @refusable(DeleteAvatarPayload)
    async def delete_avatar(
        self,
        info: strawberry.Info[Context],
        input: Annotated[DeleteAvatarInput, strawberry.argument(description="Which avatar it is.")],
    ) -> DeleteAvatarPayload | None:
        context = info.context
        actor = context.viewer.account_id
        deletion = validated(AvatarDeletion, given(input))
        key, where = deletion.id, editable(context, models.Avatar)
        async with write_block(context) as transaction:
            avatars = store.repository(context.stores).within(transaction)
            owner = await defaults.hold_owner_of(transaction, (models.Avatar.id == key) & where)
            if owner is None:
                raise not_found("avatar", "id")
            before = await avatars.find_one((models.Avatar.id == key) & owner.has & where)
            if before is None:
                raise not_found("avatar", "id")
            avatar = await avatars.update(
                key,
                {"deleted_at": func.now(), "is_default": False, "updated_by": actor},
                where=where & owner.has & unchanged(models.Avatar, deletion.expected_updated_at),
            )
            if avatar is None:
                raise await why_not(context, avatars, Avatar, key, "avatar")
            if before.is_default:
                await defaults.pass_on(avatars, owner.id, actor)
        context.forget("Avatar")
        return DeleteAvatarPayload(avatar=Avatar.of(avatar))

    @strawberry.mutation(
        description="Bring a deleted avatar back; for its owner and admins. It becomes the default only where its "
        "owner has none. An owner who is deleted must be restored first, else the error is OWNER_DELETED."
    )
    @refusable(RestoreAvatarPayload)
    async def restore_avatar(
        self,
        info: strawberry.Info[Context],
        input: Annotated[RestoreAvatarInput, strawberry.argument(description="Which avatar it is.")],
    ) -> RestoreAvatarPayload | None:
        context = info.context
        actor = context.viewer.account_id
        key = validated(AvatarChoice, given(input)).id
        where = (models.Avatar.id == key) & editable(context, models.Avatar, deleted=True)
        async with write_block(context) as transaction:
            owner = await defaults.hold_owner_of(transaction, where)
            if owner is None:
                raise not_found("deleted avatar", "id")
            if not owner.is_live:
                raise conflict(
                    MutationErrorCode.OWNER_DELETED, "The avatar's owner is deleted: restore the account first.", "id"
                )
            avatar = await restore(
                transaction, models.Avatar, where & owner.has, is_default=defaults.is_free(owner.id), updated_by=actor
            )
            if avatar is None:
                raise not_found("deleted avatar", "id")
        context.forget("Avatar")
        return RestoreAvatarPayload(avatar=Avatar.of(avatar))
