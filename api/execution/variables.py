"""Variables, coerced as graphql-core does, but what doesn't depend on their values only once.

graphql-core looks up the types of all variables for each request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLSchema,
    Undefined,
    VariableDefinitionNode,
    get_nullable_type,
    is_leaf_type,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource

ReadVariables = Callable[[Mapping[str, Any]], VariableValues | None]
"""Coerces the given values; None where one is absent, null or invalid, which graphql-core has rules and errors for."""


def reader_of(schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]) -> ReadVariables | None:
    """What reads these variables; None where they aren't all scalars and enums."""
    signatures, coercions = [], []
    for definition in definitions:
        signature = get_variable_signature(schema, definition)
        if isinstance(signature, GraphQLError) or not is_leaf_type(leaf := get_nullable_type(signature.type)):
            return None
        signatures.append(signature)
        coercions.append((signature.name, leaf.coerce_input_value))

    def read(given: Mapping[str, Any]) -> VariableValues | None:
        values: list[Any] = [given.get(name) for name, _ in coercions]
        if None in values:
            return None
        try:
            coerced = {name: coerce(value) for (name, coerce), value in zip(coercions, values, strict=True)}
        except Exception:  # graphql-core takes any as invalid, and says what is wrong
            return None
        if Undefined in coerced.values():
            return None
        sources = [VariableValueSource(signature, value) for signature, value in zip(signatures, values, strict=True)]
        return VariableValues({source.signature.name: source for source in sources}, coerced)

    return read
