"""What declared fields mean: values for all objects of a level at once, one statement a batch.

Each declaration has `load(sources, info, arguments)`, which gives one value a source, or says what it waits for.
`info` is graphql-core's, of the field; of its path only the field itself counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

from asyncpg.pgproto import pgproto
from graphql import Undefined, get_named_type

from api.errors import BadUserInput
from api.execution import Loading
from api.fields.lookups import LIVE_FIELDS, load_stored, view_class
from api.fields.selection import ResolveInfo, columns_of, selects_any, selects_cursors
from api.ids import decode_id_of, encode_ids
from api.lists.conditions import EVERYTHING, Condition
from api.lists.costs import COUNTS, READS, Listing, weight_of_condition
from api.lists.filters import condition_of
from api.lists.pagination import NEWEST_FIRST, Cursors, Order, OrderDirection, Page, PageRequest, page_request, unread
from api.log import report_dangling
from api.rights.policies import Guard
from api.stores.objects import read, read_all

if TYPE_CHECKING:
    from api.fields.context import Context

Values = Sequence[Any] | Loading

_KEYS: Final = frozenset((str, UUID, pgproto.UUID, type(None)))


class Declared(Protocol):
    """A declaration of a field."""

    def prepare(self, arguments: Mapping[str, Any]) -> Any:
        """What `load` takes of the arguments, by their Python names. Raises BadUserInput."""
        ...

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: Any) -> Values:
        """One value a source, in their order; an exception as a value is that source's error."""
        ...


class _WithoutArguments:
    __slots__ = ()

    def prepare(self, arguments: Mapping[str, Any]) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class GlobalId(_WithoutArguments):
    """The global id of the object itself."""

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        return encode_ids(info.parent_type.name, read_all(sources, "id"))


@dataclass(frozen=True, slots=True)
class Stored(_WithoutArguments):
    """A stored value that older documents may lack; `default` is what they read as. The field itself knows its name.

    What doesn't `fit` reads as undefined, which nothing shows.
    """

    default: Any
    name: str = ""
    fits: Callable[[Any], bool] | None = None

    def read(self, source: Any) -> Any:
        """The value of one source."""
        value = read(source, self.name)
        if value is None:
            return self.default
        return value if self.fits is None or self.fits(value) else Undefined

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        return each(sources, self.read)


@dataclass(frozen=True, slots=True)
class Guarded(_WithoutArguments):
    """A stored value that not everyone may see."""

    name: str
    guard: Guard

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        viewer, allows = info.context.viewer, self.guard.allows
        return each(sources, lambda source: read(source, self.name) if allows(viewer, source) else None)


@dataclass(frozen=True, slots=True)
class Reference(_WithoutArguments):
    """One object of another type, by the key that the parent holds."""

    loader: str
    key: str
    guard: Guard | None = None

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        keys = read_all(sources, self.key)
        if self.guard is not None:
            viewer, allows = info.context.viewer, self.guard.allows
            keys = [key if allows(viewer, source) else None for key, source in zip(keys, sources, strict=True)]
        # by its own id an object refers to nothing: what is found by it refers to the object
        return _objects(self.loader, keys, info, referenced=self.key != "id")


@dataclass(frozen=True, slots=True)
class References(_WithoutArguments):
    """The distinct objects of another type that the parent's parts refer to; those that are gone are left out."""

    loader: str
    parts: str
    key: str

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        lists = [self._keys(parts) for parts in read_all(sources, self.parts)]
        flat = [key for keys in lists for key in keys]
        loading = _objects(self.loader, flat, info, referenced=True)
        if not isinstance(loading, Loading):
            return [[] for _ in sources]

        def place(rows: Any) -> list[list[Any]]:
            objects = iter(loading.values(rows))
            # equal keys have the same object
            found = [{id(one): one for _ in keys if (one := next(objects)) is not None} for keys in lists]
            return [list(each.values()) for each in found]

        return Loading(loading.awaitable, place)

    def _keys(self, parts: Any) -> list[Any]:
        """The keys in the parts; an old document may hold anything in their place."""
        if not isinstance(parts, list):
            return []
        return [key for part in parts if isinstance(part, dict) and (key := read(part, self.key)) is not None]


@dataclass(frozen=True, slots=True)
class Lookup:
    """One object by the global id in the argument `id`."""

    loader: str

    def prepare(self, arguments: Mapping[str, Any]) -> Any:
        return arguments["id"]

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: str) -> Values:
        name = get_named_type(info.return_type).name
        stored = load_stored(self.loader, decode_id_of(name, arguments), info, name, found=True)
        return Loading(stored, lambda found: [found] * len(sources))


@dataclass(frozen=True, slots=True)
class PageArguments:
    """What a list is asked for, independent of who asks."""

    first: int | None
    after: str | None
    last: int | None
    before: str | None
    order: Order
    condition: Condition
    deleted: bool


@dataclass(frozen=True, slots=True)
class ListOf:
    """A page of a list: of all objects, or of those whose `by` is the parent's `key`."""

    loader: str
    by: str | None
    key: str | None

    def prepare(self, arguments: Mapping[str, Any]) -> PageArguments:
        chosen, filter_input = arguments.get("order_by"), arguments.get("filter")
        return PageArguments(
            first=arguments.get("first"),
            after=arguments.get("after"),
            last=arguments.get("last"),
            before=arguments.get("before"),
            order=Order(chosen.field.value, chosen.direction is OrderDirection.DESC) if chosen else NEWEST_FIRST,
            condition=condition_of(filter_input),
            deleted=getattr(filter_input, "deleted", None) is True,
        )

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: PageArguments) -> Values:
        context: Context = info.context
        node_type = get_named_type(info.return_type).name.removesuffix("Connection")
        policy = context.policy(node_type)
        if self.key is None:
            policy.may_list(context.viewer)
        request_of = partial(
            page_request,
            self.loader,
            scope=policy.scope(context.viewer, deleted=arguments.deleted),
            first=arguments.first,
            after=arguments.after,
            last=arguments.last,
            before=arguments.before,
            order=arguments.order,
            condition=arguments.condition,
        )
        if self.by is None or self.key is None:
            return self._pages([None] * len(sources), info, request_of(), node_type)
        owners = read_all(sources, self.key)
        if arguments.after is None and arguments.before is None:
            return self._pages(owners, info, request_of(), node_type)
        # a cursor is of one parent: to the lists of the others it is foreign
        refused: dict[Any, BadUserInput] = {}
        request: PageRequest | None = None
        for owner in dict.fromkeys(owners):
            try:
                request = request_of(parent=(self.by, owner))
            except BadUserInput as error:
                refused[owner] = error
        if request is None:
            return [refused[owner] for owner in owners]
        theirs = self._pages([owner for owner in owners if owner not in refused], info, request, node_type)
        return _among([refused.get(owner) for owner in owners], theirs)

    def _pages(self, owners: Sequence[Any], info: ResolveInfo, request: PageRequest, node_type: str) -> Values:
        """The page of each owner."""
        context: Context = info.context
        counts = context.loader(f"{self.loader}_count")
        node, field = view_class(info, node_type).of, request.order.field
        cursors = Cursors(request, order_value=lambda row: read(row, field), key=lambda row: read(row, "id"))
        selected = selects_cursors(info)

        def count(owner: Any) -> Awaitable[int]:
            return counts.load((self.by, owner, request.filter))

        def place(lists: Sequence[Sequence[Any]]) -> list[Page]:
            if self.by is None or not selected:
                return [Page(cursors, rows, node, count, owner) for owner, rows in zip(owners, lists, strict=True)]
            by = self.by
            pairs = zip(owners, lists, strict=True)
            return [Page(cursors.of_parent((by, owner)), rows, node, count, owner) for owner, rows in pairs]

        # a list of which only the length is asked for is not read; whether it goes on, even an empty page tells
        reads = selects_any(info, READS if request.size else ("pageInfo",))
        if self.key is None or request.condition is not EVERYTHING:
            listing = Listing(whole=self.key is None, reads=reads, counts=selects_any(info, (COUNTS,)))
            context.surcharge += len(owners) * listing.surcharge(weight_of_condition(request.condition))
        if not reads:
            return place([()] * len(owners))

        def instead(error: Exception) -> list[Page] | None:
            return [Page(cursors, (), node, count, owner, error) for owner in owners] if unread(error) else None

        keys = [(self.by, owner, request) for owner in owners]
        columns = columns_of(info) | {field} if selected else columns_of(info)
        pages = context.loader(self.loader).load_many(keys, columns)
        return Loading(pages, place, instead if selects_any(info, ("edges", "nodes")) else None)


def _among(errors: Sequence[Exception | None], values: Values) -> Values:
    """The values, in their order, for the sources that have no error."""

    def place(values: Sequence[Any]) -> list[Any]:
        rest = iter(values)
        return [next(rest) if error is None else error for error in errors]

    if not isinstance(values, Loading):
        return place(values)
    given, instead = values.values, values.values_on_error

    def placed_instead(error: Exception) -> list[Any] | None:
        found = None if instead is None else instead(error)
        return None if found is None else place(found)

    return Loading(values.awaitable, lambda found: place(given(found)), placed_instead)


def _objects(loader: str, keys: Sequence[Any], info: ResolveInfo, *, referenced: bool) -> Values:
    """What is stored under each key, the same object for equal keys; None for what is no key, leads nowhere, or to
    what is deleted.

    Where something visible refers to what isn't there, that is logged.
    """
    if not _KEYS.issuperset(map(type, keys)):  # an old document may hold anything in place of a key
        if referenced:
            report_dangling(loader, [key for key in keys if type(key) not in _KEYS])
        keys = [key if type(key) in _KEYS else None for key in keys]
    wanted = list(dict.fromkeys(keys))
    if None in wanted:
        wanted.remove(None)
    if not wanted:
        return [None] * len(keys)

    def place(rows: Sequence[Any]) -> list[Any]:
        stored = dict(zip(wanted, rows, strict=True))
        if None in rows:
            if referenced:
                report_dangling(loader, [key for key, row in stored.items() if row is None])
            stored = {key: row for key, row in stored.items() if row is not None}
        deleted = read_all(list(stored.values()), "deleted_at")
        if deleted.count(None) < len(deleted):
            stored = {key: row for (key, row), at in zip(stored.items(), deleted, strict=True) if at is None}
        return list(map(stored.get, keys))

    return Loading(info.context.loader(loader).load_many(wanted, columns_of(info) | LIVE_FIELDS), place)


def each(sources: Sequence[Any], read_one: Callable[[Any], Any]) -> Sequence[Any]:
    """The value of every source, or the exception that it raised."""
    try:
        return [read_one(source) for source in sources]
    except Exception:
        return [_or_error(source, read_one) for source in sources]


def _or_error(source: Any, read_one: Callable[[Any], Any]) -> Any:
    try:
        return read_one(source)
    except Exception as error:
        return error
