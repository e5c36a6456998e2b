"""The size of the response, counted while it is made: keys by the plan of a level, texts a column at a time.

The count is never more than the bytes of the response as JSON, and a little less: numbers and escapes aren't counted in
full.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import mul
from types import NoneType
from typing import Any, Final

LONG: Final = 200
"""The average length of texts, in characters, from which their bytes are counted instead. For short texts that isn't
worth the time, since a character has at most 4 bytes."""
_TEXTS: Final = frozenset((str, NoneType))


class TooLarge(BaseException):
    """The response gets larger than it may be. A BaseException, so that it isn't caught as the error of a field."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size
        """The bytes counted so far."""


class SizeBudget:
    """The bytes that a response may still take: that of one operation, or of all operations of a batch together."""

    __slots__ = ("left", "size")

    def __init__(self, size: int = sys.maxsize) -> None:
        self.size = self.left = size

    def take(self, size: int) -> None:
        """Take so many bytes. Raises TooLarge where fewer are left."""
        self.left -= size
        if self.left < 0:
            raise TooLarge(self.size - self.left)


def count_of(counts: Sequence[int] | None, values: Sequence[Any]) -> int:
    """How many values there are in the response."""
    return len(values) if counts is None else sum(counts)


def size_of_texts(texts: Sequence[Any], counts: Sequence[int] | None) -> int:
    """The bytes of a column of texts. Some of them may be null or failures."""
    if counts is None:
        texts = list(filter(None, texts))
    try:
        sizes = list(map(len, texts))
    except TypeError:
        texts = [text if type(text) is str else "" for text in texts]
        sizes = list(map(len, texts))
    if sum(sizes) >= LONG * len(texts):
        sizes = list(map(_bytes, texts))
    return sum(sizes) if counts is None else sum(map(mul, sizes, counts))


def size_of_values(values: Sequence[Any], counts: Sequence[int] | None) -> int:
    """The bytes of a column of scalars: texts as a rule, but lists and objects for a JSON scalar."""
    if _TEXTS.issuperset(map(type, values)):
        return size_of_texts(values, counts)
    sizes = list(map(_size, values))
    return sum(sizes) if counts is None else sum(map(mul, sizes, counts))


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
