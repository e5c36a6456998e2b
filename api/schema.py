"""The GraphQL schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import strawberry
from graphql import GraphQLError, GraphQLInputObjectType, OperationDefinitionNode, print_schema
from strawberry.extensions import ParserCache, SchemaExtension, ValidationCache
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


def _mark_one_of(schema: Schema) -> None:
    """Tell graphql-core which inputs take exactly one field: Strawberry knows, but only its own rules ask it."""
    for named in schema._schema.type_map.values():
        if isinstance(named, GraphQLInputObjectType):
            named.is_one_of = named.extensions["strawberry-definition"].is_one_of


class OneOperation(SchemaExtension):
    """The specification's rule that a document of several operations needs a name; Strawberry runs the first."""

    def on_validate(self) -> Iterator[None]:
        """After ValidationCache, whose verdict this one adds to."""
        context = self.execution_context
        document = context.graphql_document
        if context._provided_operation_name is None and document is not None and not context.pre_execution_errors:
            operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
            if len(operations) > 1:
                context.pre_execution_errors = [
                    GraphQLError("operationName must say which of the operations to run.", operations)
                ]
        yield


schema: Final = Schema(
    query=Query,
    mutation=Mutation,
    types=[InvalidInput, NotFoundError, ConflictError, VersionConflict],  # reached through their interface only
    config=StrawberryConfig(default_resolver=read),
    extensions=[
        lambda: ParserCache(maxsize=_CACHED_DOCUMENTS),
        lambda: ValidationCache(maxsize=_CACHED_DOCUMENTS),
        OneOperation,
    ],
)
_mark_one_of(schema)


def print_sdl() -> str:
    """The schema in GraphQL's schema definition language, ending in a newline."""
    return print_schema(schema._schema) + "\n"
