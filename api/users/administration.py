"""Mutations by which admins change accounts: roles, deactivation, reactivation."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

import models
from api.accounts import security_log, sessions
from api.accounts.security_log import SecurityEvent
from api.fields.context import Context
from api.users import store
from api.users.inputs import DeactivateUserInput, ReactivateUserInput, SetUserRoleInput
from api.users.payloads import DeactivateUserPayload, ReactivateUserPayload, SetUserRolePayload
from api.users.types import User
from api.users.validation import Chosen
from api.writing.inputs import validated
from api.writing.refusals import not_found, refusable
from api.writing.write_block import write_block


@strawberry.type
class AdministrationMutations:
    @strawberry.mutation(description="Say what an account may do; for admins. Takes effect within a second.")
    @refusable(SetUserRolePayload)
    async def set_user_role(
        self,
        info: strawberry.Info[Context],
        input: Annotated[SetUserRoleInput, strawberry.argument(description="The account and its role.")],
    ) -> SetUserRolePayload | None:
        user = await _change(info.context, input.id, {"role": input.role.value})
        security_log.note(info.context, SecurityEvent.ROLE_CHANGED, account=user.id, role=user.role)
        return SetUserRolePayload(user=User.of(user))

    @strawberry.mutation(
        description="End all sessions of an account and keep it from signing in; for admins. Takes effect within a "
        "second. What the account has published or offers stays for everyone to see: archive or delete that to hide it."
    )
    @refusable(DeactivateUserPayload)
    async def deactivate_user(
        self,
        info: strawberry.Info[Context],
        input: Annotated[DeactivateUserInput, strawberry.argument(description="Which account it is.")],
    ) -> DeactivateUserPayload | None:
        user = await _change(info.context, input.id, {"is_active": False})
        security_log.note(info.context, SecurityEvent.DEACTIVATED, account=user.id)
        return DeactivateUserPayload(user=User.of(user))

    @strawberry.mutation(description="Let an account sign in again; for admins.")
    @refusable(ReactivateUserPayload)
    async def reactivate_user(
        self,
        info: strawberry.Info[Context],
        input: Annotated[ReactivateUserInput, strawberry.argument(description="Which account it is.")],
    ) -> ReactivateUserPayload | None:
        user = await _change(info.context, input.id, {"is_active": True})
        security_log.note(info.context, SecurityEvent.REACTIVATED, account=user.id)
        return ReactivateUserPayload(user=User.of(user))


async def _change(context: Context, global_id: str, values: dict[str, Any]) -> models.User:
    """Make an admin's change of an account. Raises Forbidden, and Refusal where it doesn't exist or is the last
    admin."""
    actor = context.viewer.require("admin")
    user_id = validated(Chosen, {"id": global_id}).id
    users = store.repository(context.stores)
    async with write_block(context) as transaction:
        if values.get("role", "admin") != "admin" or not values.get("is_active", True):
            await store.keep_an_admin(transaction, without=user_id)
        user = await users.within(transaction).update(user_id, values | {"updated_by": actor})
        if user is None:
            raise not_found("user", "id")
        if not user.is_active:
            await sessions.end(transaction, user_id, "deactivated")
    context.auth.sessions.forget_user(user_id)
    context.loader("user").clear(user_id)
    return user
