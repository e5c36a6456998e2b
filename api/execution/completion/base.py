"""What all completions have in common: how awaitables, nulls and failures among the values of a level are handled.

The values that come in may be null, failures or exceptions. Values that have to be awaited hold up their own level
only. Results are delivered once, one for each value. Objects are delivered as soon as they exist, while some of their
fields may still be loading.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import (
    Undefined,
)
from graphql.pyutils import Path, is_awaitable

from api.execution.errors import Failure, null_error
from api.execution.paths import Paths

if TYPE_CHECKING:
    from api.execution.execution import Execution
    from api.execution.plan import FieldPlan, ObjectPlan

Deliver = Callable[[Sequence[Any]], None]


OMITTED: Final = object()
"""Stands for an item that is left out of its list."""
LARGE_LEVEL: Final = 5000
"""The number of objects in a level from which the event loop gets a turn before they are completed."""


def _end(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


class Inline(NamedTuple):
    """How a value is completed in generated code: an expression around `{value}`, and what its other names stand for.

    One of these names is `{complete}`, a function that the expression calls with values that it can't complete.
    """

    code: str
    names: Mapping[str, Any]


class Completion(ABC):
    """How the values of a field, or the items of its list, are completed."""

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
        """The completed values, where all of them are leaves (or lists of leaves) and none of them fails.

        Returns None, or raises whatever a leaf raises, where they have to be completed one by one.
        """
        return None

    def value(self, value: Any) -> Any:
        """One completed value, as in `column`. Raises where that isn't possible."""
        raise TypeError

    def measure(self, execution: Execution, values: Sequence[Any], counts: Sequence[int] | None) -> None:
        """Count completed leaves (or lists of leaves) towards the size of the response. Raises TooLarge."""
        raise TypeError

    def complete(self, execution: Execution, values: Sequence[Any], paths: Paths, deliver: Deliver) -> None:
        """Deliver the completed values, now or later."""
        if self.field.may_await:
            waiting = [index for index, value in enumerate(values) if is_awaitable(value)]
            if waiting:
                self._await(execution, values, waiting, paths, deliver)
                return
        if len(values) > LARGE_LEVEL and self.takes_long:
            # so many objects take a while, and there may be more such levels: other requests get a turn in between
            turn = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(_end, turn)
            execution.awaitables.start(turn, lambda _: self._complete(execution, values, paths, deliver))
            return
        self._complete(execution, values, paths, deliver)

    def _await(
        self, execution: Execution, values: Sequence[Any], waiting: list[int], paths: Paths, deliver: Deliver
    ) -> None:
        settled = list(values)

        def arrived(results: list[Any]) -> None:
            for index, result in zip(waiting, results, strict=True):
                settled[index] = result
            self._complete(execution, settled, paths, deliver)

        execution.awaitables.start_all([values[index] for index in waiting], arrived)

    @abstractmethod
    def _complete(self, execution: Execution, values: Sequence[Any], paths: Paths, deliver: Deliver) -> None:
        """Deliver the completed values. None of the given ones has to be awaited."""

    def _absent(self, execution: Execution, value: Any) -> Any:
        """The result for null, a failure or an exception; Undefined for any other value, which is still to be
        completed."""
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

    def _with_substitutes(self, execution: Execution, values: Sequence[Any], paths: Paths) -> Sequence[Any]:
        """The values, with the declaration's substitute in place of those that the field can't show."""
        if self.field.substitute is None:
            return values
        return [
            value if self._is_showable(value) else self._substitute(execution, paths.path(index))
            for index, value in enumerate(values)
        ]

    def _is_showable(self, value: Any) -> bool:
        if value is None:
            return not self.non_null
        return isinstance(value, (Failure, Exception)) or self._can_show(value)

    def _can_show(self, value: Any) -> bool:
        """Whether the field can show this value, which is no failure."""
        return True

    def _substitute(self, execution: Execution, path: Path | None) -> Any:
        assert self.field.substitute is not None
        assert path is not None
        default = self.field.substitute(path)
        if not self.non_null:
            return None
        if self.is_item:
            execution.omitted = True
            return OMITTED
        return default

    def plan_of(self, value: Any, plans: dict[int, ObjectPlan]) -> ObjectPlan | None:
        """The plan by which a completed value was made; None where it is no object."""
        return None
