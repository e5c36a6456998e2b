"""Resolvers of lists: a page for each parent."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from graphql import get_named_type

from api.errors import BadUserInput
from api.execution import Loading
from api.fields.lookups import view_class
from api.fields.resolvers.base import Values
from api.fields.selection import ResolveInfo, columns_of, selects_any, selects_cursors
from api.lists.conditions import EVERYTHING, Condition
from api.lists.costs import COUNTS, FACETS, READS, Listing, weight_of_condition
from api.lists.filters import condition_of
from api.lists.pagination import (
    NEWEST_FIRST,
    Cursors,
    Order,
    OrderDirection,
    Page,
    PageRequest,
    is_outage,
    page_request,
)
from api.stores.views import read, read_all

if TYPE_CHECKING:
    from api.fields.context import Context


@dataclass(frozen=True, slots=True)
class PageArguments:
    """The arguments of a list field, independent of the viewer."""

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
        # A cursor belongs to the list of one parent; for the lists of the others it is an error.
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
        return _merged([refused.get(owner) for owner in owners], theirs)

    def _pages(self, owners: Sequence[Any], info: ResolveInfo, request: PageRequest, node_type: str) -> Values:
        """The page of each owner."""
        context: Context = info.context
        counts = context.loader(f"{self.loader}_count")
        node, field = view_class(info, node_type).of, request.order.field
        cursors = Cursors(request, order_value=lambda row: read(row, field), key=lambda row: read(row, "id"))
        selected = selects_cursors(info)

        def count(owner: Any) -> Awaitable[int]:
            return counts.load((self.by, owner, request.filter))

        def pages_of(lists: Sequence[Sequence[Any]]) -> list[Page]:
            if self.by is None or not selected:
                return [
                    Page(cursors, rows, node, count, owner, by=self.by)
                    for owner, rows in zip(owners, lists, strict=True)
                ]
            by = self.by
            pairs = zip(owners, lists, strict=True)
            return [Page(cursors.of_parent((by, owner)), rows, node, count, owner, by=by) for owner, rows in pairs]

        # Where only `totalCount` is asked for, no page is read. `hasNextPage` of an empty page needs a read, too.
        reads = selects_any(info, READS if request.size else ("pageInfo",))
        if self.key is None or request.condition is not EVERYTHING:
            passes = selects_any(info, (COUNTS,)) + selects_any(info, (FACETS,))
            listing = Listing(whole=self.key is None, reads=reads, counts=passes)
            context.surcharge += len(owners) * listing.surcharge(weight_of_condition(request.condition))
        if not reads:
            return pages_of([()] * len(owners))

        def pages_on_error(error: Exception) -> list[Page] | None:
            if not is_outage(error):
                return None
            return [Page(cursors, (), node, count, owner, error, self.by) for owner in owners]

        keys = [(self.by, owner, request) for owner in owners]
        columns = columns_of(info) | {field} if selected else columns_of(info)
        pages = context.loader(self.loader).load_many(keys, columns)
        return Loading(pages, pages_of, pages_on_error if selects_any(info, ("edges", "nodes")) else None)


def _merged(errors: Sequence[Exception | None], values: Values) -> Values:
    """The errors, with the values in place of None: they belong to the sources that have no error."""

    def merge(values: Sequence[Any]) -> list[Any]:
        rest = iter(values)
        return [next(rest) if error is None else error for error in errors]

    if not isinstance(values, Loading):
        return merge(values)
    values_of, values_on_error = values.values, values.values_on_error

    def merged_on_error(error: Exception) -> list[Any] | None:
        found = None if values_on_error is None else values_on_error(error)
        return None if found is None else merge(found)

    return Loading(values.awaitable, lambda found: merge(values_of(found)), merged_on_error)
