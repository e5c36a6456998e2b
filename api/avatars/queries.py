"""Root fields of avatars."""

from __future__ import annotations

import strawberry

from api.avatars.inputs import AvatarFilter, AvatarOrder
from api.avatars.types import Avatar
from api.fields.connections import Connection
from api.fields.declared import connection, lookup


@strawberry.type
class AvatarQueries:
    avatar: Avatar | None = lookup(
        "avatar", description="One avatar by its id; null where there is none for this viewer."
    )
    avatars: Connection[Avatar] | None = connection(
        "avatars",
        filter=AvatarFilter,
        order=AvatarOrder,
        description="The avatars of the viewer; for admins, those of everyone. Needs a sign-in.",
    )
