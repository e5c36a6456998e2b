"""Values to response values, a whole level at a time: lists are laid out flat, objects become the next level.

After the specification's CompleteValue. What comes in may be null, a failure or an exception; what is still awaited
makes the level wait, not the others. Results are delivered once, one a value; objects as soon as they exist, while
their fields may still be on the way.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import (
    GraphQLError,
    GraphQLLeafType,
    GraphQLObjectType,
    Undefined,
)
from graphql.pyutils import Path, inspect, is_awaitable, is_iterable

from api.execution.errors import Failure, null_error
from api.execution.leaves import Leaf, leaf

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan, ObjectPlan

Deliver = Callable[[Sequence[Any]], None]
PathOf = Callable[[int], Path | None]
"""The path of a value by its index in the level; asked only for what calls a resolver."""


TURN: Final = 5000
"""Objects of a level for which the event loop gets a turn first."""


def _end(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


class Completion:
    """How the values of one position are completed: of a field, or of the items of a list."""

    item: Completion | None = None
    leaf: Leaf | None = None
    leaf_type: GraphQLLeafType | None = None

    def __init__(self, field: FieldPlan, *, non_null: bool) -> None:
        self.field = field
        self.non_null = non_null

    def complete(self, execution: Execution, values: Sequence[Any], path_of: PathOf, deliver: Deliver) -> None:
        """Deliver the completed values, now or later."""
        if self.field.may_await:
            waiting = [index for index, value in enumerate(values) if is_awaitable(value)]
            if waiting:
                self._await(execution, values, waiting, path_of, deliver)
                return
        if len(values) > TURN and self.leaf is None and self.item is None:
            # so many objects take a while, and there may be more such levels: others get their turn in between
            turn = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(_end, turn)
            execution.jobs.start(turn, lambda _: self._complete(execution, values, path_of, deliver))
            return
        self._complete(execution, values, path_of, deliver)

    def _await(
        self, execution: Execution, values: Sequence[Any], waiting: list[int], path_of: PathOf, deliver: Deliver
    ) -> None:
        settled = list(values)

        def arrived(results: list[Any]) -> None:
            for index, result in zip(waiting, results, strict=True):
                settled[index] = result
            self._complete(execution, settled, path_of, deliver)

        execution.jobs.start_all([values[index] for index in waiting], arrived)

    def _complete(self, execution: Execution, values: Sequence[Any], path_of: PathOf, deliver: Deliver) -> None:
        raise NotImplementedError

    def _absent(self, execution: Execution, value: Any) -> Any:
        """What stands for null, a failure or an exception; Undefined for a value that is to be completed."""
        if value is None or value is Undefined:
            return execution.fail(null_error(self.field.parent, self.field.name)) if self.non_null else None
        if type(value) is Failure:
            execution.failed = True
            return value
        if isinstance(value, Exception):
            return execution.fail(value)
        return Undefined

    def plan_of(self, value: Any, plans: dict[int, ObjectPlan]) -> ObjectPlan | None:
        """The plan that a completed value was made by, None where it is no object."""
        return None


class LeafCompletion(Completion):
    """A scalar or an enum."""

    def __init__(self, field: FieldPlan, type_: GraphQLLeafType, *, non_null: bool) -> None:
        super().__init__(field, non_null=non_null)
        self.leaf_type = type_
        self.leaf = leaf(type_)

    def _complete(self, execution: Execution, values: Sequence[Any], path_of: PathOf, deliver: Deliver) -> None:
        deliver([self._one(execution, value) for value in values])

    def _one(self, execution: Execution, value: Any) -> Any:
        absent = self._absent(execution, value)
        if absent is not Undefined:
            return absent
        assert self.leaf is not None
        try:
            return self.leaf(value)
        except Exception as error:
            return execution.fail(error)


class ListCompletion(Completion):
    """A list: the items of all lists are completed as one level."""

    def __init__(self, field: FieldPlan, item: Completion, *, non_null: bool) -> None:
        super().__init__(field, non_null=non_null)
        self.item = item
        self._item_weight = field.selections.declarations.item_weight(field.parent, field.name)

    def _complete(self, execution: Execution, values: Sequence[Any], path_of: PathOf, deliver: Deliver) -> None:
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
                self._await(execution, collected, asynchronous, path_of, deliver)
                return
            results, items, ends = self._laid_out(execution, values)
        assert self.item is not None
        execution.weight += self._item_weight * len(items)
        if not items:
            deliver([[] if result is Undefined else result for result in results])
            return

        def item_path(index: int) -> Path:
            owner = bisect_right(ends, index)
            return Path(path_of(owner), index - (ends[owner - 1] if owner else 0), None)

        def place(completed: Sequence[Any]) -> None:
            start = 0
            for index, end in enumerate(ends):
                if results[index] is Undefined:
                    results[index] = completed[start:end]
                elif end > start:
                    results[index].items = list(completed[start:end])
                start = end
            deliver(results)

        self.item.complete(execution, items, item_path, place)

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


_SHARED: Final = 0.75
"""Of the objects that a batch gives, how many different ones there may be for sharing them to be worth its while."""


class _Given(NamedTuple):
    """The items of an iterable, and the error that it broke off with. The items before it have errors of their own."""

    items: list[Any]
    error: Exception | None = None


class ObjectCompletion(Completion):
    """An object of a known type: its sources are the next level."""

    def __init__(self, field: FieldPlan, type_: GraphQLObjectType, *, non_null: bool) -> None:
        super().__init__(field, non_null=non_null)
        self.type = type_
        self._class = field.selections.declarations.source_class(type_) or _Nothing

    def _complete(self, execution: Execution, values: Sequence[Any], path_of: PathOf, deliver: Deliver) -> None:
        exact = self._class
        if set(map(type, values)) == {exact}:
            deliver(self._objects(execution, values, path_of))
            return
        results = [self._absent(execution, value) for value in values]
        indices = [index for index, result in enumerate(results) if result is Undefined]

        def checked(answers: Sequence[Any]) -> None:
            kept = []
            for index, answer in zip(indices, answers, strict=True):
                if type(answer) is Failure:
                    results[index] = execution.fail(answer.error)
                elif not answer:
                    results[index] = execution.fail(self._wrong(values[index]))
                else:
                    kept.append(index)
            objects = self._objects(execution, [values[index] for index in kept], lambda at: path_of(kept[at]))
            for index, made in zip(kept, objects, strict=True):
                results[index] = made
            deliver(results)

        if self.type.is_type_of is not None:
            answers = [self._ask(execution, values[index], path_of(index)) for index in indices]
            execution.settle(answers, checked)
        else:
            checked([True] * len(indices))

    def _ask(self, execution: Execution, value: Any, path: Path | None) -> Any:
        if type(value) is self._class:
            return True
        assert self.type.is_type_of is not None
        try:
            return self.type.is_type_of(value, execution.info(self.field, field_path(path)))
        except Exception as error:
            return Failure(error)

    def _objects(self, execution: Execution, sources: Sequence[Any], path_of: PathOf) -> Sequence[Any]:
        try:
            plan = self.field.plan_of(self.type)
        except GraphQLError as error:  # a condition that is null
            return [execution.fail(error) for _ in sources]
        if self.field.shares and len(set(map(id, sources))) <= _SHARED * len(sources):
            unique = {id(source): source for source in sources}
            firsts: dict[int, int] = {}
            for index, source in enumerate(sources):
                firsts.setdefault(id(source), index)
            indices = list(firsts.values())
            made = plan.run(execution, list(unique.values()), lambda at: path_of(indices[at]))
            objects = dict(zip(unique, made, strict=True))
            return [objects[id(source)] for source in sources]
        return plan.run(execution, sources, path_of)

    def _wrong(self, value: Any) -> GraphQLError:
        return GraphQLError(f"Expected value of type '{self.type}' but got: {inspect(value)}.", self.field.nodes)

    def plan_of(self, value: Any, plans: dict[int, ObjectPlan]) -> ObjectPlan | None:
        return self.field.plan_of(self.type)


class _Nothing:
    """The class of no source."""


def field_path(path: Path | None) -> Path | None:
    """The path of the field that a value is of: without the indices of lists, which `info` doesn't have."""
    while path is not None and isinstance(path.key, int):
        path = path.prev
    return path


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
