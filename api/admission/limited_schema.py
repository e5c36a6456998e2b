"""Strawberry's schema with the limits of this API: it prepares an operation, and executes it while it may go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import graphql
import strawberry
from graphql import DocumentNode, GraphQLError, create_source_event_stream
from graphql import ExecutionResult as GraphQLExecutionResult
from graphql.pyutils import is_awaitable
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from api.admission.document_cache import documents
from api.admission.questions import Question
from api.admission.refusals import TimedOut, TooComplex, answer_too_large, require
from api.admission.variables import require_variables
from api.config.settings import Settings
from api.errors import AppError, BadOperation, ClientLeft, RateLimited
from api.execution import Executor, SizeBudget, TooLarge
from api.execution.operation import Operation
from api.fields.compiled import StrawberryDeclarations
from api.fields.context import Context
from api.fields.costs import Cost, Costs
from api.fields.equal_queries import execute_together
from api.live.following import Events
from api.log import current_cost, logger
from api.stores.calls import asked_field


@dataclass(frozen=True, slots=True)
class Opened:
    """A subscription that may run: where its events come from, what each of them costs at most, and what it asks."""

    events: Events[Any, Any]
    document: DocumentNode
    price: int
    question: Question


class LimitedSchema(strawberry.Schema):
    """A schema that knows its documents, measures and prices an operation, and ends it when a limit is reached.

    `costs` are those of fields that can't be read off the schema, by `Type.field`; the other parameters are
    Strawberry's. It logs no errors, since `api.http.endpoint` logs what matters.
    """

    def __init__(self, *, costs: Mapping[str, Cost], **others: Any) -> None:
        super().__init__(**others)
        self._declared_costs = costs

    @cached_property
    def executor(self) -> Executor:
        """What executes its operations."""
        declarations = StrawberryDeclarations(self, self.costs)
        return Executor(self._schema, declarations, on_fallback=_report_fallback, resolving=asked_field)

    @cached_property
    def costs(self) -> Costs:
        """What each field costs."""
        return Costs(self._schema, self._declared_costs)

    def forget(self, document: DocumentNode) -> None:
        """Drop what is kept with a document."""
        self.executor.forget(document)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Strawberry would log them all."""

    async def execute(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """As Strawberry's, for at most `execution_timeout`, until the answer gets larger than it may be, and a query
        until its client leaves: then the operation is cancelled, and refused."""
        context: Context = kwargs["context_value"]
        settings, coalescer = context.settings, context.stores.coalescer
        try:
            async with asyncio.timeout(settings.execution_timeout) as deadline:
                context.deadline = deadline
                if coalescer is not None:
                    coalescer.readers += 1
                try:
                    return await super().execute(*args, **kwargs)
                finally:
                    if coalescer is not None:
                        coalescer.readers -= 1
                    context.outlive_client()
        except TimeoutError:
            if not deadline.expired():
                raise
            if context.has_left:
                return _refused(ClientLeft())
            return _refused(TimedOut(settings.execution_timeout))
        except TooLarge as large:
            return _refused(answer_too_large(large.size, settings))

    async def open(self, operation: Operation, context: Context) -> Opened | ExecutionResult | PreExecutionError:
        """Prepare a subscription and ask for its events, or say why there are none."""
        execution = self._create_execution_context(
            query=operation.query,
            allowed_operation_types=[OperationType.SUBSCRIPTION],
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.name,
        )
        settings = context.settings
        try:
            async with asyncio.timeout(settings.execution_timeout) as deadline:
                try:
                    refused = await self._prepare(execution)
                except GraphQLError as error:
                    refused = PreExecutionError(data=None, errors=[error])
                except (TooComplex, RateLimited) as error:
                    refused = _refused(error)
                if refused is not None:
                    return refused
                node = execution.graphql_document
                assert node is not None
                core = graphql.Executor.build(
                    self._schema,
                    node,
                    context_value=context,
                    raw_variable_values=operation.variables,
                    operation_name=operation.name,
                    hide_suggestions=not settings.suggestions,
                )
                if isinstance(core, list):  # what is wrong with the variables
                    return ExecutionResult(data=None, errors=core)
                events: Any = create_source_event_stream(core)
                if is_awaitable(events):
                    events = await events
        except TimeoutError:
            if not deadline.expired():
                raise
            return _refused(TimedOut(settings.execution_timeout))
        if isinstance(events, GraphQLExecutionResult):
            return PreExecutionError(data=None, errors=events.errors)
        document = documents.get(operation.query, settings)
        definition = document.operation(operation.name)
        assert definition is not None
        price = document.price(definition, self.costs).of(operation.variables)
        return Opened(events, node, price, Question(self._schema, node, definition, operation))

    async def execute_event(self, opened: Opened, operation: Operation, event: Any, context: Context) -> Any:
        """The result of an event of a subscription."""
        settings, coalescer = context.settings, context.stores.coalescer
        context.only_reads = True
        try:
            async with asyncio.timeout(settings.execution_timeout) as deadline:
                if coalescer is not None:
                    coalescer.readers += 1
                try:
                    result = await self.executor.execute(
                        opened.document,
                        root_value=event,
                        context_value=context,
                        variable_values=operation.variables,
                        operation_name=operation.name,
                        size_budget=SizeBudget(settings.max_response_size),
                    )
                finally:
                    if coalescer is not None:
                        coalescer.readers -= 1
        except TimeoutError:
            if not deadline.expired():
                raise
            return _refused(TimedOut(settings.execution_timeout))
        except TooLarge as large:
            return _refused(answer_too_large(large.size, settings))
        return ExecutionResult(data=result.data, errors=result.errors)

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
        document, name, variables = context.graphql_document, context.operation_name, context.variables

        def execute(size_budget: SizeBudget) -> Awaitable[GraphQLExecutionResult]:
            return self.executor.execute(
                document,
                root_value=context.root_value,
                context_value=context.context,
                variable_values=variables,
                operation_name=name,
                size_budget=size_budget,
            )

        result = await execute_together(context.context, document, name, variables or {}, execute)
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
        if kind not in (None, OperationType.SUBSCRIPTION, *context.allowed_operations):
            assert kind is not None
            raise InvalidOperationTypeError(kind)
        is_new = document.is_new
        if is_new:  # each step takes up to tens of ms: the others get their turn in between
            await asyncio.sleep(0)
        else:
            documents.hits += 1
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
        if kind is OperationType.SUBSCRIPTION and kind not in context.allowed_operations:
            raise InvalidOperationTypeError(kind)
        if context.variables:
            require_variables(context.variables, settings)
        requested = document.price(operation, self.costs).of(context.variables)
        require("The operation costs too much", "max_cost", settings.max_cost, requested)
        if context.context.meter is not None:
            context.context.charged = await context.context.meter.charge(requested)
        if settings.report_cost:
            context.extensions_results["cost"] = {"requested": requested}
        if (asker := context.context.asker) is not None:
            asker.operation, asker.kind = context.context.operation_name, operation.operation.value
        if kind is OperationType.QUERY:
            context.context.only_read()
        elif kind is OperationType.MUTATION:
            context.context.writes = True
        return None


def _refused(error: AppError) -> PreExecutionError:
    return PreExecutionError(data=None, errors=[GraphQLError(error.message, original_error=error)])


def _report_fallback(reason: str, count: int) -> None:
    """Log, once for each reason, that graphql-core had to execute an operation."""
    if count == 1:
        logger.warning("executed by graphql-core", reason=reason)
