"""Odd values: values that other programs have stored and a field's type can't show.

They are shown as null where the schema allows it, else as the field's documented default; an odd item of a list is left
out. So an odd value takes nothing else away. It is logged, and reading never changes it. Fields with resolvers of their
own have no odd values: a value that can't be shown is a bug there.
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
    """The function that replaces odd values of a field; None where the field isn't stored."""
    if not issubclass(class_of(parent), (View, Part)):
        return None
    if isinstance(definition, DeclaredField):
        declared = definition.batch_resolver
        if isinstance(declared, Stored):
            return partial(_substitute, declared.default)
        return partial(_substitute, None) if isinstance(declared, Guarded) else None
    return partial(_substitute, definition.metadata.get(DEFAULT, Undefined)) if definition.is_basic_field else None


def _substitute(default: Any, path: Path) -> Any:
    _report(path)
    if not callable(default):
        return default
    source = next(_steps(path)).source
    return default(getattr(source, "stored", source))


def _steps(path: Path | None) -> Iterator[FieldPath]:
    """The fields on a path, the last one first."""
    while path is not None:
        if isinstance(path, FieldPath):
            yield path
        path = path.prev


def _report(path: Path) -> None:
    names: list[str] = []
    for step in _steps(path):
        names.append(step.name)
        if step.typename in OBJECTS or step.typename in RECORDS:
            report(step.typename, _key(step.source), ".".join(reversed(names)))
            return
    report(next(_steps(path)).typename or "", "", ".".join(reversed(names)))


def report(type_name: str, key: str, field: str) -> None:
    """Log that the stored value of a field can't be shown, once for each object and field in a process."""
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
    """The fields of an object whose stored values can't be shown; fields of parts as dotted paths."""
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
    """Replace odd values for graphql-core's executor, too: wrap the resolvers of stored fields."""
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
            path = FieldPath(None, name, type_name)
            path.source, path.name = source, name
            return substitute(path)

        return _shown(field.type, resolve(source, info, **arguments), odd)

    return resolved


def _shown(type_: GraphQLOutputType, value: Any, odd: Callable[[], Any]) -> Any:
    """The value, with everything replaced that a field of this type can't show."""
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
