"""Mutations by which users change their own account."""

from __future__ import annotations

from typing import Annotated

import strawberry
from sqlalchemy import case
from sqlalchemy.exc import IntegrityError

import models
from api.accounts import security_log, sessions
from api.accounts.emails import canonical_email, has_email
from api.accounts.security_log import SecurityEvent
from api.error_codes import MutationErrorCode
from api.errors import RateLimited
from api.fields.context import Context
from api.users import store
from api.users.inputs import ChangePasswordInput, UpdateProfileInput
from api.users.payloads import ChangePasswordPayload, UpdateProfilePayload
from api.users.store import Credentials
from api.users.types import User
from api.users.validation import NewPassword, Profile
from api.writing.edits import unchanged, why_not
from api.writing.inputs import given, validated
from api.writing.refusals import InvalidInput, Refusal, conflict, invalid, refusable
from api.writing.write_block import write_block

WRONG = InvalidInput(
    code=MutationErrorCode.INVALID_CREDENTIALS, message="The password is wrong.", path=["currentPassword"]
)


@strawberry.type
class ProfileMutations:
    @strawberry.mutation(description="Change the viewer's name or email.")
    @refusable(UpdateProfilePayload)
    async def update_profile(
        self,
        info: strawberry.Info[Context],
        input: Annotated[UpdateProfileInput, strawberry.argument(description="What changes about the account.")],
    ) -> UpdateProfilePayload | None:
        context = info.context
        user_id = context.viewer.account_id
        profile = validated(Profile, given(input))
        changes, where = profile.values(), unchanged(models.User, profile.expected_updated_at)
        if "email" in changes and changes["email"] == await store.email_of(context.stores, user_id):
            del changes["email"]  # an unchanged form changes nothing, and needs no password
        if "email" in changes:
            if profile.current_password is None:
                raise invalid("is needed for a change of the email", "currentPassword")
            verified = await _verified(context, profile.current_password)
            # another spelling of the same address stays verified
            changes["email_verified"] = case((has_email(changes["email"]), models.User.email_verified), else_=False)
            where &= models.User.password_hash == verified.password_hash
        users = store.repository(context.stores)
        try:
            async with write_block(context) as transaction:
                values = changes | {"updated_by": user_id} if changes else {}
                user = await users.within(transaction).update(user_id, values, where=where)
        except IntegrityError as error:
            if not store.is_taken(error):
                raise
            raise store.email_taken() from None
        if user is None:
            raise await why_not(context, users, User, user_id, "user")
        context.loader("user").clear(user_id)
        if "email" in changes:
            name = canonical_email(user.email)
            security_log.note(context, SecurityEvent.EMAIL_CHANGED, account=user_id, name=name)
        return UpdateProfilePayload(user=User.of(user))

    @strawberry.mutation(description="Replace the viewer's password. All other sessions of the account end.")
    @refusable(ChangePasswordPayload)
    async def change_password(
        self,
        info: strawberry.Info[Context],
        input: Annotated[ChangePasswordInput, strawberry.argument(description="The old and the new password.")],
    ) -> ChangePasswordPayload | None:
        context = info.context
        user_id = context.viewer.account_id
        new_password = validated(NewPassword, {"new_password": input.new_password}).new_password
        verified = await _verified(context, input.current_password)
        new_hash = await context.auth.passwords.hash(new_password, context.address)
        users = store.repository(context.stores)
        async with write_block(context) as transaction:
            user = await users.within(transaction).update(
                user_id,
                {"password_hash": new_hash, "updated_by": user_id},
                where=models.User.password_hash == verified.password_hash,
            )
            if user is None:
                raise conflict(MutationErrorCode.STALE, "The password has changed in the meantime.", "currentPassword")
            await sessions.end(transaction, user_id, "password", but=context.viewer.session_id)
        context.auth.sessions.forget_user(user_id)
        context.loader("user").clear(user_id)
        security_log.note(context, SecurityEvent.PASSWORD_CHANGED, account=user_id)
        return ChangePasswordPayload(user=User.of(user))


async def _verified(context: Context, password: str) -> Credentials:
    """The viewer's credentials, if the password is right. Raises Refusal, and RateLimited after too many failures."""
    user_id = context.viewer.account_id
    try:
        await context.auth.limits.arrive(context.address)
        async with context.auth.limits.attempt(user_id, context.address):
            found = await store.by_id(context.stores, user_id)
            stored = found.password_hash if found else None
            verdict = await context.auth.passwords.verify(password, stored, context.address)
            if found is None or not verdict.right:
                security_log.note(context, SecurityEvent.SIGN_IN_FAILED, account=user_id, code=WRONG.code.name)
                raise Refusal(WRONG)
    except RateLimited as error:
        security_log.note(context, SecurityEvent.SIGN_IN_LIMITED, account=user_id, code=error.code.name)
        raise
    return found
