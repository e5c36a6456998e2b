"""Where the values of a level are in the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphql.pyutils import Path


class Places:
    """The paths of a level's values, by their index, and `times`: how often each is in the answer, None where each is
    there once. What many sources share is executed once, and is there many times."""

    __slots__ = ("path", "times")

    def __init__(self, path: Callable[[int], Path | None], times: Sequence[int] | None = None) -> None:
        """`path` is called only for what calls a resolver."""
        self.path = path
        self.times = times

    def some(self, indices: Sequence[int]) -> Places:
        """Those of the values with these indices."""
        path, times = self.path, self.times
        return Places(lambda at: path(indices[at]), None if times is None else [times[index] for index in indices])


ROOT = Places(lambda index: None)
"""The place of the root object."""
