"""Walking the schema: selections of everything, and what came of every field."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)

from api.ids import RECORDS
from api.schema import schema

SCHEMA: Final[GraphQLSchema] = schema._schema
ARGUMENTS: Final[Mapping[str, str]] = {"Design.revision": "(version: 2)", "Design.diff": "(from: 1, to: 3)"}
"""Of fields that can't do without."""

Seen = dict[str, list[Any]]
"""What came of each field, as `Type.field`."""


def object_type(name: str) -> GraphQLObjectType:
    found = SCHEMA.type_map[name]
    assert isinstance(found, GraphQLObjectType)
    return found


def type_of(field: GraphQLField) -> Any:
    """What a field is of, or a list of."""
    return get_named_type(field.type)


def is_node(named: Any) -> bool:
    """Whether the type stands for itself: it is walked from a query of its own. What is recorded of others isn't."""
    return (
        isinstance(named, GraphQLObjectType)
        and any(interface.name == "Node" for interface in named.interfaces)
        and named.name not in RECORDS
    )


def everything(of: GraphQLObjectType) -> str:
    """A selection of every field of a type, and of what is part of it; of other objects the id."""
    parts = []
    for name, field in of.fields.items():
        arguments = ARGUMENTS.get(f"{of.name}.{name}", "")
        parts.append(f"{name}{arguments} {selection(type_of(field))}")
    return "{ " + " ".join(parts) + " }"


def selection(named: Any) -> str:
    """What is selected of a field of this type."""
    if is_leaf_type(named):
        return ""
    if is_node(named):
        return "{ id }"
    if isinstance(named, GraphQLInterfaceType):
        if named.name == "Node":
            return "{ __typename }"
        inner = " ".join(f"... on {one.name} {everything(one)}" for one in SCHEMA.get_possible_types(named))
        return f"{{ __typename {inner} }}"
    if isinstance(named, GraphQLUnionType):
        return "{ __typename }"
    assert isinstance(named, GraphQLObjectType)
    return everything(named)


def record(of: GraphQLObjectType, data: Any, seen: Seen | None = None) -> Seen:
    """The values of each field in the data of `everything(of)`, those of parts too."""
    seen = defaultdict(list) if seen is None else seen
    if isinstance(data, list):
        for item in data:
            record(of, item, seen)
    elif data is not None:
        for name, value in data.items():
            if name == "__typename":
                continue
            seen[f"{of.name}.{name}"].append(value)
            named = type_of(of.fields[name])
            if isinstance(named, GraphQLInterfaceType) and named.name != "Node":
                for item in value or ():
                    record(object_type(item["__typename"]), item, seen)
            elif isinstance(named, GraphQLObjectType) and not is_node(named):
                record(named, value, seen)
    return seen


def reachable(roots: Iterable[str]) -> set[str]:
    """The object types that fields lead to, the roots themselves included."""
    found, open = set[str](), list(roots)
    while open:
        name = open.pop()
        if name in found:
            continue
        found.add(name)
        for field in object_type(name).fields.values():
            named = type_of(field)
            if isinstance(named, GraphQLInterfaceType):
                open += [one.name for one in SCHEMA.get_possible_types(named)]
            elif isinstance(named, GraphQLObjectType):
                open.append(named.name)
    return found


def fields_of(types: Iterable[str]) -> set[str]:
    """Every field of these types, as `Type.field`."""
    return {f"{name}.{field}" for name in types for field in object_type(name).fields}


def table(rows: Mapping[frozenset[str], str]) -> dict[str, frozenset[str]]:
    """A table of rights by `Type.field`, of one by who may see, each with lines of `Type: field field`."""
    found: dict[str, frozenset[str]] = {}
    for viewers, lines in rows.items():
        for line in lines.strip().splitlines():
            name, _, fields = line.strip().partition(":")
            for field in fields.split():
                assert f"{name}.{field}" not in found, f"{name}.{field} is in the table twice"
                found[f"{name}.{field}"] = viewers
    return found
