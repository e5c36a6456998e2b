"""What every batch resolver has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from api.execution import Loading
from api.fields.selection import ResolveInfo

Values = Sequence[Any] | Loading


class BatchResolver(Protocol):
    """Resolves a field for all objects of a level."""

    def prepare(self, arguments: Mapping[str, Any]) -> Any:
        """Turn the field's arguments, by their Python names, into what `load` takes. Raises BadUserInput."""
        ...

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: Any) -> Values:
        """One value for each source, in their order, or what has to be awaited for them.

        An exception among the values is the error of its source. `info` is graphql-core's; its path has no indices of
        lists.
        """
        ...


class WithoutArguments:
    """A resolver of a field without arguments."""

    __slots__ = ()

    def prepare(self, arguments: Mapping[str, Any]) -> None:
        """There is nothing to prepare."""


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
