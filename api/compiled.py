"""The schema for the compiled executor: what Strawberry's and our own fields mean."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from graphql import GraphQLField, GraphQLObjectType, is_non_null_type
from strawberry import Schema
from strawberry.types.arguments import convert_arguments
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from api.declarations import Declared, GlobalId, Stored
from api.execution import Batch, Declaration, Plain
from api.fields import DeclaredField
from api.ids import encode_id
from api.limits.cost import Costs
from api.nodes import Part, View, camel, read
from api.pagination import EXPRESSION
from api.selection import DEFINITION

_CONSTANTS: Final = (bool, int, float, str)


class StrawberryDeclarations:
    """How the fields of a Strawberry schema are executed, and what they cost."""

    def __init__(self, schema: Schema) -> None:
        self._converter = schema.schema_converter
        self._costs = Costs(schema._schema)

    def field(self, parent: GraphQLObjectType, name: str, field: GraphQLField) -> Declaration | None:
        """Plain fields are read, declared ones loaded in batches; None for resolvers."""
        definition = field.extensions.get(DEFINITION)
        origin = _origin(parent)
        if origin is None or not isinstance(definition, StrawberryField):
            return None  # introspection
        if isinstance(definition, DeclaredField):
            declared = definition.declaration
            if isinstance(declared, GlobalId):
                return _global_id(parent.name, origin)
            if isinstance(declared, Stored):
                return Plain(declared.read, _stored_expression(origin, declared))
            return Batch(declared.load, partial(self._prepare, definition, declared))
        if definition.is_basic_field:
            python_name = definition.python_name
            return Plain(
                partial(_read, python_name), _expression(origin, python_name, required=is_non_null_type(field.type))
            )
        if definition.metadata.get("computed"):
            assert definition.base_resolver is not None
            compute: Any = definition.base_resolver.wrapped_func
            return Plain(compute, definition.metadata.get(EXPRESSION))
        return None

    def source_class(self, type_: GraphQLObjectType) -> type | None:
        """The class of the objects that resolvers return for a type; that of embedded parts is `dict`."""
        definition: StrawberryObjectDefinition | None = type_.extensions.get(DEFINITION)
        if definition is None or definition.is_type_of is not None:
            return None
        if issubclass(definition.origin, Part):
            return dict
        generic = definition.concrete_of
        return definition.origin if generic is None else generic.origin

    def weight(self, parent: GraphQLObjectType, name: str) -> int:
        """What the field costs for each object that has it."""
        return self._costs.weight(parent.name, name)

    def item_weight(self, parent: GraphQLObjectType, name: str) -> int:
        """What each item of the field's list costs."""
        return self._costs.item_weight(parent.name, name)

    def _prepare(self, definition: StrawberryField, declared: Declared, arguments: Mapping[str, Any]) -> Any:
        converter = self._converter
        converted = convert_arguments(
            dict(arguments), definition.arguments, converter.scalar_registry, converter.config
        )
        return declared.prepare(converted)


def _origin(type_: GraphQLObjectType) -> type | None:
    definition: StrawberryObjectDefinition | None = type_.extensions.get(DEFINITION)
    return None if definition is None else definition.origin


def _read(name: str, source: Any) -> Any:
    return read(source, name)


def _global_id(type_name: str, origin: type) -> Plain:
    """`encode_id` of the object's own id."""
    key = f"str({_expression(origin, 'id')})"
    return Plain(
        lambda source: encode_id(type_name, read(source, "id")),
        f"b2a_base64(({type_name + ':'!r} + {key}).encode(), newline=False).decode()",
        {"b2a_base64": b2a_base64},
    )


def _expression(origin: type, name: str, *, required: bool = False) -> str:
    """`read(source, name)` as a Python expression, for how objects of this class are usually stored.

    A `required` value raises where it is missing.
    """
    if issubclass(origin, View):
        if not origin.of_documents:
            return f"source.stored.{name}"
        return "source.stored['_id']" if name == "id" else _item("source.stored", camel(name), required=required)
    if not issubclass(origin, Part):
        return f"source.{name}"
    if name == "id":
        return f"(source['_id'] if '_id' in source else {_item('source', 'id', required=required)})"
    return _item("source", camel(name), required=required)


def _item(source: str, key: str, *, required: bool) -> str:
    return f"{source}[{key!r}]" if required else f"{source}.get({key!r})"


def _stored_expression(origin: type, declared: Stored) -> str | None:
    if type(declared.default) not in _CONSTANTS and declared.default not in ((), {}):
        return None
    return f"({declared.default!r} if (d := {_expression(origin, declared.name)}) is None else d)"
