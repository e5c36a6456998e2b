"""The domain of users."""

from __future__ import annotations

from typing import Final

from api.fields.costs import HASHING
from api.fields.domain import Domain, ObjectType
from api.ids import uuid_key
from api.users import loaders, policy
from api.users.mutations import AccountMutations
from api.users.queries import UserQueries

domain: Final = Domain(
    queries=(UserQueries,),
    mutations=(AccountMutations,),
    objects={"User": ObjectType(uuid_key, "user", policy.users)},
    loaders=loaders.sources,
    costs={
        "Mutation.signIn": HASHING,
        "Mutation.signUp": HASHING,
        "Mutation.changePassword": HASHING,
    },
)
