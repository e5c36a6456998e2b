"""The paths of a level's values in the response, and how often each value occurs there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphql.pyutils import Path


class Paths:
    """The paths of a level's values, by the values' index.

    `counts` says how often each value occurs in the response: an object that many sources share is executed once and
    occurs many times. None means that each occurs once.
    """

    __slots__ = ("counts", "path")

    def __init__(self, path: Callable[[int], Path | None], counts: Sequence[int] | None = None) -> None:
        """`path` is only called where a resolver is told its path, or an odd value is reported."""
        self.path = path
        self.counts = counts

    def some(self, indices: Sequence[int]) -> Paths:
        """The paths of the values with these indices."""
        path, counts = self.path, self.counts
        return Paths(lambda at: path(indices[at]), None if counts is None else [counts[index] for index in indices])


ROOT = Paths(lambda index: None)
"""The root object has no path."""


def field_path(path: Path | None) -> Path | None:
    """The path of a value's field, without the indices of lists: `info.path` has none of them."""
    while path is not None and isinstance(path.key, int):
        path = path.prev
    return path
