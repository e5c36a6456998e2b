"""How large the answer gets, counted while it is made: keys by the plan of a level, texts a column at a time.

What is counted is never more than the answer has, and about as much: of numbers, and of what JSON escapes, less.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import mul
from types import NoneType
from typing import Any, Final

LONG: Final = 200
"""Characters of texts, on the average, from which their bytes are counted: short ones aren't worth it, and a character
is 4 bytes at most."""
_TEXTS: Final = frozenset((str, NoneType))


class TooLarge(BaseException):
    """The answer gets larger than it may be. It is no field's error, so that nothing that catches those catches it."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size
        """The bytes that were counted until then."""


class Room:
    """The bytes that are left for answers: of one operation, or of all operations of a batch together."""

    __slots__ = ("left", "size")

    def __init__(self, size: int = sys.maxsize) -> None:
        self.size = self.left = size

    def take(self, size: int) -> None:
        """Raises TooLarge where there isn't as much left."""
        self.left -= size
        if self.left < 0:
            raise TooLarge(self.size - self.left)


def count_of(times: Sequence[int] | None, values: Sequence[Any]) -> int:
    """How many values are in the answer."""
    return len(values) if times is None else sum(times)


def size_of_texts(texts: Sequence[Any], times: Sequence[int] | None) -> int:
    """The bytes of a column of texts, of which some may be null or have failed."""
    try:
        sizes = list(map(len, texts))
    except TypeError:
        texts = [text if type(text) is str else "" for text in texts]
        sizes = list(map(len, texts))
    if sum(sizes) >= LONG * len(texts):
        sizes = list(map(_bytes, texts))
    return sum(sizes) if times is None else sum(map(mul, sizes, times))


def size_of_values(values: Sequence[Any], times: Sequence[int] | None) -> int:
    """The bytes of a column of whatever scalars give: texts as a rule, lists and objects for JSON."""
    if _TEXTS.issuperset(map(type, values)):
        return size_of_texts(values, times)
    sizes = list(map(_size, values))
    return sum(sizes) if times is None else sum(map(mul, sizes, times))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _size(value: Any) -> int:
    """The bytes of one value: its texts, and a few for each of its parts."""
    size, pending = 0, [value]
    while pending:
        part = pending.pop()
        if type(part) is str:
            size += _bytes(part)
        elif isinstance(part, dict):
            size += 5 * len(part)
            pending += part
            pending += part.values()
        elif isinstance(part, (list, tuple)):
            size += 2 * len(part)
            pending += part
    return size
