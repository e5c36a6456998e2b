"""Declared fields: references and connections say which loader and key they use, and nothing else.

So what a query needs can be read off the schema (`api.selection`), and a plan can be made of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import strawberry
from graphql import get_named_type
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

from api.conditions import And, fields_of, matches
from api.designs.policy import PUBLISHED
from api.filtering import condition_of
from api.ids import decode_id_of, encode_id
from api.log import report_dangling
from api.nodes import View, read
from api.pagination import MAX_SIZE, NEWEST_FIRST, Connection, Order, OrderDirection, Page, page_request
from api.policy import LIVE, Guard
from api.selection import ResolveInfo, columns_of, selects_any

if TYPE_CHECKING:
    from api.context import Context

DECLARATION: Final = "declaration"
GUARD: Final = "guard"


@dataclass(frozen=True, slots=True)
class GlobalId:
    """The global id of the object itself."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored value that older documents may lack; `default` is what they read as."""

    default: Any


@dataclass(frozen=True, slots=True)
class Guarded:
    """A stored value that not everyone may see."""


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
        guard: Guard | None = self.metadata.get(GUARD)
        if guard is not None and not guard.allows(info.context.viewer, source):
            return None
        match self.metadata[DECLARATION]:
            case GlobalId():
                return encode_id(info._raw_info.parent_type.name, read(source, "id"))
            case Stored(default):
                value = read(source, self.python_name)
                return default if value is None else value
            case Guarded():
                return read(source, self.python_name)
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
                return load_view(loader, decode_id_of(type_name, kwargs["id"]), info._raw_info, found=True)
            case ListOf() as declared:
                return self._page(declared, source, info, kwargs)

    @staticmethod
    async def _load_all(loader: str, keys: Sequence[Any], info: ResolveInfo) -> list[View]:
        views = await asyncio.gather(*(load_view(loader, key, info, referenced=True) for key in keys))
        return [view for view in views if view is not None]

    def _page(self, declared: ListOf, source: Any, info: Info[Any, Any], arguments: dict[str, Any]) -> Any:
        raw = info._raw_info
        context: Context = raw.context
        chosen = arguments.get("order_by")
        order = Order(chosen.field.value, chosen.direction is OrderDirection.DESC) if chosen else NEWEST_FIRST
        node_type = get_named_type(raw.return_type).name.removesuffix("Connection")
        policy, chosen_filter = context.policy(node_type), arguments.get("filter")
        if declared.key is None:
            policy.may_list(context.viewer)
        request = page_request(
            declared.loader,
            scope=policy.scope(context.viewer, deleted=getattr(chosen_filter, "deleted", None) is True),
            first=arguments.get("first"),
            after=arguments.get("after"),
            last=arguments.get("last"),
            before=arguments.get("before"),
            order=order,
            condition=condition_of(chosen_filter),
        )
        owner = None if declared.key is None else read(source, declared.key)
        node = view_class(raw, node_type)

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
                count=lambda: context.loader(f"{declared.loader}_count").load((declared.by, owner, request.filter)),
            )
            return Connection(page=page)

        return fetch()


async def load_view(
    loader: str,
    key: Any,
    info: ResolveInfo,
    *,
    type_name: str | None = None,
    found: bool = False,
    referenced: bool = False,
) -> View | None:
    """The object with this key, or None where it is deleted or there is none; if it is `referenced`, a loss is logged.

    What a visible object refers to may be shown with it; what is `found` by its id must be visible by itself.
    `type_name` names the object where the field returns an interface.
    """
    context: Context = info.context
    name = type_name or get_named_type(info.return_type).name
    scope = context.policy(name).scope(context.viewer) if found else LIVE
    stored = None
    if not referenced or isinstance(key, (str, UUID)):  # an old document may hold anything in place of a key
        stored = await context.loader(loader).load(key, columns_of(info, type_name) | fields_of(scope))
    if stored is None:
        if referenced:
            report_dangling(loader, str(key))
        return None
    visible = matches(scope, partial(read, stored)) or (found and await _is_shown(name, stored, context))
    return view_class(info, name).of(stored) if visible else None


async def _is_shown(type_name: str, stored: Any, context: Context) -> bool:
    """Whether a live object is on show for everyone, in a published design."""
    by = context.policy(type_name).shown_by
    if by is None or read(stored, "deleted_at") is not None:
        return False
    question = (by, read(stored, "id"), And((LIVE, PUBLISHED)))
    return bool(await context.loader("designs_count").load(question))


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


def guarded(description: str, *, guard: Guard, column: str) -> Any:
    """Declare a stored field that is null for those whom the guard doesn't allow to see it."""
    return DeclaredField(
        description=description, metadata={DECLARATION: Guarded(), GUARD: guard, "needs": (column, *guard.needs)}
    )


def reference(loader: str, *, key: str, description: str, guard: Guard | None = None) -> Any:
    """Declare a field that is one object of another type; null where the key is, or leads nowhere."""
    needs = (key, *(guard.needs if guard else ()))
    metadata = {DECLARATION: Reference(loader, key), GUARD: guard, "needs": needs}
    return DeclaredField(description=description, metadata=metadata)


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
