"""`@semanticNonNull` in the printed schema, for fields that are null only together with an error.

The directive is that of the nullability working group, as Relay (18 and later) and Apollo's Kotlin client read it. With
`@throwOnFieldError`, they treat such a field as one that is never null.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from graphql import (
    DirectiveLocation,
    GraphQLArgument,
    GraphQLDirective,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    print_schema,
)

DIRECTIVE: Final = GraphQLDirective(
    name="semanticNonNull",
    locations=[DirectiveLocation.FIELD_DEFINITION],
    args={
        "levels": GraphQLArgument(
            GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLInt))),
            default_value=[0],
            description="Which lists it is about: 0 is the field itself, 1 the items of its list.",
        )
    },
    description="The field is null only where an error in the response says why.",
)
_IN_CONNECTIONS: Final = ("edges", "nodes", "totalCount", "facets")
_OF_QUERIES: Final = ("nodes", "users", "avatars", "catalogItems", "designs", "auditLog", "search", "suggest")
_TYPE: Final = re.compile(r"(?:type|interface) (\w+)")
_FIELD: Final = re.compile(r"  (\w+)[(:]")


def is_semantically_non_null(type_name: str, field: str) -> bool:
    """Whether a nullable field is null only together with an error."""
    if type_name.endswith("Connection"):
        return field in _IN_CONNECTIONS
    return type_name == "Mutation" or (type_name == "Query" and field in _OF_QUERIES)


def print_with_semantic_nulls(schema: GraphQLSchema) -> str:
    """The printed schema, with this directive added to the fields; graphql-core prints no directives on fields."""
    return "\n".join(_marked(print_schema(schema).splitlines()))


def _marked(lines: list[str]) -> Iterator[str]:
    type_name = field = ""
    described = False
    for line in lines:
        if line.count('"""') == 1:
            described = not described
        elif not described and (named := _TYPE.match(line)):
            type_name = named[1]
        elif not described and type_name:
            if begun := _FIELD.match(line):
                field = begun[1]
            ends = line.startswith("  ): ") or (begun is not None and not line.endswith("("))
            if ends and is_semantically_non_null(type_name, field):
                line += " @semanticNonNull"
            elif line == "}":
                type_name = ""
        yield line
