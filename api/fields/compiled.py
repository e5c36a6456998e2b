"""Tells the compiled executor how the fields of the Strawberry schema are executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import asyncpg
from graphql import GraphQLField, GraphQLObjectType, is_non_null_type
from strawberry import Schema
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from api.execution import Batch, Converted, Declaration, Plain, TextWeight
from api.fields import odd_values
from api.fields.connections import EXPRESSION
from api.fields.conversion import Conversion, Convert
from api.fields.costs import LEAVES, TEXT_SIZE, Costs
from api.fields.declared import DeclaredField
from api.fields.resolvers.base import BatchResolver
from api.fields.resolvers.values import GlobalId, Stored
from api.fields.schema_types import DEFINITION, class_of, from_source
from api.ids import encode_id, encode_ids
from api.lists.filters import require_bounded
from api.stores.views import Part, View, camel, read, read_all

_CONSTANTS: Final = (bool, int, float, str)


class StrawberryDeclarations:
    """How the fields of a Strawberry schema are executed, and what they cost."""

    def __init__(self, schema: Schema, costs: Costs) -> None:
        self._conversion = Conversion(schema.schema_converter)
        self._costs = costs

    def field(self, parent: GraphQLObjectType, name: str, field: GraphQLField) -> Declaration | None:
        """How the field is executed: plain fields are read, declared ones are loaded in batches. None for other
        resolvers."""
        definition = field.extensions.get(DEFINITION)
        if not isinstance(definition, StrawberryField):
            return None  # a field of introspection
        if isinstance(definition, DeclaredField):
            declared = definition.batch_resolver
            if isinstance(declared, GlobalId):
                return Plain(partial(_global_id, parent.name), read_all=partial(_global_ids, parent.name))
            if isinstance(declared, Stored):
                expression = _stored_expression(class_of(parent), declared)
                return Plain(declared.read, expression, substitute=odd_values.substitute_of(parent, definition))
            prepare = partial(self._prepare, self._conversion.arguments(definition.arguments), declared)
            return Batch(declared.load, prepare, odd_values.substitute_of(parent, definition))
        if definition.is_basic_field:
            name, required = definition.python_name, is_non_null_type(field.type)
            origin = class_of(parent)
            expression = _expression(origin, name, required=required)
            substitute = odd_values.substitute_of(parent, definition)
            return Plain(partial(_read, name), expression, substitute=substitute)
        if definition.metadata.get("computed"):
            assert definition.base_resolver is not None
            compute: Any = definition.base_resolver.wrapped_func
            return Plain(_computed(compute, self.from_source(parent)), definition.metadata.get(EXPRESSION))
        return None

    def is_source(self, type_: GraphQLObjectType, class_: type) -> bool:
        """Whether resolvers or declared fields return instances of this class for the type."""
        definition: StrawberryObjectDefinition | None = type_.extensions.get(DEFINITION)
        if definition is None or definition.is_type_of is not None:
            return False
        origin = class_of(type_)
        sources = dict if issubclass(origin, Part) else getattr(origin, "sources", ())
        return class_ is origin or issubclass(class_, sources)

    def from_source(self, type_: GraphQLObjectType) -> Callable[[Any], Any] | None:
        """The function that makes a view, a connection or an edge from its source."""
        return from_source(type_)

    def weight(self, parent: GraphQLObjectType, name: str) -> int:
        """What the field costs for each object that has it."""
        return self._costs.weight(parent.name, name)

    def item_weight(self, parent: GraphQLObjectType, name: str) -> int:
        """What each item of the field's list costs."""
        return self._costs.item_weight(parent.name, name)

    def leaves_weight(self, count: int) -> int:
        """What so many leaves of one object cost."""
        return count // LEAVES

    def text_weight(self, parent: GraphQLObjectType, name: str) -> TextWeight | None:
        """What large texts of the field cost."""
        most = self._costs.text_weight(parent.name, name)
        return TextWeight(TEXT_SIZE, most) if most else None

    def _prepare(
        self,
        table: Mapping[str, tuple[str, Convert | None]],
        declared: BatchResolver,
        arguments: Mapping[str, Any],
        known: Converted,
    ) -> Any:
        """Convert the arguments. Input objects are converted once an operation."""
        found: dict[str, Any] = {}
        for name, value in arguments.items():
            python_name, convert = table[name]
            if convert is None:
                found[python_name] = value
            elif type(value) is dict:
                if (key := (id(value), name)) not in known:
                    if name == "filter":
                        require_bounded(value)
                    known[key] = value, convert(value)
                found[python_name] = known[key][1]
            else:
                found[python_name] = convert(value)
        return declared.prepare(found)


def _read(name: str, source: Any) -> Any:
    return read(source, name)


def _global_id(type_name: str, source: Any) -> str:
    return encode_id(type_name, read(source, "id"))


def _global_ids(type_name: str, sources: Sequence[Any]) -> Sequence[str]:
    return encode_ids(type_name, read_all(sources, "id"))


def _expression(origin: type, name: str, *, required: bool = False) -> str:
    """`read(source, name)` as a Python expression, for the way in which objects of this class are usually stored.

    The expression raises where a `required` value is missing.
    """
    if issubclass(origin, View):
        if origin.sources == (asyncpg.Record,):
            return f"source[{name!r}]"
        if origin.sources == (dict,):
            return "source['_id']" if name == "id" else _item(camel(name), required=required)
    elif issubclass(origin, Part):
        key = _item(camel(name), required=required)
        return key if name != "id" else f"(source['_id'] if '_id' in source else {key})"
    return f"source.{name}"


def _item(key: str, *, required: bool) -> str:
    return f"source[{key!r}]" if required else f"source.get({key!r})"


def _stored_expression(origin: type, declared: Stored) -> str | None:
    if declared.fits is not None or type(declared) is not Stored:
        return None
    if type(declared.default) not in _CONSTANTS and declared.default not in ((), {}):
        return None
    return f"({declared.default!r} if (d := {_expression(origin, declared.name)}) is None else d)"


def _computed(compute: Callable[[Any], Any], from_source: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    return compute if from_source is None else lambda source: compute(from_source(source))
