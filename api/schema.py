"""The GraphQL schema."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, Final

import strawberry
from graphql import (
    DocumentNode,
    GraphQLArgument,
    GraphQLError,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    Undefined,
    is_introspection_type,
)
from graphql import ExecutionResult as GraphQLExecutionResult
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from api.admission.document_cache import documents
from api.admission.refusals import TimedOut, TooComplex, answer_too_large, require
from api.admission.variables import require_variables
from api.audit.domain import domain as audit
from api.avatars.domain import domain as avatars
from api.catalog.domain import domain as catalog
from api.config.settings import Settings
from api.designs.domain import domain as designs
from api.error_codes import ErrorCode
from api.errors import AppError, BadOperation, ClientLeft, RateLimited
from api.execution import Executor, TooLarge
from api.fields import odd_values, selection
from api.fields.compiled import StrawberryDeclarations
from api.fields.context import Context
from api.fields.costs import Costs
from api.fields.domain import Domains
from api.fields.queries import domain as nodes
from api.fields.schema_types import DEFINITION
from api.fields.semantic_nulls import DIRECTIVE, print_with_semantic_nulls
from api.fields.times import take_moments
from api.health.domain import domain as health
from api.ids import OBJECTS, RECORDS
from api.log import current_cost, logger
from api.stores.views import read
from api.users.domain import deletion
from api.users.domain import domain as users
from api.writing.refusals import ConflictError, InvalidInput, NotFoundError

DOMAINS: Final = Domains(
    (
        nodes,
        users,
        avatars,
        catalog,
        designs,
        audit,
        health,
        deletion,
    )
)
"""What the API consists of. A new domain is a package and a line here: docs/developing/new-domain.md."""

OBJECTS.update({name: type_.key for name, type_ in DOMAINS.objects.items()})
RECORDS.update({name: type_.key for name, type_ in DOMAINS.records.items()})


class Schema(strawberry.Schema):
    """Strawberry's schema, with limits and with what is known of documents; `api.http.endpoint` logs what matters."""

    @cached_property
    def executor(self) -> Executor:
        """What executes its operations."""
        return Executor(self._schema, StrawberryDeclarations(self, self.costs), on_fallback=_report_fallback)

    @cached_property
    def costs(self) -> Costs:
        """What each field costs."""
        return Costs(self._schema, DOMAINS.costs)

    def forget(self, document: DocumentNode) -> None:
        """Drop what is kept with a document."""
        self.executor.forget(document)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        pass

    async def execute(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """As Strawberry's, for at most `execution_timeout`, until the answer gets larger than it may be, and a query
        until its client leaves: then the operation is cancelled, and refused."""
        context: Context = kwargs["context_value"]
        settings = context.settings
        try:
            async with asyncio.timeout(settings.execution_timeout) as deadline:
                context.deadline = deadline
                try:
                    return await super().execute(*args, **kwargs)
                finally:
                    context.outlive_client()
        except TimeoutError:
            if not deadline.expired():
                raise
            if context.has_left:
                return _refused(ClientLeft())
            return _refused(TimedOut(settings.execution_timeout))
        except TooLarge as large:
            return _refused(answer_too_large(large.size, settings))

    async def _prepare_operation_async(
        self, context: ExecutionContext, extensions_runner: SchemaExtensionsRunner
    ) -> PreExecutionError | None:
        """Parse, measure, validate and price, in place of Strawberry's hooks for extensions: once a document.

        Extensions that do it cost 40 us a request, and can't check limits between parsing and validation.
        """
        try:
            return await self._prepare(context)
        except GraphQLError as error:
            return PreExecutionError(data=None, errors=[error])
        except (TooComplex, RateLimited) as error:
            return _refused(error)

    async def _execute_operation(self, execution_context: ExecutionContext, *_: Any) -> GraphQLExecutionResult:
        """Execute by the compiled executor, where Strawberry would call graphql-core.

        An extension that sets the result does the same for 40 us a request.
        """
        context = execution_context
        assert context.graphql_document is not None
        result = await self.executor.execute(
            context.graphql_document,
            root_value=context.root_value,
            context_value=context.context,
            variable_values=context.variables,
            operation_name=context.operation_name,
            size_budget=context.context.size_budget,
        )
        cost = context.extensions_results.get("cost")
        if result.extensions:
            context.context.spent = result.extensions["weight"] + context.context.surcharge
            if cost is not None:
                cost["actual"] = context.context.spent
        if cost is not None and (sent := current_cost.get()) is not None:
            statements = {"sql": sent.sql, "mongodb": sent.mongo, "joined": sent.joined}
            context.extensions_results["statements"] = statements
        context.result = result
        return result

    async def _prepare(self, context: ExecutionContext) -> PreExecutionError | None:
        """Raises GraphQLError, TooComplex, RateLimited, and Strawberry's errors about the operation's type."""
        settings: Settings = context.context.settings
        name = context._provided_operation_name
        document = documents.get(context.query or "", settings)
        context.graphql_document = document.node
        operation = document.operation(name)
        if operation is not None and operation.name is not None:
            context.context.operation_name = operation.name.value
        if operation is None and (name is not None or document.structure.operations == 0):
            raise CannotGetOperationTypeError(name)
        kind = OperationType(operation.operation.value) if operation is not None else None
        if kind is not None and kind not in context.allowed_operations:
            raise InvalidOperationTypeError(kind)
        is_new = document.is_new
        if is_new:  # each step takes up to tens of ms: the others get their turn in between
            await asyncio.sleep(0)
        errors = document.errors(self._schema, hide_suggestions=not settings.suggestions)
        if not errors and not settings.introspection:
            errors = document.introspection_errors(self._schema)
        if is_new:
            await asyncio.sleep(0)
        if not errors and operation is None:
            some = document.operations[:2]
            unclear = BadOperation("operationName must say which of the operations to run.")
            errors = [GraphQLError(unclear.message, some, original_error=unclear)]
        if errors:
            return PreExecutionError(data=None, errors=errors)
        assert operation is not None
        if context.variables:
            require_variables(context.variables, settings)
        requested = document.price(operation, self.costs).of(context.variables)
        require("The operation costs too much", "max_cost", settings.max_cost, requested)
        if context.context.meter is not None:
            context.context.charged = await context.context.meter.charge(requested)
        if settings.report_cost:
            context.extensions_results["cost"] = {"requested": requested}
        if kind is OperationType.QUERY:
            context.context.only_reads = True
            context.context.end_with_client()
        return None


def _refused(error: AppError) -> PreExecutionError:
    return PreExecutionError(data=None, errors=[GraphQLError(error.message, original_error=error)])


def _settle_defaults(schema: Schema) -> None:
    """Take away the default null: Strawberry gives it to what may be left out, and clients read it as a value that
    the server puts in. What is left out gets the default of the Python parameter, which is the same."""
    for named in schema._schema.type_map.values():
        given: list[GraphQLArgument | GraphQLInputField] = []
        if isinstance(named, GraphQLInputObjectType):
            given += named.fields.values()
        elif isinstance(named, (GraphQLObjectType, GraphQLInterfaceType)) and not is_introspection_type(named):
            given += (argument for field in named.fields.values() for argument in field.args.values())
        for one in given:
            if one.default_value is None:
                one.default_value = Undefined


def _settle_inputs(schema: Schema) -> None:
    """Tell graphql-core which inputs take exactly one field: Strawberry knows, but only its own rules ask it.

    And tell Strawberry the types of their fields, which it would find out anew for each value: half of what it takes
    to convert them.
    """
    for named in schema._schema.type_map.values():
        if isinstance(named, GraphQLInputObjectType):
            definition = named.extensions[DEFINITION]
            named.is_one_of = definition.is_one_of
            for field in definition.fields:
                field.resolve_type = partial(_constant, field.resolve_type(type_definition=definition))


def _settle_times(schema: Schema) -> None:
    """Say what a DateTime looks like, which Strawberry leaves open, and take only that: errors name their place."""
    times = schema._schema.type_map["DateTime"]
    assert isinstance(times, GraphQLScalarType)
    times.specified_by_url = "https://scalars.graphql.org/andimarek/date-time.html"
    take_moments(times)
    times.description = "A moment as text, with date, time and zone: `2025-11-17T10:30:00Z` (RFC 3339)."


def _constant(value: Any, **_: Any) -> Any:
    return value


def _report_fallback(reason: str, count: int) -> None:
    """Log, once for each reason, that graphql-core had to execute an operation."""
    if count == 1:
        logger.warning("executed by graphql-core", reason=reason)


DESCRIPTION: Final = """
Designs of clothes: stacks of layers on an avatar, each showing an item of a catalog.

Lists are Relay connections: `first`/`after` forwards, `last`/`before` backwards, with `filter` and `orderBy`; ids are
global, and `node` finds any object. Mutations take one `input` and return the changed object and `errors`. What needs
rights is sent with `Authorization: Bearer <access token>`, which `signIn` gives; a field that the viewer may not see
is null.
""".strip()


def _root(name: str, classes: Sequence[type], description: str) -> type:
    """The root type that has the fields of all these classes."""
    return strawberry.type(type(name, tuple(classes), {}), description=description)


schema: Final = Schema(
    query=_root("Query", DOMAINS.queries, "Everything that can be read."),
    mutation=_root(
        "Mutation",
        DOMAINS.mutations,
        "Everything that can be changed. Errors that a client can cause are in the payloads.",
    ),
    types=[InvalidInput, NotFoundError, ConflictError, *DOMAINS.types, ErrorCode],  # no field's type names them
    config=StrawberryConfig(default_resolver=read),
)
_settle_inputs(schema)
_settle_defaults(schema)
_settle_times(schema)
odd_values.settle(schema._schema)
schema._schema.directives = (*schema._schema.directives, DIRECTIVE)
schema._schema.description = DESCRIPTION  # Strawberry has no parameter for it
documents.when_forgotten += [schema.forget, selection.forget]


def print_sdl() -> str:
    """The schema in GraphQL's schema definition language, ending in a newline."""
    return print_with_semantic_nulls(schema._schema) + "\n"
