"""The payloads of the mutations of avatars."""

from __future__ import annotations

import strawberry

from api.avatars.types import Avatar
from api.writing.refusals import MutationError


@strawberry.type
class _Changed:
    avatar: Avatar | None = strawberry.field(
        default=None, description="The avatar after the change; with the error STALE, the avatar as it is."
    )
    errors: list[MutationError] = strawberry.field(
        default_factory=list, description="Why nothing changed; empty where it did."
    )


@strawberry.type(description="A new avatar.")
class CreateAvatarPayload(_Changed):
    pass


@strawberry.type(description="The avatar with its changes.")
class UpdateAvatarPayload(_Changed):
    pass


@strawberry.type(description="The avatar that is the default now.")
class SetDefaultAvatarPayload(_Changed):
    pass


@strawberry.type(description="The avatar that is deleted now.")
class DeleteAvatarPayload(_Changed):
    pass


@strawberry.type(description="The avatar that is back.")
class RestoreAvatarPayload(_Changed):
    pass
