"""Fields that say what arrived in their argument `input`, for each kind of input."""

from __future__ import annotations

from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLDefaultInput,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
)


def _external(value: Any) -> str:
    assert value == "External"
    return "Internal"


def _fail(_value: Any) -> Any:
    raise GraphQLError("It can't be read", extensions={"code": "FAULTY"})


EXTERNAL: Final = GraphQLScalarType("External", coerce_input_value=_external)
FAULTY: Final = GraphQLScalarType("Faulty", coerce_input_value=_fail)
JSON: Final = GraphQLScalarType("Json")
INPUT: Final = GraphQLInputObjectType(
    "Input",
    {
        "a": GraphQLInputField(GraphQLString),
        "b": GraphQLInputField(GraphQLList(GraphQLString)),
        "c": GraphQLInputField(GraphQLNonNull(GraphQLString)),
        "d": GraphQLInputField(EXTERNAL),
        "e": GraphQLInputField(FAULTY),
    },
)
NESTED: Final = GraphQLInputObjectType(
    "Nested", {"n": GraphQLInputField(GraphQLNonNull(INPUT)), "m": GraphQLInputField(GraphQLNonNull(GraphQLString))}
)
CUSTOM: Final = GraphQLInputObjectType(
    "Custom",
    {"x": GraphQLInputField(GraphQLFloat), "y": GraphQLInputField(GraphQLFloat)},
    out_type=lambda value: f"({value['x']}|{value['y']})",
)
ONE: Final = GraphQLInputObjectType(
    "One", {"a": GraphQLInputField(GraphQLString), "b": GraphQLInputField(GraphQLInt)}, is_one_of=True
)
ODD: Final = GraphQLEnumType("Odd", {"NULL": None, "FALSE": False, "CUSTOM": "a custom value", "TUPLE": (1, "x")})
_must: Final = GraphQLNonNull


def _say(_source: Any, _info: GraphQLResolveInfo[Any], **arguments: Any) -> str | None:
    return repr(arguments["input"]) if "input" in arguments else None


def _field(type_: Any, **values: Any) -> GraphQLField:
    return GraphQLField(GraphQLString, {"input": GraphQLArgument(type_, **values)}, resolve=_say)


SCHEMA: Final = GraphQLSchema(
    GraphQLObjectType(
        "Query",
        {
            "input": _field(INPUT),
            "nested": _field(NESTED),
            "custom": _field(CUSTOM),
            "one": _field(_must(ONE)),
            "enum": _field(_must(ODD)),
            "json": _field(JSON),
            "text": _field(GraphQLString),
            "must": _field(_must(GraphQLString)),
            "default": _field(_must(GraphQLString), default=GraphQLDefaultInput("default")),
            "list": _field(GraphQLList(GraphQLString)),
            "mustList": _field(_must(GraphQLList(GraphQLString))),
            "listOfMust": _field(GraphQLList(_must(GraphQLString))),
            "mustListOfMust": _field(_must(GraphQLList(_must(GraphQLString)))),
        },
    )
)
