"""Coerced arguments become what resolvers take: input objects of their Python classes.

It does what Strawberry's `convert_argument` does, but looks at the types once and not for each value: a filter with two
conditions took a tenth of what a page of 50 did. What is neither a leaf, a list nor an input object is Strawberry's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from functools import partial
from typing import Any, Final

from strawberry.relay import GlobalID
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import StrawberryArgument, _is_leaf_type, convert_argument
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    StrawberryType,
    has_object_definition,
)
from strawberry.types.lazy_type import LazyType

Convert = Callable[[Any], Any]
AS_IT_IS: Final = None
"""In place of a function, for values that stay what they are."""


class Conversion:
    """Converts arguments of a schema. Input types are looked at when the first value of them comes."""

    def __init__(self, converter: GraphQLCoreConverter) -> None:
        self._scalars = converter.scalar_registry
        self._config: StrawberryConfig = converter.config
        self._fields: dict[type, tuple[dict[str, None], list[tuple[str, str, Convert | None]]]] = {}

    def arguments(self, taken: Sequence[StrawberryArgument]) -> Mapping[str, tuple[str, Convert | None]]:
        """The Python name of each argument, and what converts it."""
        name_of = self._config.name_converter.from_argument
        return {name_of(each): (each.python_name, self._of(each.type)) for each in taken}

    def _of(self, type_: StrawberryType | type) -> Convert | None:
        by_strawberry = partial(convert_argument, type_=type_, scalar_registry=self._scalars, config=self._config)
        if isinstance(type_, StrawberryMaybe):
            return by_strawberry
        if isinstance(type_, StrawberryOptional):
            return self._of(type_.of_type)
        if isinstance(type_, LazyType):
            return self._of(type_.resolve_type())
        if isinstance(type_, StrawberryList):
            return partial(_list, self._of(type_.of_type))
        if _is_leaf_type(type_, self._scalars, (GlobalID,)):
            return AS_IT_IS
        definition = type_.__strawberry_definition__ if has_object_definition(type_) else None
        if definition is None or not definition.is_input or definition.from_input is not None:
            return by_strawberry
        return partial(self._object, definition)

    def _object(self, definition: StrawberryObjectDefinition, value: Mapping[str, Any] | None) -> Any:
        if value is None:
            return None
        known = self._fields.get(definition.origin)
        if known is None:
            known = self._fields[definition.origin] = self._looked_at(definition)
        absent, fields = known
        made: dict[str, Any] = {**absent}
        for name, python_name, convert in fields:
            if name in value:
                made[python_name] = value[name] if convert is None else convert(value[name])
        return definition.origin(**made)

    def _looked_at(
        self, definition: StrawberryObjectDefinition
    ) -> tuple[dict[str, None], list[tuple[str, str, Convert | None]]]:
        """The fields that are None where they are absent, and how each field is converted."""
        fields, name_of = definition.fields, self._config.name_converter.from_field
        absent = [each for each in fields if each.default_value is MISSING and each.default_factory is MISSING]
        return {each.python_name: None for each in absent}, [
            (name_of(each), each.python_name, self._of(each.resolve_type(type_definition=definition)))
            for each in fields
        ]


def _list(item: Convert | None, value: Any) -> Any:
    if value is None:
        return None
    return list(value) if item is None else [item(each) for each in value]
