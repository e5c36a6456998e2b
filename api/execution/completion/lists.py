"""Lists: the items of all lists of a level are completed as one level, and then cut up into lists again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLError, Undefined
from graphql.pyutils import Path, is_iterable

from api.execution.completion.base import OMITTED, Completion, Deliver, Inline
from api.execution.paths import Paths

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan


class _Items(NamedTuple):
    """The items of an iterable, and the error that ended it early. The items before that can fail on their own."""

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
            test, names = "{only}(map(type, v))", {"complete": self.value, "only": frozenset((only,)).issuperset}
            if only is str and item.non_null:
                test = "''.join(v) is not None"  # it raises for anything but texts, in half the time
            self.inline = Inline(f"(v if type(v := {{value}}) is list and {test} else {{complete}}(v))", names)

    def column(self, values: Sequence[Any]) -> Sequence[Any] | None:
        if set(map(type, values)) != {list}:
            return None
        items = list(chain.from_iterable(values))
        # only items that completion doesn't change: others would have to be cut up into lists again
        return values if not items or self._item.column(items) is items else None

    def value(self, value: Any) -> Any:
        if value is None and not self.non_null:
            return None
        if type(value) is not list and type(value) is not tuple:
            raise TypeError
        return list(map(self._item.value, value))

    def measure(self, execution: Execution, values: Sequence[Any], counts: Sequence[int] | None) -> None:
        lists = [value or () for value in values]
        counts = _counts_of_items(counts, list(accumulate(map(len, lists))))
        self._item.measure(execution, list(chain.from_iterable(lists)), counts)

    def _complete(self, execution: Execution, values: Sequence[Any], paths: Paths, deliver: Deliver) -> None:
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
                self._await(execution, collected, asynchronous, paths, deliver)
                return
            results, items, ends = self._flatten(execution, self._with_substitutes(execution, values, paths))
        execution.weight += self._item_weight * len(items)
        if not items:
            deliver([[] if result is Undefined else result for result in results])
            return

        def item_path(index: int) -> Path:
            owner = bisect_right(ends, index)
            return Path(paths.path(owner), index - (ends[owner - 1] if owner else 0), None)

        def deliver_lists(completed: Sequence[Any]) -> None:
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

        self._item.complete(execution, items, Paths(item_path, _counts_of_items(paths.counts, ends)), deliver_lists)

    def _can_show(self, value: Any) -> bool:
        return type(value) is list or type(value) is tuple

    def _flatten(self, execution: Execution, values: Sequence[Any]) -> tuple[list[Any], list[Any], list[int]]:
        """The result of each value so far (Undefined for a list), the items of all lists, and where each list's end."""
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

    def _items(self, value: Any) -> _Items:
        if type(value) is _Items:
            return value
        if not is_iterable(value):
            field = self.field
            message = f"Expected Iterable, but did not find one for field '{field.parent}.{field.name}'."
            return _Items([], GraphQLError(message))
        items: list[Any] = []
        try:
            items.extend(value)
        except Exception as error:
            return _Items(items, error)
        return _Items(items)


def _counts_of_items(counts: Sequence[int] | None, ends: Sequence[int]) -> Sequence[int] | None:
    """How often each item occurs in the response, where the lists occur `counts` times and end at `ends`."""
    if counts is None:
        return None
    lengths = [end - start for start, end in pairwise((0, *ends))]
    return list(chain.from_iterable(map(repeat, counts, lengths)))


async def _collect(iterable: Any) -> _Items:
    """The items of an asynchronous iterable. It is closed if it fails."""
    items: list[Any] = []
    iterator = aiter(iterable)
    try:
        async for item in iterator:
            items.append(item)  # noqa: PERF401  the items before a failure are needed
    except BaseException as error:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
        if isinstance(error, Exception):
            return _Items(items, error)
        raise
    return _Items(items)
