"""The payloads of the mutations of accounts."""

from __future__ import annotations

from datetime import datetime

import strawberry

from api.users.types import User
from api.writing.refusals import MutationError


@strawberry.type
class _Tokens:
    access_token: str | None = strawberry.field(
        default=None, description="Sent as `Authorization: Bearer <token>`; proves who is asking until `expiresAt`."
    )
    refresh_token: str | None = strawberry.field(
        default=None, description="Exchanged for new tokens with `refreshSession`, once. Keep it secret."
    )
    expires_at: datetime | None = strawberry.field(default=None, description="When the access token ends.")
    user: User | None = strawberry.field(default=None, description="Who is signed in.")
    errors: list[MutationError] = strawberry.field(
        default_factory=list, description="Why nobody was signed in; empty where somebody was."
    )


@strawberry.type(description="A new account, signed in.")
class SignUpPayload(_Tokens):
    pass


@strawberry.type(description="A new session.")
class SignInPayload(_Tokens):
    pass


@strawberry.type(description="A session that goes on.")
class RefreshSessionPayload(_Tokens):
    pass


@strawberry.type(description="How many sessions have ended.")
class SignOutPayload:
    ended: int = strawberry.field(default=0, description="Sessions that have ended.")
    errors: list[MutationError] = strawberry.field(
        default_factory=list, description="Why no session was looked for; empty where one was."
    )


@strawberry.type
class _Changed:
    user: User | None = strawberry.field(default=None, description="The account after the change.")
    errors: list[MutationError] = strawberry.field(
        default_factory=list, description="Why nothing changed; empty where it did."
    )


@strawberry.type(description="The viewer's account after the change.")
class UpdateProfilePayload(_Changed):
    pass


@strawberry.type(description="The viewer's account; its other sessions have ended.")
class ChangePasswordPayload(_Changed):
    pass


@strawberry.type(description="An account with its new role.")
class SetUserRolePayload(_Changed):
    pass


@strawberry.type(description="An account that may no longer sign in; its sessions have ended.")
class DeactivateUserPayload(_Changed):
    pass


@strawberry.type(description="An account that may sign in again.")
class ReactivateUserPayload(_Changed):
    pass
