"""Values to response values, a whole level at a time: lists are laid out flat, objects become the next level.

After the specification's CompleteValue. What comes in may be null, a failure or an exception; what is still awaited
makes the level wait, not the others. Results are delivered once, one a value; objects as soon as they exist, while
their fields may still be on the way.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from graphql import (
    GraphQLError,
    GraphQLLeafType,
    GraphQLObjectType,
    Undefined,
)
from graphql.pyutils import Path, inspect, is_awaitable

from api.execution.errors import Failure, null_error
from api.execution.leaves import Inline, leaf
from api.execution.places import Places
from api.execution.sizes import size_of_texts, size_of_values

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan, ObjectPlan

Deliver = Callable[[Sequence[Any]], None]


OMITTED: Final = object()
"""What stands for an item that its list goes without."""
TURN: Final = 5000
"""Objects of a level for which the event loop gets a turn first."""


def _end(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


class Completion(ABC):
    """How the values of one position are completed: of a field, or of the items of a list."""

    item: Completion | None = None
    inline: Inline | None = None
    takes_long = True
    unchanged: type | None = None
    """A class whose instances stay as they are."""
    is_item = False

    def __init__(self, field: FieldPlan, *, non_null: bool) -> None:
        self.field = field
        self.non_null = non_null

    def column(self, values: Sequence[Any]) -> Sequence[Any] | None:
        """The completed values, where all of them are leaves (or lists of some) that complete without more ado.

        None, or whatever a leaf raises, where they are to be completed one by one.
        """
        return None

    def value(self, value: Any) -> Any:
        """One completed value, as `column` has them. Raises where it has to be completed otherwise, or fails."""
        raise TypeError

    def measure(self, execution: Execution, values: Sequence[Any], times: Sequence[int] | None) -> None:
        """Count completed values of leaves (or lists of some) into the answer's size. Raises TooLarge."""
        raise TypeError

    def complete(self, execution: Execution, values: Sequence[Any], places: Places, deliver: Deliver) -> None:
        """Deliver the completed values, now or later."""
        if self.field.may_await:
            waiting = [index for index, value in enumerate(values) if is_awaitable(value)]
            if waiting:
                self._await(execution, values, waiting, places, deliver)
                return
        if len(values) > TURN and self.takes_long:
            # so many objects take a while, and there may be more such levels: others get their turn in between
            turn = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(_end, turn)
            execution.jobs.start(turn, lambda _: self._complete(execution, values, places, deliver))
            return
        self._complete(execution, values, places, deliver)

    def _await(
        self, execution: Execution, values: Sequence[Any], waiting: list[int], places: Places, deliver: Deliver
    ) -> None:
        settled = list(values)

        def arrived(results: list[Any]) -> None:
            for index, result in zip(waiting, results, strict=True):
                settled[index] = result
            self._complete(execution, settled, places, deliver)

        execution.jobs.start_all([values[index] for index in waiting], arrived)

    @abstractmethod
    def _complete(self, execution: Execution, values: Sequence[Any], places: Places, deliver: Deliver) -> None:
        """Deliver the completed values: none of these has to be awaited."""

    def _absent(self, execution: Execution, value: Any) -> Any:
        """What stands for null, a failure or an exception; Undefined for a value that is to be completed."""
        if value is OMITTED:
            return value
        if value is None or value is Undefined:
            return execution.fail(null_error(self.field.parent, self.field.name)) if self.non_null else None
        if type(value) is Failure:
            execution.failed = True
            return value
        if isinstance(value, Exception):
            return execution.fail(value)
        return Undefined

    def _showable(self, execution: Execution, values: Sequence[Any], places: Places) -> Sequence[Any]:
        """The values, with what the declaration says in the place of those that the field can't show."""
        if self.field.instead is None:
            return values
        return [
            value if self._is_showable(value) else self._instead(execution, places.path(index))
            for index, value in enumerate(values)
        ]

    def _is_showable(self, value: Any) -> bool:
        if value is None:
            return not self.non_null
        return isinstance(value, (Failure, Exception)) or self._shows(value)

    def _shows(self, value: Any) -> bool:
        """Whether this value, of none that fails, completes."""
        return True

    def _instead(self, execution: Execution, place: Path | None) -> Any:
        assert self.field.instead is not None
        assert place is not None
        default = self.field.instead(place)
        if not self.non_null:
            return None
        if self.is_item:
            execution.omitted = True
            return OMITTED
        return default

    def plan_of(self, value: Any, plans: dict[int, ObjectPlan]) -> ObjectPlan | None:
        """The plan that a completed value was made by, None where it is no object."""
        return None


class LeafCompletion(Completion):
    """A scalar or an enum."""

    takes_long = False

    def __init__(self, field: FieldPlan, type_: GraphQLLeafType, *, non_null: bool) -> None:
        super().__init__(field, non_null=non_null)
        self._leaf = leaf(type_)
        self.inline, self.unchanged = self._leaf.inline(self.value), self._leaf.unchanged
        self._text = field.text_weight

    def column(self, values: Sequence[Any]) -> Sequence[Any] | None:
        return None if self.non_null and None in values else self._leaf.all(values)

    def value(self, value: Any) -> Any:
        if value is None and not self.non_null:
            return None
        if value is None or value is Undefined or isinstance(value, (Failure, Exception)):
            raise TypeError
        return self._leaf.one(value)

    def measure(self, execution: Execution, values: Sequence[Any], times: Sequence[int] | None) -> None:
        if self._leaf.is_short:
            return
        size = (size_of_texts if self.unchanged is str else size_of_values)(values, times)
        execution.room.take(size)
        if self._text is not None:
            execution.weight += self._text.of(size, len(values))

    def _complete(self, execution: Execution, values: Sequence[Any], places: Places, deliver: Deliver) -> None:
        try:
            whole = self.column(values)
        except Exception:
            whole = None
        if whole is None:
            whole = [self._one(execution, value) for value in self._showable(execution, values, places)]
        self.measure(execution, whole, places.times)
        deliver(whole)

    def _shows(self, value: Any) -> bool:
        try:
            self._leaf.one(value)
        except Exception:
            return False
        return True

    def _one(self, execution: Execution, value: Any) -> Any:
        absent = self._absent(execution, value)
        if absent is not Undefined:
            return absent
        try:
            return self._leaf.one(value)
        except Exception as error:
            return execution.fail(error)


_NULL: Final = {NoneType}
_MAX_CLASSES: Final = 16
"""Classes of sources of one field that are kept: rows may have one for each statement."""
_SHARED: Final = 0.75
"""Of the objects that a batch gives, how many different ones there may be for sharing them to be worth its while."""


class ObjectCompletion(Completion):
    """An object of a known type: its sources are the next level."""

    def __init__(self, field: FieldPlan, type_: GraphQLObjectType, *, non_null: bool) -> None:
        super().__init__(field, non_null=non_null)
        self.type = type_
        self._classes: set[type] = set()
        """Those of sources that were seen and needn't be asked about."""

    def _complete(self, execution: Execution, values: Sequence[Any], places: Places, deliver: Deliver) -> None:
        kinds = set(map(type, values))
        if not kinds <= self._classes:
            self._admit(kinds)
        if kinds <= self._classes:
            deliver(self._objects(execution, values, places))
            return
        if not self.non_null and kinds - self._classes == _NULL:
            present = [index for index, value in enumerate(values) if value is not None]
            some = [values[index] for index in present]
            objects = iter(self._objects(execution, some, places.some(present)) if some else ())
            deliver([None if value is None else next(objects) for value in values])
            return
        values = self._showable(execution, values, places)
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
            objects = self._objects(execution, [values[index] for index in kept], places.some(kept))
            for index, made in zip(kept, objects, strict=True):
                results[index] = made
            deliver(results)

        if self.type.is_type_of is not None:
            answers = [self._ask(execution, values[index], places.path(index)) for index in indices]
            execution.settle(answers, checked)
        else:
            checked([True] * len(indices))

    def _shows(self, value: Any) -> bool:
        return self.field.selections.declarations.is_source(self.type, type(value))

    def _admit(self, kinds: set[type]) -> None:
        """Note which of these classes are sources of the type."""
        is_source = self.field.selections.declarations.is_source
        new = {kind for kind in kinds - self._classes if is_source(self.type, kind)}
        self._classes = new if len(self._classes) > _MAX_CLASSES else self._classes | new

    def _ask(self, execution: Execution, value: Any, path: Path | None) -> Any:
        if type(value) in self._classes:
            return True
        assert self.type.is_type_of is not None
        try:
            return self.type.is_type_of(value, execution.info(self.field, field_path(path)))
        except Exception as error:
            return Failure(error)

    def _objects(self, execution: Execution, sources: Sequence[Any], places: Places) -> Sequence[Any]:
        try:
            plan = self.field.plan_of(self.type)
        except GraphQLError as error:  # a condition that is null
            return [execution.fail(error) for _ in sources]
        if self.field.shares and len(set(map(id, sources))) <= _SHARED * len(sources):
            unique = {id(source): source for source in sources}
            firsts: dict[int, int] = {}
            for index, source in enumerate(sources):
                firsts.setdefault(id(source), index)
            shared = Places(places.some(list(firsts.values())).path, _times(sources, places.times))
            made = plan.run(execution, list(unique.values()), shared)
            objects = dict(zip(unique, made, strict=True))
            return [objects[id(source)] for source in sources]
        return plan.run(execution, sources, places)

    def _wrong(self, value: Any) -> GraphQLError:
        return GraphQLError(f"Expected value of type '{self.type}' but got: {inspect(value)}.", self.field.nodes)

    def plan_of(self, value: Any, plans: dict[int, ObjectPlan]) -> ObjectPlan | None:
        return self.field.plan_of(self.type)


def _times(sources: Sequence[Any], times: Sequence[int] | None) -> Sequence[int]:
    """How often each of the different sources is in the answer, in the order of their first places."""
    if times is None:
        return list(Counter(map(id, sources)).values())
    summed = dict.fromkeys(map(id, sources), 0)
    for source, each in zip(sources, times, strict=True):
        summed[id(source)] += each
    return list(summed.values())


def field_path(path: Path | None) -> Path | None:
    """The path of the field that a value is of: without the indices of lists, which `info` doesn't have."""
    while path is not None and isinstance(path.key, int):
        path = path.prev
    return path
