"""Writing large answers as JSON in pieces, with turns of the event loop between them.

orjson writes an answer at once, which takes tens of milliseconds for megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from api.execution.turns import Turns

LARGE: Final = 1024 * 1024
"""Bytes from which on an answer is written in pieces."""
PIECE: Final = 50_000
"""Values (objects, list items, texts, numbers) that are written at once, in about 2 ms."""
STEP: Final = 256 * 1024
"""Bytes after which others have a turn."""


async def written(body: Any, turns: Turns) -> bytes:
    """The same JSON that orjson writes. Raises TypeError where JSON can't express it."""
    pieces: list[bytes] = []
    size = 0
    for piece in _pieces(body):
        pieces.append(piece)
        size += len(piece)
        if size > STEP:
            await turns.take()
            size = 0
    return b"".join(pieces)


def _pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict) and _size(value) > PIECE:
        before = b"{"
        for name, part in value.items():
            yield before + orjson.dumps(name) + b":"
            yield from _pieces(part)
            before = b","
        yield b"}"
    elif isinstance(value, list) and len(value) * (each := _size_of_items(value)) > PIECE:
        before = b"["
        together = PIECE // each
        for begin in range(0, len(value), max(together, 1)):
            yield before
            if together:
                yield orjson.dumps(value[begin : begin + together])[1:-1]
            else:
                yield from _pieces(value[begin])
            before = b","
        yield b"]"
    else:
        yield orjson.dumps(value)


def _size(value: Any) -> int:
    """About how many values there are in this one."""
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    if isinstance(value, list):
        return 1 + len(value) * _size_of_items(value)
    return 1


def _size_of_items(values: list[Any]) -> int:
    """How many values an item has at most, by three of them: looking at all would take longer than to write them."""
    if not values:
        return 0
    return max(_size(values[0]), _size(values[len(values) // 2]), _size(values[-1]))
