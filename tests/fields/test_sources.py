"""Which batches of loaders go together: those that ask the same, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from api.fields.sources import Source, counts, objects, pages
from api.lists.conditions import EVERYTHING
from api.lists.pagination import PageRequest, page_request
from api.schema import DOMAINS
from api.stores import coalescing
from api.stores.coalescing import AT_ONCE, Coalescer
from tests.support.stores.answering import Store, turns

pytestmark = pytest.mark.anyio

NAMES = frozenset({"name"})


def page_of(size: int) -> PageRequest:
    return page_request("designs", first=size, after=None, last=None, before=None, scope=EVERYTHING)


async def nothing(*_: Any) -> Sequence[Any]:
    raise AssertionError("reads are those of the store that answers")


def asking(
    source: Source, coalescer: Coalescer, store: Store, *keys: Any, columns: frozenset[str] = NAMES, name: str = "it"
) -> asyncio.Task[Sequence[Any]]:
    """A batch of a request, which says what it was answered."""

    async def fetch(keys: Sequence[Any], columns: frozenset[str]) -> Sequence[Any]:
        return await store.read(keys)

    return asyncio.create_task(source.together(coalescer, name, fetch, keys, columns))


OBJECTS = objects(nothing)
PAGES = pages(nothing)
COUNTS = counts(nothing)
FIVE, SIX = page_of(5), page_of(6)


@pytest.mark.parametrize(
    ("source", "key", "alike", "others"),
    [
        (OBJECTS, 1, 2, {"columns": (1, {"columns": frozenset({"name", "status"})}), "loader": (1, {"name": "other"})}),
        (
            PAGES,
            ("user_id", 1, FIVE),
            ("user_id", 2, FIVE),
            {
                "page": (("user_id", 1, SIX), {}),
                "whose": (("avatar_id", 1, FIVE), {}),
                "everybody's": ((None, None, FIVE), {}),
                "columns": (("user_id", 1, FIVE), {"columns": frozenset({"name", "status"})}),
                "loader": (("user_id", 1, FIVE), {"name": "other"}),
            },
        ),
        (COUNTS, ("user_id", 1, "a"), ("user_id", 2, "a"), {"condition": (("user_id", 1, "b"), {})}),
    ],
    ids=["objects", "pages", "counts"],
)
async def test_only_those_that_ask_the_same_wait_for_each_other(
    source: Source, key: Any, alike: Any, others: dict[str, tuple[Any, dict[str, Any]]]
) -> None:
    coalescer, store = Coalescer(), Store()
    tasks = [asking(source, coalescer, store, key) for _ in range(AT_ONCE + 1)]
    tasks.append(asking(source, coalescer, store, alike))
    await turns()
    assert store.sent == [[key]] * AT_ONCE

    for number, (what, (other, given)) in enumerate(others.items(), AT_ONCE):
        tasks.append(asking(source, coalescer, store, other, **given))
        await turns()
        assert store.sent[number:] == [[other]], what

    number = len(store.sent)
    await store.answer(0)
    assert store.sent[number:] == [[key, alike]]
    await store.answer(*range(1, len(store.sent)))
    assert [await task for task in tasks[:4]] == [[str(key)]] * 3 + [[str(alike)]]


async def test_a_batch_has_a_statement_for_each_question() -> None:
    coalescer, store = Coalescer(), Store()
    keys = [("user_id", 1, FIVE), ("user_id", 1, SIX), ("user_id", 2, FIVE)]
    reading = asking(PAGES, coalescer, store, *keys)
    await turns()
    await store.answer(0)
    await store.answer(1)

    assert await reading == [str(key) for key in keys]
    assert store.sent == [[keys[0], keys[2]], [keys[1]]]


@pytest.mark.parametrize(("size", "together"), [(1, 10), (99, 2)])
async def test_large_pages_go_with_fewer_others(monkeypatch: pytest.MonkeyPatch, size: int, together: int) -> None:
    monkeypatch.setattr(coalescing, "MOST_BYTES", 2 * 100 * 500)
    coalescer, store = Coalescer(), Store()
    tasks = [asking(PAGES, coalescer, store, ("user_id", number, page_of(size))) for number in range(AT_ONCE + 10)]
    await turns()
    await store.answer(0)
    assert len(store.sent[AT_ONCE]) == together

    number = 1
    while number < len(store.sent):
        await store.answer(number)
        number += 1
    await asyncio.gather(*tasks)


def test_a_design_with_its_layers_is_large() -> None:
    sizes = DOMAINS.loaders["design"].size_of

    assert sizes(frozenset({"name", "layers"})) > 5 * sizes(NAMES)


def test_whatever_has_a_question_says_so() -> None:
    """Keys of pages and counts hold what is asked, those of objects don't."""
    asked = {name for name, source in DOMAINS.loaders.items() if source.question is not None}

    lists = {"users", "avatars", "catalog_items", "designs"}
    assert {*lists, *(f"{name}_count" for name in lists), "design_revisions"} <= asked
    assert not asked & {"user", "avatar", "default_avatar", "catalog_item", "design", "design_revision"}
