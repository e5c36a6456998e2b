"""Deleting and restoring users: a value beside that of the users, since its fields stand at the end of the schema."""

from __future__ import annotations

from typing import Final

from api.fields.costs import Cost
from api.fields.domain import Domain
from api.users.deletion.mutations import DeletionMutations
from api.users.deletion.preview import DeletionQueries

domain: Final = Domain(
    queries=(DeletionQueries,),
    mutations=(DeletionMutations,),
    costs={"Query.deletionPreview": Cost(20), "Mutation.deleteUser": Cost(100), "Mutation.restoreUser": Cost(100)},
)
