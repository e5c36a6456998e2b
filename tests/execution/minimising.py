"""Makes an operation that shows a difference as small as it can be, and keeps the difference.

Hypothesis shrinks what it draws, which takes minutes for an operation of some hundred draws. This takes parts of the
document away, one after the other, and is done in a moment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from graphql import (
    DocumentNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    parse,
    print_ast,
    validate,
)

from tests.execution.operations import Operation


def minimise(schema: GraphQLSchema, operation: Operation, fails: Callable[[Operation], bool]) -> Operation:
    """The smallest part of the operation for which `fails` is still true: nothing more can be taken away of it."""
    start = 0  # what came before did not help a moment ago: it is tried again when nothing else helps
    while True:
        for index, smaller in enumerate(parts_of(schema, operation, start), start):
            if smaller is not None and fails(smaller):
                operation, start = smaller, index
                break
        else:
            if not start:
                return operation
            start = 0


def parts_of(schema: GraphQLSchema, operation: Operation, start: int) -> Iterator[Operation | None]:
    """The operation with one part less, the largest parts first, None where that is not valid."""
    document = parse(operation.source, no_location=True)
    for changed in islice(_changes(document), start, None):
        tidied = _without_unused(changed)
        if tidied is None or validate(schema, tidied):
            yield None
            continue
        source = print_ast(tidied)
        names = {node.name.value for node in _walk(tidied) if isinstance(node, VariableNode)}
        variables = {name: value for name, value in operation.variables.items() if name in names}
        yield Operation(source, variables)
    for name in operation.variables:
        yield Operation(operation.source, {key: value for key, value in operation.variables.items() if key != name})


def _changes(node: Any) -> Iterator[Any]:
    """The node with one of the nodes in it taken away, or replaced by what is selected of it."""
    for key in node.keys:
        value = getattr(node, key)
        if isinstance(value, Node):
            for changed in _changes(value):
                yield dataclasses.replace(node, **{key: changed})
            if key in ("alias", "default_value") or (key == "type_condition" and isinstance(node, InlineFragmentNode)):
                yield dataclasses.replace(node, **{key: None})
        elif isinstance(value, tuple) and key != "definitions":
            for index, child in enumerate(value):
                rest = value[:index], value[index + 1 :]
                if key != "selections" or len(value) > 1:
                    yield dataclasses.replace(node, **{key: (*rest[0], *rest[1])})
                inner = getattr(child, "selection_set", None)
                if key == "selections" and isinstance(inner, SelectionSetNode):
                    yield dataclasses.replace(node, **{key: (*rest[0], *inner.selections, *rest[1])})
        if isinstance(value, tuple):
            for index, child in enumerate(value):
                for changed in _changes(child):
                    yield dataclasses.replace(node, **{key: (*value[:index], changed, *value[index + 1 :])})


def _without_unused(document: DocumentNode) -> DocumentNode | None:
    """The document without fragments and variables that nothing uses; None where nothing else is left."""
    used = {node.name.value for node in _walk(document) if isinstance(node, FragmentSpreadNode)}
    kept = [
        node
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode) or getattr(node, "name").value in used  # noqa: B009
    ]
    names = [
        inner.name.value
        for node in kept
        for key in ("selection_set", "directives")
        for part in _as_tuple(getattr(node, key))
        for inner in _walk(part)
        if isinstance(inner, VariableNode)
    ]
    definitions = [
        dataclasses.replace(
            node,
            variable_definitions=tuple(
                definition for definition in node.variable_definitions or () if definition.variable.name.value in names
            ),
        )
        if isinstance(node, OperationDefinitionNode)
        else node
        for node in kept
    ]
    return dataclasses.replace(document, definitions=tuple(definitions)) if definitions else None


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for key in node.keys:
        for child in _as_tuple(getattr(node, key)):
            if isinstance(child, Node):
                yield from _walk(child)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)
