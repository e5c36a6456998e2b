"""What fields cost, in objects: one that is fetched costs 1, and so does each object of a page.

A leaf and what comes with its object (`properties`, the `node` of an edge) cost nothing. What can't be read off the
schema, the domains declare. What an operation may cost at most follows from it (`api.admission.price`), and what it did
cost: `weight` for every object that has the field, `item` for every item of its list. The two agree, so that what is
executed never costs more than what was asked for. What filters add to that is in `api.lists.costs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from graphql import (
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_introspection_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

from api.lists.costs import COUNT, COUNTS, FACETS, PAGE

SIZES: Final = ("first", "last")
"""The arguments that say how long a page may get."""
LEAVES: Final = 10
"""So many leaves of one object cost as much as an object."""
TEXT_SIZE: Final = 10_000
"""So many bytes of a large text do."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a field costs: `weight` for each object that has it, `item` for each item of its list.

    The list has at most `size` items; or as many as the argument `counted` has, where there is one. A field that may
    be a large text costs up to `text` besides, by its size.
    """

    weight: int = 0
    item: int = 0
    size: int = 1
    counted: str | None = None
    text: int = 0


FREE: Final = Cost()
_PARTS: Final = ("__Type.fields", "__Type.enumValues", "__Type.inputFields", "__Field.args")

MUTATION: Final = Cost(10)
"""Writes, in one transaction."""
HASHING: Final = Cost(50)
"""Hashes a password, which is slow on purpose."""

LARGE_TEXT: Final = Cost(text=1)
"""Costs by its size."""


class Costs:
    """The costs of all fields of a schema."""

    def __init__(self, schema: GraphQLSchema, declared: Mapping[str, Cost]) -> None:
        """Raises ValueError for a list of objects whose length nobody has declared, and for unknown declarations."""
        self.schema = schema
        self._costs: dict[tuple[str, str], Cost] = {}
        introspection, self._averages = _introspection(schema)
        mutation = schema.mutation_type
        for type_ in schema.type_map.values():
            if not (is_object_type(type_) or is_interface_type(type_)):
                continue
            for name, field in type_.fields.items():
                place = f"{type_.name}.{name}"
                known = declared.get(place) or introspection.get(place)
                default = MUTATION if type_ is mutation else None
                self._costs[type_.name, name] = known or default or _cost_of(type_, name, field)
        unknown = set(declared) - {f"{type_name}.{name}" for type_name, name in self._costs}
        if unknown:
            raise ValueError(f"there are no such fields: {', '.join(sorted(unknown))}")
        assert schema.query_type is not None
        self._costs[schema.query_type.name, "__schema"] = Cost(1)
        self._costs[schema.query_type.name, "__type"] = Cost(1)

    def of(self, type_name: str, field: str) -> Cost:
        """What a field costs; nothing where there is none of that name (`__typename`)."""
        return self._costs.get((type_name, field), FREE)

    def of_every(self, type_name: str, field: str) -> Cost:
        """The same where it is asked of every type, or every field of every type, of the schema."""
        return self._averages.get(f"{type_name}.{field}") or self.of(type_name, field)

    def weight(self, type_name: str, field: str) -> int:
        """What executing the field costs for one object of the type."""
        return self.of(type_name, field).weight

    def item_weight(self, type_name: str, field: str) -> int:
        """What each item of the field's list costs."""
        return self.of(type_name, field).item

    def text_weight(self, type_name: str, field: str) -> int:
        """What a text of the field costs at most."""
        return self.of(type_name, field).text


def is_of_every(type_name: str, field: str, *, every: bool) -> bool:
    """Whether what the field leads to is every type of the schema, or a part of every type that no other type has."""
    place = f"{type_name}.{field}"
    return place == "__Schema.types" or (every and place in _PARTS)


def is_page(field: GraphQLField) -> bool:
    """Whether the field's arguments say how long its list gets: that of a connection, or a plain one."""
    return SIZES[0] in field.args


def is_connection(type_: GraphQLNamedType) -> bool:
    """Whether the objects of a list of this type are in its edges or nodes."""
    return type_.name.endswith("Connection")


def is_rows(type_name: str, field: str) -> bool:
    """Whether it is one of the two fields of a connection that hold the objects of the page."""
    return type_name.endswith("Connection") and field in ("edges", "nodes")


def _cost_of(type_: GraphQLNamedType, name: str, field: GraphQLField) -> Cost:
    """What follows from the schema alone."""
    named: Any = get_named_type(field.type)
    if is_introspection_type(type_):
        return FREE
    if is_connection(type_) and name in (COUNTS, FACETS):
        return Cost(COUNT)  # it goes through the whole list, however short the page
    if type_.name.endswith("Facets"):
        return Cost(COUNT)
    if not is_composite_type(named):
        return FREE
    if is_page(field) and is_connection(named):
        return Cost(PAGE)
    if is_rows(type_.name, name):
        return Cost(item=1)
    if _is_list(field.type):
        if named.name != "MutationError":
            raise ValueError(f"how many items {type_.name}.{name} may have is not declared")
        return FREE  # however many there are: only one of them, a conflict, leads any further
    is_node = named.name == "Node" or any(each.name == "Node" for each in getattr(named, "interfaces", ()))
    return Cost(1) if is_node and not type_.name.endswith("Edge") else FREE


def _is_list(type_: Any) -> bool:
    return is_list_type(type_.of_type) if is_non_null_type(type_) else is_list_type(type_)


def _introspection(schema: GraphQLSchema) -> tuple[dict[str, Cost], dict[str, Cost]]:
    """The costs of introspection: of one type or field, whose lists are as long as the longest that there is, and of
    all of them, which are as long as they are on average."""
    types = list(schema.type_map.values())
    composite = [each for each in types if is_object_type(each) or is_interface_type(each)]
    fields = [field for each in composite for field in each.fields.values()]
    lengths = {
        "__Type.fields": [len(each.fields) for each in composite],
        "__Type.interfaces": [len(each.interfaces) for each in composite],
        "__Type.possibleTypes": [len(schema.get_possible_types(each)) for each in types if is_abstract_type(each)],
        "__Type.enumValues": [len(each.values) for each in types if is_enum_type(each)],
        "__Type.inputFields": [len(each.fields) for each in types if is_input_object_type(each)],
        "__Field.args": [len(field.args) for field in fields],
        "__Directive.args": [len(each.args) for each in schema.directives],
        "__Schema.types": [len(types)],
        "__Schema.directives": [len(schema.directives)],
    }
    among = {"__Type": len(types), "__Field": len(fields)}

    def costs(size: Callable[[str, list[int]], int]) -> dict[str, Cost]:
        return {place: Cost(item=2, size=max(1, size(place, found or [0]))) for place, found in lengths.items()}

    def average(place: str, found: list[int]) -> int:
        return ceil(sum(found) / max(1, among.get(place.split(".")[0], len(found))))

    return costs(lambda _, found: max(found)), costs(average)
