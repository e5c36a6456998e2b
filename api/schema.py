"""The GraphQL schema."""

from __future__ import annotations

from typing import Final

import strawberry
from graphql import GraphQLError, print_schema
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from api.audit.queries import AuditQueries
from api.avatars.mutations import AvatarMutations
from api.avatars.queries import AvatarQueries
from api.catalog.mutations import CatalogMutations
from api.catalog.queries import CatalogQueries
from api.designs.mutations import DesignMutations
from api.designs.payloads import VersionConflict
from api.designs.queries import DesignQueries
from api.health.queries import HealthQueries
from api.mutations import ConflictError, InvalidInput, NotFoundError
from api.nodes import read
from api.queries import NodeQueries
from api.users.deletion_mutations import DeletionMutations
from api.users.deletion_preview import DeletionQueries
from api.users.mutations import AccountMutations
from api.users.queries import UserQueries

_CACHED_DOCUMENTS: Final = 1000


@strawberry.type(description="Everything that can be read.")
class Query(
    NodeQueries, UserQueries, AvatarQueries, CatalogQueries, DesignQueries, AuditQueries, HealthQueries, DeletionQueries
):
    pass


@strawberry.type(description="Everything that can be changed. Errors that a client can cause are in the payloads.")
class Mutation(AccountMutations, AvatarMutations, CatalogMutations, DesignMutations, DeletionMutations):
    pass


class Schema(strawberry.Schema):
    """Strawberry's schema without its own log: `api.graphql` logs what matters, once, with the request id."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        pass


schema: Final = Schema(
    query=Query,
    mutation=Mutation,
    types=[InvalidInput, NotFoundError, ConflictError, VersionConflict],  # reached through their interface only
    config=StrawberryConfig(default_resolver=read),
    extensions=[
        lambda: ParserCache(maxsize=_CACHED_DOCUMENTS),
        lambda: ValidationCache(maxsize=_CACHED_DOCUMENTS),
    ],
)


def print_sdl() -> str:
    """The schema in GraphQL's schema definition language, ending in a newline."""
    return print_schema(schema._schema) + "\n"
