"""Odd values: what other programs have stored and a field can't show. What stands in their place, and who hears of it.

Null, where the schema lets it; else the field's documented default. An item of a list is left out. One odd value takes
nothing else away, and is never changed by being read. A field that is asked of a resolver has no odd values: there,
what can't be shown is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    Undefined,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.pyutils import Path
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from api.bounded_dict import BoundedDict
from api.execution.declarations import FieldPath, Substitute
from api.fields.declared import DEFAULT, DeclaredField
from api.fields.resolvers.values import Guarded, Stored
from api.fields.schema_types import DEFINITION, class_of
from api.ids import OBJECTS, RECORDS
from api.log import logger
from api.stores.views import Part, View, read

_MAX_REPORTED: Final = 10_000
_reported: BoundedDict[tuple[str, str, str], None] = BoundedDict(_MAX_REPORTED)

_OMITTED: Final = object()


def substitute_of(parent: GraphQLObjectType, definition: StrawberryField) -> Substitute | None:
    """What odd values of a field read as; None where the field is no stored value."""
    if not issubclass(class_of(parent), (View, Part)):
        return None
    if isinstance(definition, DeclaredField):
        declared = definition.batch_resolver
        if isinstance(declared, Stored):
            return partial(_substitute, declared.default)
        return partial(_substitute, None) if isinstance(declared, Guarded) else None
    return partial(_substitute, definition.metadata.get(DEFAULT, Undefined)) if definition.is_basic_field else None


def _substitute(default: Any, place: Path) -> Any:
    _report(place)
    if not callable(default):
        return default
    source = next(_steps(place)).source
    return default(getattr(source, "stored", source))


def _steps(place: Path | None) -> Iterator[FieldPath]:
    """The fields on the way to a place, the last one first."""
    while place is not None:
        if isinstance(place, FieldPath):
            yield place
        place = place.prev


def _report(place: Path) -> None:
    names: list[str] = []
    for step in _steps(place):
        names.append(step.name)
        if step.typename in OBJECTS or step.typename in RECORDS:
            report(step.typename, _key(step.source), ".".join(reversed(names)))
            return
    report(next(_steps(place)).typename or "", "", ".".join(reversed(names)))


def report(type_name: str, key: str, field: str) -> None:
    """Log, once a process, object and field, that what is stored there can't be shown."""
    if (type_name, key, field) not in _reported:
        _reported[type_name, key, field] = None
        logger.warning("odd value", type=type_name, id=key, field=field)


def _key(source: Any) -> str:
    stored = getattr(source, "stored", source)
    if isinstance(stored, dict) and "designId" in stored:
        return f"{stored['designId']}:{stored.get('version')}"
    try:
        return str(read(stored, "id"))
    except AttributeError:
        return ""


def odd_fields(named: GraphQLObjectType, source: Any, path: str = "") -> Iterator[str]:
    """Where what is stored in an object can't be shown: its fields, those of parts with dots."""
    for name, field in named.fields.items():
        definition = field.extensions.get(DEFINITION)
        if isinstance(definition, StrawberryField) and substitute_of(named, definition) is not None:
            found: list[str] = []
            shown = _shown(field.type, _raw(definition, source), partial(found.append, name))
            if found:
                yield path + name
            part = get_named_type(field.type)
            if isinstance(part, GraphQLObjectType):
                for each in shown if isinstance(shown, (list, tuple)) else (shown,):
                    yield from odd_fields(part, each, f"{path}{name}.") if each is not None else ()


def _raw(definition: StrawberryField, source: Any) -> Any:
    declared = definition.batch_resolver if isinstance(definition, DeclaredField) else None
    if isinstance(declared, Stored):
        return declared.read(source)
    return read(source, declared.name if isinstance(declared, Guarded) else definition.python_name)


def settle(schema: GraphQLSchema) -> None:
    """Let graphql-core, which completes what resolvers give by itself, find the same in the place of odd values."""
    for named in schema.type_map.values():
        if isinstance(named, GraphQLObjectType) and isinstance(
            named.extensions.get(DEFINITION), StrawberryObjectDefinition
        ):
            for name, field in named.fields.items():
                definition = field.extensions.get(DEFINITION)
                if (
                    isinstance(definition, StrawberryField)
                    and (substitute := substitute_of(named, definition)) is not None
                ):
                    assert field.resolve is not None
                    field.resolve = _showable(named.name, name, field, field.resolve, substitute)


def _showable(
    type_name: str, name: str, field: GraphQLField, resolve: Callable[..., Any], substitute: Substitute
) -> Callable[..., Any]:
    def resolved(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        def odd() -> Any:
            place = FieldPath(None, name, type_name)
            place.source, place.name = source, name
            return substitute(place)

        return _shown(field.type, resolve(source, info, **arguments), odd)

    return resolved


def _shown(type_: GraphQLOutputType, value: Any, odd: Callable[[], Any]) -> Any:
    """The value, without what a field of this type can't show."""
    non_null, bare = is_non_null_type(type_), _bare(type_)
    if value is None and not non_null:
        return None
    if not _fits(bare, value):
        default = odd()
        return default if non_null else None
    if is_list_type(bare):
        items = [_shown(bare.of_type, item, lambda: (odd(), _OMITTED)[1]) for item in value]
        return [item for item in items if item is not _OMITTED]
    return value


def _bare(type_: Any) -> Any:
    return type_.of_type if is_non_null_type(type_) else type_


def _fits(bare: Any, value: Any) -> bool:
    if is_list_type(bare):
        return isinstance(value, (list, tuple))
    if not is_leaf_type(bare):
        return isinstance(value, dict)
    try:
        return bare.coerce_output_value(value) not in (None, Undefined)
    except Exception:
        return False
