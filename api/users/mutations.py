"""Mutations for signing up, in and out."""

from __future__ import annotations

import dataclasses
from typing import Annotated, TypeVar
from uuid import UUID

import strawberry
from sqlalchemy.exc import IntegrityError

import models
from api.accounts import security_log, sessions
from api.accounts.emails import canonical_email
from api.accounts.security_log import SecurityEvent
from api.error_codes import MutationErrorCode
from api.errors import RateLimited
from api.fields.context import Context
from api.rights.viewer import Viewer
from api.users import store
from api.users.administration import AdministrationMutations
from api.users.inputs import RefreshSessionInput, SignInInput, SignOutInput, SignUpInput
from api.users.payloads import RefreshSessionPayload, SignInPayload, SignOutPayload, SignUpPayload
from api.users.profile import ProfileMutations
from api.users.types import User
from api.users.validation import NewAccount
from api.writing.inputs import given, validated
from api.writing.refusals import ConflictError, InvalidInput, Refusal, refusable
from api.writing.write_block import write_block
from models import new_id

P = TypeVar("P", SignUpPayload, SignInPayload, RefreshSessionPayload)

WRONG = InvalidInput(code=MutationErrorCode.INVALID_CREDENTIALS, message="The email or the password is wrong.")
NO_SESSION = InvalidInput(
    code=MutationErrorCode.INVALID_REFRESH_TOKEN,
    message="The refresh token is not valid, or no longer: sign in.",
    path=["refreshToken"],
)
USED = ConflictError(
    code=MutationErrorCode.REFRESH_TOKEN_USED,
    message="The refresh token was exchanged a moment ago: use the tokens of that exchange.",
    path=["refreshToken"],
)
ATTEMPTS = 2
"""How often a sign-in is tried, since another one may re-hash the password at the same time."""


@strawberry.type
class AccountMutations(ProfileMutations, AdministrationMutations):
    @strawberry.mutation(description="Make an account and sign in to it.")
    @refusable(SignUpPayload)
    async def sign_up(
        self,
        info: strawberry.Info[Context],
        input: Annotated[SignUpInput, strawberry.argument(description="The new account.")],
    ) -> SignUpPayload | None:
        context = info.context
        account = validated(NewAccount, given(input))
        await context.auth.limits.arrive(context.address)
        values = account.model_dump(exclude={"password"})
        values |= {
            "id": new_id(),
            "password_hash": await context.auth.passwords.hash(account.password, context.address),
        }
        try:
            async with write_block(_as(context, values["id"]), system=True) as transaction:
                user = await store.repository(context.stores).within(transaction).create(values)
                opened = await sessions.begin(transaction, user.id, _lifetime(context))
        except IntegrityError as error:
            if not store.is_taken(error):
                raise
            raise store.email_taken() from None
        security_log.note(context, SecurityEvent.SIGNED_UP, account=user.id, name=canonical_email(user.email))
        return _signed_in(SignUpPayload, context, user, opened)

    @strawberry.mutation(
        description="Begin a session. The answer to a wrong email, a wrong password and an account that may not sign "
        "in is the same, INVALID_CREDENTIALS."
    )
    @refusable(SignInPayload)
    async def sign_in(
        self,
        info: strawberry.Info[Context],
        input: Annotated[SignInInput, strawberry.argument(description="Email and password.")],
    ) -> SignInPayload | None:
        context, name = info.context, canonical_email(input.email)
        try:
            await context.auth.limits.arrive(context.address)
            async with context.auth.limits.attempt(name, context.address):
                return await _signed_in_by(context, name, input.password)
        except RateLimited as error:
            security_log.note(context, SecurityEvent.SIGN_IN_LIMITED, name=name, code=error.code.name)
            raise

    @strawberry.mutation(
        description="Exchange a refresh token for new tokens. Send it without `Authorization`, since an access token "
        "that is no longer valid is refused. A refresh token that comes a second time ends the session."
    )
    @refusable(RefreshSessionPayload)
    async def refresh_session(
        self,
        info: strawberry.Info[Context],
        input: Annotated[RefreshSessionInput, strawberry.argument(description="The refresh token.")],
    ) -> RefreshSessionPayload | None:
        context = info.context
        user_id, _ = await _holder(context, input.refresh_token)
        async with write_block(_as(context, user_id), system=True) as transaction:
            user = await store.hold(transaction, user_id)
            if user is None:
                raise Refusal(NO_SESSION)
            session_id, outcome = await sessions.exchange(
                transaction,
                input.refresh_token,
                context.settings.refresh_token_lifetime,
                context.settings.session_max_age,
            )
        if isinstance(outcome, sessions.Opened):
            return _signed_in(RefreshSessionPayload, context, user, outcome)
        if outcome is sessions.Refusal.USED_JUST_NOW:
            raise Refusal(USED)
        if outcome is sessions.Refusal.REUSED and session_id is not None:
            context.auth.sessions.forget(session_id)
            security_log.note(
                context,
                SecurityEvent.REFRESH_TOKEN_REUSED,
                account=user_id,
                code=NO_SESSION.code.name,
                session=str(session_id),
            )
        raise Refusal(NO_SESSION)

    @strawberry.mutation(
        description="End the session of the request, or all sessions of the account. The refresh token of a session "
        "is enough: with it, nobody needs to be signed in, so that a client whose access token has ended can sign out "
        "all the same. One that nobody has handed out is INVALID_REFRESH_TOKEN."
    )
    @refusable(SignOutPayload)
    async def sign_out(
        self,
        info: strawberry.Info[Context],
        input: Annotated[SignOutInput, strawberry.argument(description="Which sessions are ended.")],
    ) -> SignOutPayload | None:
        context = info.context
        if input.refresh_token is None:
            user_id, session_id = context.viewer.account_id, context.viewer.session_id
        else:
            user_id, session_id = await _holder(context, input.refresh_token)
        async with write_block(_as(context, user_id), system=True) as transaction:
            only = None if input.everywhere else session_id
            ended = await sessions.end(transaction, user_id, "sign_out", only=only)
        context.auth.sessions.forget_user(user_id)
        security_log.note(context, SecurityEvent.SIGNED_OUT, account=user_id, sessions=str(ended))
        return SignOutPayload(ended=ended)


async def _signed_in_by(context: Context, name: str, password: str) -> SignInPayload:
    """Begin a session for this name and password. Raises Refusal."""
    found = None
    for _ in range(ATTEMPTS):
        found = await store.by_email(context.system_stores, name)
        stored = found.password_hash if found else None
        verdict = await context.auth.passwords.verify(password, stored, context.address)
        if found is None or not verdict.right:
            break
        async with write_block(_as(context, found.user_id), system=True) as transaction:
            user = await store.hold(
                transaction,
                found.user_id,
                password_hash=found.password_hash,
                change=verdict.new_hash is not None,
            )
            if user is None:
                continue
            if verdict.new_hash is not None:
                users = store.repository(context.stores).within(transaction)
                user = await users.update(user.id, {"password_hash": verdict.new_hash}) or user
            opened = await sessions.begin(transaction, user.id, _lifetime(context))
        security_log.note(context, SecurityEvent.SIGNED_IN, account=user.id, name=name)
        return _signed_in(SignInPayload, context, user, opened)
    account = found.user_id if found else None
    security_log.note(context, SecurityEvent.SIGN_IN_FAILED, account=account, name=name, code=WRONG.code.name)
    raise Refusal(WRONG)


async def _holder(context: Context, refresh_token: str) -> tuple[UUID, UUID]:
    """The account and the session that a refresh token belongs to. Raises Refusal."""
    found = await sessions.holder(context.system_stores, refresh_token)
    if found is None:
        raise Refusal(NO_SESSION)
    return found


def _lifetime(context: Context) -> int:
    """The lifetime of a new session, in seconds."""
    return min(context.settings.refresh_token_lifetime, context.settings.session_max_age)


def _as(context: Context, user_id: UUID) -> Context:
    """A context in which a client that isn't signed in yet acts on its own account."""
    return dataclasses.replace(context, viewer=Viewer(user_id))


def _signed_in(payload: type[P], context: Context, user: models.User, opened: sessions.Opened) -> P:
    """The payload after signing in. The account becomes the viewer of the operation, so that it can be selected."""
    context.become(Viewer(user.id, user.role, opened.session_id))
    access_token, expires_at = context.auth.tokens.issue(user.id, opened.session_id)
    return payload(
        access_token=access_token, refresh_token=opened.refresh_token, expires_at=expires_at, user=User.of(user)
    )
