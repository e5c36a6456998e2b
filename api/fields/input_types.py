"""Inputs and arguments of the GraphQL schema: what Strawberry knows of them, and graphql-core should, too."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    is_introspection_type,
)
from strawberry.schema.name_converter import NameConverter
from strawberry.types.field import StrawberryField

from api.fields.schema_types import DEFINITION

_NAMES: Final = NameConverter()


def settle(schema: GraphQLSchema) -> None:
    """Change the inputs and arguments of a schema that Strawberry has made."""
    for named in schema.type_map.values():
        if isinstance(named, GraphQLInputObjectType):
            _take_over(named)
            _take_nulls_away(named.fields.values())
        elif isinstance(named, (GraphQLObjectType, GraphQLInterfaceType)) and not is_introspection_type(named):
            for field in named.fields.values():
                _take_nulls_away(field.args.values())
                if isinstance(declared := field.extensions.get(DEFINITION), StrawberryField):
                    for argument in declared.arguments:
                        argument.graphql_name = _NAMES.from_argument(argument)


def _take_over(named: GraphQLInputObjectType) -> None:
    """Tell graphql-core whether an input takes exactly one field: Strawberry knows, but only its own rules ask it.

    And tell Strawberry the types and the names of the input's fields, which it would find out anew for each value: that
    is most of what it takes to convert one.
    """
    definition = named.extensions[DEFINITION]
    named.is_one_of = definition.is_one_of
    for field in definition.fields:
        field.resolve_type = partial(_constant, field.resolve_type(type_definition=definition))
        field.graphql_name = _NAMES.from_field(field)


def _take_nulls_away(places: Iterable[GraphQLArgument | GraphQLInputField]) -> None:
    """Take away the default null, which Strawberry gives to what may be left out: clients would read it as a value
    that the server puts in. What is left out gets the default of the Python parameter, which is the same."""
    for place in places:
        if place.default_value is None:
            place.default_value = Undefined


def _constant(value: Any, **_: Any) -> Any:
    return value
