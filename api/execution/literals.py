"""Arguments with variables in them: coerced as graphql-core does, but what doesn't depend on the variables only once.

graphql-core walks all fields of an input type for each request. A filter of twenty fields with two variables in it took
longer so than reading the page that it is of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputType,
    Node,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_nullable_type,
    is_input_object_type,
    is_non_null_type,
)
from graphql.execution.values import VariableValues
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal

Read = Callable[[VariableValues], Any]
"""Gives the coerced value, or Undefined where it is invalid. Parts of it may be shared and must not be changed."""


def reader_of(definition: GraphQLField, node: FieldNode) -> Read:
    """What reads all arguments of a field: a dict of them, or Undefined where graphql-core has an error to tell."""
    return _members(definition.args, {argument.name.value: argument.value for argument in node.arguments or ()}) or _no


@dataclass(frozen=True, slots=True)
class _Member:
    """An argument, or a field of an input object. `variable` is its name, where its value is a variable alone."""

    name: str
    read: Read
    variable: str | None
    default: Any
    non_null: bool


def _members(
    definitions: Mapping[str, GraphQLArgument] | Mapping[str, GraphQLInputField], nodes: Mapping[str, ValueNode]
) -> Read | None:
    """What reads these nodes; None where they can't be valid."""
    if not nodes.keys() <= definitions.keys():
        return None
    members: list[_Member] = []
    for name, definition in definitions.items():
        node, default = nodes.get(name), coerce_default_value(definition)
        non_null = is_non_null_type(definition.type)
        if node is None and default is Undefined:
            if non_null:
                return None
            continue
        variable = node.name.value if isinstance(node, VariableNode) else None
        read = _constant(default) if node is None else _reader(node, definition.type)
        members.append(_Member(definition.out_name or name, read, variable, default, non_null))

    def read_all(values: VariableValues) -> Any:
        coerced, made = values.coerced, {}
        for member in members:
            if member.variable is None:
                value = member.read(values)
                if value is Undefined:
                    return Undefined
            elif (value := coerced.get(member.variable, Undefined)) is Undefined:
                if (value := member.default) is Undefined:
                    if member.non_null:
                        return Undefined
                    continue
            elif value is None and member.non_null:
                return Undefined
            made[member.name] = value
        return made

    return read_all


def _reader(node: ValueNode, type_: GraphQLInputType) -> Read:
    if not has_variable(node):
        return _constant(coerce_input_literal(node, type_))
    named = get_nullable_type(type_)
    if isinstance(node, ObjectValueNode) and is_input_object_type(named) and not named.is_one_of:
        members = _members(named.fields, {field.name.value: field.value for field in node.fields})
        if members is not None:
            return lambda values: made if (made := members(values)) is Undefined else named.out_type(made)
    return lambda values: coerce_input_literal(node, type_, values)


def _constant(value: Any) -> Read:
    return lambda _: value


def _no(_: VariableValues) -> Any:
    return Undefined


def has_variable(value: Node) -> bool:
    """Whether a literal has a variable in it. A loop, not recursion, since literals may be nested deeply."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, VariableNode):
            return True
        stack.extend(getattr(node, "values", ()) or ())
        stack.extend(field.value for field in getattr(node, "fields", ()) or ())
    return False
