"""Where loaders get their values from, and which of their batches may go out together with those of other requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, Final

from api.fields.loaders import Fetch
from api.lists.pagination import MAX_SIZE
from api.stores.coalescing import Coalescer
from api.stores.stores import Stores

Read = Callable[[Stores, Sequence[Any], frozenset[str]], Awaitable[Sequence[Any]]]
"""A domain's own function: one value for each of these distinct keys, in their order, with these columns."""
Question = Callable[[Any], Hashable]
SizeOf = Callable[[frozenset[str]], int]
"""About how many bytes an object has, with its key, where these columns of it are read."""

_COUNT: Final = 50
"""About the bytes of a number, with its key."""


def some_bytes(_: frozenset[str]) -> int:
    """The size of a row like most: some ids, texts and times."""
    return 500


@dataclass(frozen=True, slots=True)
class Source:
    """Reads the values of a loader.

    Batches with the same columns may go out together. Where not all keys ask the same, `question` says what a key asks:
    those with another question have a statement of their own, so they neither join nor wait. `rows` is how many objects
    a key's value has at most; it is the same for all keys with the same question.
    """

    read: Read
    size_of: SizeOf
    question: Question | None = None
    rows: Callable[[Any], int] | None = None

    async def together(
        self, coalescer: Coalescer, name: Hashable, fetch: Fetch[Any, Any], keys: Sequence[Any], columns: frozenset[str]
    ) -> Sequence[Any]:
        """What `fetch` returns for a batch of the loader with this name, read with those of other requests.

        Where there are several places to read from, the name has that in it.
        """
        question, send = self.question, partial(_send, fetch, columns)
        if question is None:
            return await coalescer.read((name, columns), keys, send, self._size(keys[0], columns))
        first = question(keys[0])
        if len(keys) == 1 or all(question(key) == first for key in keys):
            return await coalescer.read((name, columns, first), keys, send, self._size(keys[0], columns))
        batches: dict[Hashable, list[Any]] = defaultdict(list)
        for key in keys:
            batches[question(key)].append(key)
        found: dict[Any, Any] = {}
        for asked, batch in batches.items():
            values = await coalescer.read((name, columns, asked), batch, send, self._size(batch[0], columns))
            found.update(zip(batch, values, strict=True))
        return [found[key] for key in keys]

    def _size(self, key: Any, columns: frozenset[str]) -> int:
        size = self.size_of(columns)
        return size if self.rows is None else size * self.rows(key)


async def _send(fetch: Fetch[Any, Any], columns: frozenset[str], keys: Sequence[Any]) -> Sequence[Any]:
    return await fetch(keys, columns)


def objects(read: Read, size_of: SizeOf = some_bytes) -> Source:
    """Objects by key."""
    return Source(read, size_of)


def pages(read: Read, size_of: SizeOf = some_bytes) -> Source:
    """Pages of lists, whose keys are `(by, owner, request)`."""
    return Source(read, size_of, question=_by_and_what, rows=_rows_of_page)


def counts(read: Read) -> Source:
    """Lengths of lists, whose keys are `(by, owner, condition)`."""
    return Source(read, lambda _: _COUNT, question=_by_and_what)


def facets(read: Read) -> Source:
    """Facets of lists (`api.lists.facets`): all over the same condition have one statement, whatever they are of."""
    return Source(read, lambda _: _COUNT * MAX_SIZE, question=attrgetter("question"))


_by_and_what: Final[Question] = itemgetter(0, 2)


def _rows_of_page(key: Any) -> int:
    rows: int = key[2].size + 1
    return rows
