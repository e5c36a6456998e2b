"""Declaring fields: a reference or a connection says which loader and key it uses, and nothing else.

So what a query needs can be read off the schema (`api.fields.selection`), and a plan can be made of it
(`api.fields.compiled`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import strawberry
from graphql import get_named_type
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

from api.execution import Loading
from api.fields.resolvers.base import BatchResolver
from api.fields.resolvers.lists import ListOf
from api.fields.resolvers.references import Lookup, Reference, References
from api.fields.resolvers.values import GlobalId, Guarded, Stored
from api.fields.schema_types import from_source
from api.lists.pagination import MAX_SIZE
from api.rights.policies import Guard

Present = Callable[[Any], Any]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Shown in place of a missing time that should always be there."""
BATCH_RESOLVER: Final = "batch_resolver"
DEFAULT: Final = "default"
"""The key in a plain field's metadata of the value that replaces odd ones; see `api.fields.odd_values`."""


class DeclaredField(StrawberryField):
    """A field with a batch resolver, which is kept in its metadata."""

    # get_result returns awaitables itself, and needs the Info, which plain fields don't get
    is_async = False
    is_basic_field = False

    @property
    def batch_resolver(self) -> BatchResolver:
        """The resolver of the field."""
        declared: BatchResolver = self.metadata[BATCH_RESOLVER]
        return dataclasses.replace(declared, name=self.python_name) if isinstance(declared, Stored) else declared

    def get_result(self, source: Any, info: Info[Any, Any] | None, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The value for one object, or an awaitable of it."""
        assert info is not None
        declared = self.batch_resolver
        loaded = declared.load([source], info._raw_info, declared.prepare(kwargs))
        present = from_source(get_named_type(info._raw_info.return_type))
        return _later(loaded, present) if isinstance(loaded, Loading) else _only(loaded, present)


async def _later(loading: Loading, present: Present | None) -> Any:
    try:
        result = await loading.awaitable
    except Exception as error:
        values = None if loading.values_on_error is None else loading.values_on_error(error)
        if values is None:
            raise
        return _only(values, present)
    return _only(loading.values(result), present)


def _only(values: Any, present: Present | None) -> Any:
    (value,) = values
    if isinstance(value, Exception):
        raise value
    if present is None or value is None:
        return value
    return list(map(present, value)) if isinstance(value, list) else present(value)


def global_id(description: str) -> Any:
    """Declare the field `id` of a node."""
    return DeclaredField(description=description, metadata={BATCH_RESOLVER: GlobalId(), "needs": ("id",)})


def always(description: str, *, default: Any, name: str | None = None) -> Any:
    """Declare a plain field that every object has.

    `default` is shown where the value is missing all the same, or can't be shown. It is a value, or a function of the
    stored object.
    """
    return strawberry.field(description=description, name=name, metadata={DEFAULT: default})


def stored(description: str, *, default: Any) -> Any:
    """Declare a stored field that older documents may lack."""
    return DeclaredField(description=description, metadata={BATCH_RESOLVER: Stored(default)})


def stored_by(resolver: Stored, description: str) -> Any:
    """Declare a stored field that is read in its own way."""
    return DeclaredField(description=description, metadata={BATCH_RESOLVER: resolver})


def whole(description: str, *, column: str, fits: Callable[[Any], bool]) -> Any:
    """Declare an embedded part that is null unless all of it can be shown."""
    metadata = {BATCH_RESOLVER: Stored(None, fits=fits), "needs": (column,)}
    return DeclaredField(description=description, metadata=metadata)


def guarded(description: str, *, guard: Guard, column: str) -> Any:
    """Declare a stored field that is null for viewers whom the guard doesn't allow to see it."""
    metadata = {BATCH_RESOLVER: Guarded(column, guard), "needs": (column, *guard.needs)}
    return DeclaredField(description=description, metadata=metadata)


def reference(loader: str, *, key: str, description: str, guard: Guard | None = None, owner: str | None = None) -> Any:
    """Declare a field that is one object of another type; null where its key is null or leads nowhere.

    `owner` is the parent's column that says who should own the object, if the parent is read with it: where tables are
    distributed by owner, the object is looked for at that owner's shard first.
    """
    needs = (key, *(guard.needs if guard else ()))
    metadata = {BATCH_RESOLVER: Reference(loader, key, guard, owner), "needs": needs}
    return DeclaredField(description=description, metadata=metadata)


def references(loader: str, *, parts: str, key: str, description: str) -> Any:
    """Declare a field that is a list of objects of another type, by the key in each of its parts."""
    metadata = {BATCH_RESOLVER: References(loader, parts, key), "needs": (f"{parts}.{key}",)}
    return DeclaredField(description=description, metadata=metadata)


def lookup(loader: str, *, description: str) -> Any:
    """Declare a root field that is one object by its global id; null where there is none."""
    field = DeclaredField(description=description, metadata={BATCH_RESOLVER: Lookup(loader)})
    field.arguments = [_argument("id", strawberry.ID, "Global id of the object.")]
    return field


def batched(resolver: BatchResolver, *, needs: Sequence[str], description: str, first: str | None = None) -> Any:
    """Declare a field that the domain resolves for all objects of a level at once, from these columns of theirs.

    `first` describes its argument of that name, which says how long its list may get; without, it has no argument.
    """
    field = DeclaredField(description=description, metadata={BATCH_RESOLVER: resolver, "needs": needs})
    field.arguments = [] if first is None else [_argument("first", int | None, first)]
    return field


def connection(
    loader: str, *, filter: Any, order: Any, description: str, by: str | None = None, key: str | None = None
) -> Any:
    """Declare a connection: a list of everything, or of the objects whose `by` is the parent's `key`.

    `filter` and `order` are the input types, or lazy references to them.
    """
    metadata: Mapping[str, Any] = {BATCH_RESOLVER: ListOf(loader, by, key), "needs": (key,) if key else ()}
    field = DeclaredField(description=description, metadata=metadata)
    field.arguments = [
        _argument("first", int | None, f"How many objects from the beginning, at most {MAX_SIZE}; 20 where neither "
                  "first nor last is given."),
        _argument("after", str | None, "Only what follows the object with this cursor."),
        _argument("last", int | None, f"How many objects from the end, at most {MAX_SIZE}."),
        _argument("before", str | None, "Only what precedes the object with this cursor."),
        _argument("filter", _optional(filter), "Which objects; all of them where it is not given."),
        _argument("order_by", _optional(order), "In which order; the newest first where it is not given."),
    ]  # fmt: skip
    return field


def _argument(name: str, annotation: Any, description: str) -> StrawberryArgument:
    return StrawberryArgument(
        python_name=name,
        graphql_name=None,
        type_annotation=StrawberryAnnotation(annotation),
        description=description,
        default=strawberry.UNSET if annotation is strawberry.ID else None,
    )


def _optional(annotation: Any) -> Any:
    return annotation | None
