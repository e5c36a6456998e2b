"""Whatever somebody types: it finds something or nothing, and pages together are the whole."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.stores.stores import Stores
from tests.search.conftest import SEARCH
from tests.search.following import copy_designs
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.graphql import execute, respond

pytestmark = pytest.mark.anyio

WORDS: Final = ("silk", "dress", "crêpe", "navy", "blue", "linen", "midi", "straße", "slik", "dres", "pin", "stripe")
SIGNS: Final = ('"', "-", " ", ":*", "&", "|", "!", "%", "_", "\\", "'", "(", ")", "<->", "\0", "👗", "\u202e", "שמלה")
QUERIES: Final = st.one_of(
    st.lists(st.sampled_from(WORDS + SIGNS), max_size=12).map("".join),
    st.lists(st.sampled_from(WORDS + SIGNS), max_size=12).map(" ".join),
    st.text(max_size=40),
)
ANY: Final = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
async def something(client: httpx.AsyncClient, stores: Stores) -> None:
    """Items and designs with some of the words."""
    for number, word in enumerate(WORDS):
        other = WORDS[number * 5 % len(WORDS)]
        await create_catalog_item(stores, name=f"{word} {other}", properties={"color": other, "tags": [word]})
        await create_design(stores, name=f"{other} {word}", status="published")
    await copy_designs(stores)


@ANY
@given(query=QUERIES)
async def test_whatever_is_typed_is_no_error_of_the_store(
    client: httpx.AsyncClient, something: None, query: str
) -> None:
    body = await respond(client, SEARCH, text=query)
    if "errors" in body:
        assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_USER_INPUT"]
        assert not query.strip()
    else:
        found = body["data"]["search"]
        assert len(found["edges"]) == min(found["totalCount"], 20)


@ANY
@given(query=st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join), size=st.integers(1, 7))
async def test_pages_together_are_the_whole(client: httpx.AsyncClient, something: None, query: str, size: int) -> None:
    async def page(after: str | None, first: int) -> Any:
        return (await execute(client, SEARCH, text=query, first=first, after=after))["search"]

    whole = await page(None, 100)
    edges: list[Any] = []
    after = None
    while True:
        part = await page(after, size)
        assert part["totalCount"] == whole["totalCount"] == len(whole["edges"])
        edges += part["edges"]
        if not part["pageInfo"]["hasNextPage"]:
            break
        after = part["pageInfo"]["endCursor"]
    assert edges == whole["edges"]
    assert [edge["score"] for edge in edges] == sorted((edge["score"] for edge in edges), reverse=True)
