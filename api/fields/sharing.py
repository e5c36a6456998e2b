"""Batches of loaders that go out with those of other requests: they must ask the same of the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

from api.fields.loaders import Fetch
from api.stores.coalescing import Coalescer


async def fetch_together(
    coalescer: Coalescer, name: str, fetch: Fetch[Any, Any], keys: Sequence[Any], columns: frozenset[str]
) -> Sequence[Any]:
    """Objects by key: with others of the same columns."""
    return await coalescer.read((name, columns), keys, partial(_send, fetch, columns))


async def fetch_lists_together(
    coalescer: Coalescer, name: str, fetch: Fetch[Any, Any], keys: Sequence[Any], columns: frozenset[str]
) -> Sequence[Any]:
    """Pages or counts, whose keys are `(by, owner, question)`: with others of the same question, for any owner."""
    first = keys[0]
    if len(keys) == 1 or all(key[2] == first[2] and key[0] == first[0] for key in keys):
        return await coalescer.read((name, columns, first[0], first[2]), keys, partial(_send, fetch, columns))
    questions: dict[tuple[Any, Any], list[Any]] = defaultdict(list)
    for key in keys:
        questions[key[0], key[2]].append(key)
    found: dict[Any, Any] = {}
    for (by, question), theirs in questions.items():
        values = await coalescer.read((name, columns, by, question), theirs, partial(_send, fetch, columns))
        found.update(zip(theirs, values, strict=True))
    return [found[key] for key in keys]


async def _send(fetch: Fetch[Any, Any], columns: frozenset[str], keys: Sequence[Any]) -> Sequence[Any]:
    return await fetch(keys, columns)
