"""Declared fields: references and connections say which loader and key they use, and nothing else.

So what a query needs can be read off the schema (`api.selection`), and a plan can be made of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import strawberry
from graphql import get_named_type
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

from api.filtering import condition_of
from api.ids import decode_id_of, encode_id
from api.log import report_dangling
from api.nodes import View, read
from api.pagination import MAX_SIZE, NEWEST_FIRST, Connection, Order, OrderDirection, Page, page_request
from api.selection import ResolveInfo, columns_of, selects_any

if TYPE_CHECKING:
    from api.context import Context

DECLARATION: Final = "declaration"


@dataclass(frozen=True, slots=True)
class GlobalId:
    """The global id of the object itself."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored value that older documents may lack; `default` is what they read as."""

    default: Any


@dataclass(frozen=True, slots=True)
class Reference:
    """One object of another type, by the key that the parent holds."""

    loader: str
    key: str


@dataclass(frozen=True, slots=True)
class References:
    """Objects of another type, by the keys that the parent holds; those that are gone are left out."""

    loader: str
    key: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """One object by the global id in the argument `id`."""

    loader: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """A page of a list: of all objects, or of those whose `by` is the parent's `key`."""

    loader: str
    by: str | None
    key: str | None


class DeclaredField(StrawberryField):
    """A field whose result follows from its declaration, which is kept in its metadata."""

    # it returns awaitables itself, and it needs the Info that plain fields go without
    is_async = False
    is_basic_field = False

    def get_result(self, source: Any, info: Info[Any, Any] | None, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The value, or an awaitable of it."""
        assert info is not None
        match self.metadata[DECLARATION]:
            case GlobalId():
                return encode_id(info._raw_info.parent_type.name, read(source, "id"))
            case Stored(default):
                value = read(source, self.python_name)
                return default if value is None else value
            case Reference(loader, key):
                reference = read(source, key)
                if reference is None:
                    return None
                # by its own id an object refers to nothing: what is found by it refers to the object
                return load_view(loader, reference, info._raw_info, referenced=key != "id")
            case References(loader, key):
                return self._load_all(loader, read(source, key) or (), info._raw_info)
            case Lookup(loader):
                type_name = get_named_type(info._raw_info.return_type).name
                return load_view(loader, decode_id_of(type_name, kwargs["id"]), info._raw_info, referenced=False)
            case ListOf() as declared:
                return self._page(declared, source, info, kwargs)

    @staticmethod
    async def _load_all(loader: str, keys: Sequence[Any], info: ResolveInfo) -> list[View]:
        views = await asyncio.gather(*(load_view(loader, key, info) for key in keys))
        return [view for view in views if view is not None]

    def _page(self, declared: ListOf, source: Any, info: Info[Any, Any], arguments: dict[str, Any]) -> Any:
        raw = info._raw_info
        context: Context = raw.context
        chosen = arguments.get("order_by")
        order = Order(chosen.field.value, chosen.direction is OrderDirection.DESC) if chosen else NEWEST_FIRST
        request = page_request(
            declared.loader,
            first=arguments.get("first"),
            after=arguments.get("after"),
            last=arguments.get("last"),
            before=arguments.get("before"),
            order=order,
            condition=condition_of(arguments.get("filter")),
        )
        owner = None if declared.key is None else read(source, declared.key)
        node = view_class(raw, get_named_type(raw.return_type).name.removesuffix("Connection"))

        async def fetch() -> Any:
            rows = []
            # a list of which only the length is asked for is not read; whether it goes on, even an empty page tells
            if selects_any(raw, ("edges", "nodes", "pageInfo") if request.size else ("pageInfo",)):
                columns = columns_of(raw)
                rows = await context.loader(declared.loader).load((declared.by, owner, request), columns)
            page = Page(
                request=request,
                rows=rows,
                node=node.of,
                order_value=lambda row: read(row, order.field),
                key=lambda row: read(row, "id"),
                count=lambda: context.loader(f"{declared.loader}_count").load((declared.by, owner, request.condition)),
            )
            return Connection(page=page)

        return fetch()


async def load_view(
    loader: str, key: Any, info: ResolveInfo, *, type_name: str | None = None, referenced: bool = True
) -> View | None:
    """The object with this key, or None where it is deleted or there is none; a lost reference is logged.

    `type_name` names the object where the field returns an interface.
    """
    context: Context = info.context
    stored = None
    if not referenced or isinstance(key, (str, UUID)):  # an old document may hold anything in place of a key
        stored = await context.loader(loader).load(key, columns_of(info, type_name))
    if stored is None:
        if referenced:
            report_dangling(loader, str(key))
        return None
    if read(stored, "deleted_at") is not None:
        return None
    return view_class(info, type_name or get_named_type(info.return_type).name).of(stored)


def view_class(info: ResolveInfo, type_name: str) -> type[View]:
    """The Python class behind an object type of the schema."""
    graphql_type: Any = info.schema.get_type(type_name)
    origin: type[View] = graphql_type.extensions["strawberry-definition"].origin
    return origin


def global_id(description: str) -> Any:
    """Declare the field `id` of a node."""
    return DeclaredField(description=description, metadata={DECLARATION: GlobalId(), "needs": ("id",)})


def stored(description: str, *, default: Any) -> Any:
    """Declare a stored field that older documents may lack."""
    return DeclaredField(description=description, metadata={DECLARATION: Stored(default)})


def reference(loader: str, *, key: str, description: str) -> Any:
    """Declare a field that is one object of another type; null where the key is, or leads nowhere."""
    return DeclaredField(description=description, metadata={DECLARATION: Reference(loader, key), "needs": (key,)})


def references(loader: str, *, key: str, description: str) -> Any:
    """Declare a field that is a list of objects of another type, by a list of keys."""
    return DeclaredField(description=description, metadata={DECLARATION: References(loader, key), "needs": (key,)})


def lookup(loader: str, *, description: str) -> Any:
    """Declare a root field that is one object by its global id; null where there is none."""
    field = DeclaredField(description=description, metadata={DECLARATION: Lookup(loader)})
    field.arguments = [_argument("id", strawberry.ID, "Global id of the object.")]
    return field


def connection(
    loader: str, *, filter: Any, order: Any, description: str, by: str | None = None, key: str | None = None
) -> Any:
    """Declare a list in pages, of everything or of what belongs to the parent: those whose `by` is its `key`.

    `filter` and `order` are the input types, or lazy references to them.
    """
    metadata: Mapping[str, Any] = {DECLARATION: ListOf(loader, by, key), "needs": (key,) if key else ()}
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
