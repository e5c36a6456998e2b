"""The domain of users."""

from __future__ import annotations

from typing import Final

from api.fields.costs import HASHING, Cost
from api.fields.domain import Domain, ObjectType
from api.ids import uuid_key
from api.users import loaders, policy
from api.users.deletion_mutations import DeletionMutations
from api.users.deletion_preview import DeletionQueries
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

deletion: Final = Domain(
    queries=(DeletionQueries,),
    mutations=(DeletionMutations,),
    costs={"Query.deletionPreview": Cost(20), "Mutation.deleteUser": Cost(100), "Mutation.restoreUser": Cost(100)},
)
"""Deleting and restoring users with what is theirs; a value of its own, since it stands at the end of the schema."""
