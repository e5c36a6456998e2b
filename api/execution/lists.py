"""Lists: the items of all lists of a level are laid out flat, completed as one level, and cut up again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLError, Undefined
from graphql.pyutils import Path, is_iterable

from api.execution.completion import OMITTED, Completion, Deliver
from api.execution.leaves import Inline
from api.execution.places import Places

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan


class _Given(NamedTuple):
    """The items of an iterable, and the error that it broke off with. The items before it have errors of their own."""

    items: list[Any]
    error: Exception | None = None


class ListCompletion(Completion):
    """A list: the items of all lists are completed as one level."""

    takes_long = False

    def __init__(self, field: FieldPlan, item: Completion, *, non_null: bool) -> None:
        super().__init__(field, non_null=non_null)
        self.item = item
        self._item = item
        item.is_item = True
        self._item_weight = field.selections.declarations.item_weight(field.parent, field.name)
        only = item.unchanged
        if only is not None:
            code = "(v if type(v := {value}) is list and {only}(map(type, v)) else {complete}(v))"
            self.inline = Inline(code, {"complete": self.value, "only": frozenset((only,)).issuperset})

    def column(self, values: Sequence[Any]) -> Sequence[Any] | None:
        if set(map(type, values)) != {list}:
            return None
        items = list(chain.from_iterable(values))
        # only what stays as it is: other items would have to be cut up into lists again
        return values if not items or self._item.column(items) is items else None

    def value(self, value: Any) -> Any:
        if value is None and not self.non_null:
            return None
        if type(value) is not list and type(value) is not tuple:
            raise TypeError
        return list(map(self._item.value, value))

    def measure(self, execution: Execution, values: Sequence[Any], times: Sequence[int] | None) -> None:
        lists = [value or () for value in values]
        times = _times_of_items(times, list(accumulate(map(len, lists))))
        self._item.measure(execution, list(chain.from_iterable(lists)), times)

    def _complete(self, execution: Execution, values: Sequence[Any], places: Places, deliver: Deliver) -> None:
        if set(map(type, values)) == {list}:
            results: list[Any] = [Undefined] * len(values)
            items = list(chain.from_iterable(values))
            ends = list(accumulate(map(len, values)))
        else:
            asynchronous = [index for index, value in enumerate(values) if hasattr(value, "__aiter__")]
            if asynchronous:
                collected = [*values]
                for index in asynchronous:
                    collected[index] = _collect(values[index])
                self._await(execution, collected, asynchronous, places, deliver)
                return
            results, items, ends = self._laid_out(execution, self._showable(execution, values, places))
        execution.weight += self._item_weight * len(items)
        if not items:
            deliver([[] if result is Undefined else result for result in results])
            return

        def item_path(index: int) -> Path:
            owner = bisect_right(ends, index)
            return Path(places.path(owner), index - (ends[owner - 1] if owner else 0), None)

        def place(completed: Sequence[Any]) -> None:
            start = 0
            for index, end in enumerate(ends):
                if results[index] is Undefined:
                    part = completed[start:end]
                    if execution.omitted:
                        part = [value for value in part if value is not OMITTED]
                    results[index] = part
                elif end > start:
                    results[index].items = list(completed[start:end])
                start = end
            deliver(results)

        self._item.complete(execution, items, Places(item_path, _times_of_items(places.times, ends)), place)

    def _shows(self, value: Any) -> bool:
        return type(value) is list or type(value) is tuple

    def _laid_out(self, execution: Execution, values: Sequence[Any]) -> tuple[list[Any], list[Any], list[int]]:
        """What stands for each value (Undefined for a list), the items of all, and where each list's end in them."""
        results: list[Any] = []
        items: list[Any] = []
        ends: list[int] = []
        for value in values:
            absent = self._absent(execution, value)
            if absent is Undefined:
                given = self._items(value)
                items.extend(given.items)
                if given.error is not None:
                    absent = execution.fail(given.error)
            results.append(absent)
            ends.append(len(items))
        return results, items, ends

    def _items(self, value: Any) -> _Given:
        if type(value) is _Given:
            return value
        if not is_iterable(value):
            field = self.field
            message = f"Expected Iterable, but did not find one for field '{field.parent}.{field.name}'."
            return _Given([], GraphQLError(message))
        items: list[Any] = []
        try:
            items.extend(value)
        except Exception as error:
            return _Given(items, error)
        return _Given(items)


def _times_of_items(times: Sequence[int] | None, ends: Sequence[int]) -> Sequence[int] | None:
    """How often each item is in the answer, for lists that are there so many times and end there."""
    if times is None:
        return None
    lengths = [end - start for start, end in pairwise((0, *ends))]
    return list(chain.from_iterable(map(repeat, times, lengths)))


async def _collect(iterable: Any) -> _Given:
    """The items of an asynchronous iterable, which is closed where it fails."""
    items: list[Any] = []
    iterator = aiter(iterable)
    try:
        async for item in iterator:
            items.append(item)  # noqa: PERF401  what came before a failure is needed
    except BaseException as error:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
        if isinstance(error, Exception):
            return _Given(items, error)
        raise
    return _Given(items)
