"""The domain of avatars."""

from __future__ import annotations

from typing import Final

from api.avatars import loaders, policy
from api.avatars.mutations import AvatarMutations
from api.avatars.queries import AvatarQueries
from api.fields.costs import Cost
from api.fields.domain import Domain, ObjectType
from api.ids import uuid_key

FITTING: Final = Cost(50)
"""Compares the body with each size of a thousand items."""

domain: Final = Domain(
    queries=(AvatarQueries,),
    mutations=(AvatarMutations,),
    objects={"Avatar": ObjectType(uuid_key, "avatar", policy.avatars, by_owner=True)},
    loaders=loaders.sources,
    costs={"Avatar.fittingItems": FITTING},
)
