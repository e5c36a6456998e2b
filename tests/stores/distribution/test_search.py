"""What a search answers where designs are distributed, and how search goes on knowing them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx
import pytest

from api.config.settings import Settings
from api.search import projection
from api.search.rebuilding import rebuild
from api.stores.stores import Stores, open_stores
from migrations.errors import MigrationError
from tests.search.following import change_design, copy_designs
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, insert_design, object_id
from tests.support.graphql import execute
from tests.support.signing_in import signed_in
from tests.support.stores.databases import scalar, sql
from tests.support.stores.distributed import distribute

pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

WORDS: Final = ("silk", "dress", "navy", "linen", "pinstripe", "summer")
QUERIES: Final = ("silk", "dress -navy", "linen dress", "s", "pinstirpe", "slik dres", "summerdress", "nothingness")
FILTERS: Final[tuple[dict[str, Any] | None, ...]] = (
    None,
    {"designs": {"status": "DRAFT"}},
    {"designs": {"tags": {"all": ["navy"]}, "name": {"contains": "silk"}}},
)
SEARCH: Final = """
    query ($text: String!, $filter: SearchFilter, $after: String) {
      search(query: $text, filter: $filter, first: 7, after: $after) {
        correctedQuery totalCount pageInfo { hasNextPage endCursor }
        edges { score node { __typename ... on Node { id } } highlights { field text } }
        facets { designs { status { value count } tags { value count } } catalogItems { tags { value count } } }
      }
    }
"""
SUGGEST: Final = "query ($prefix: String!) { suggest(prefix: $prefix) { text count } }"


async def answers(viewers: list[httpx.AsyncClient]) -> list[Any]:
    """All pages of each search with each filter, and what begins with each letter, for each viewer."""
    found: list[Any] = []
    for viewer in viewers:
        for text in QUERIES:
            for filter in FILTERS:
                after = None
                while True:
                    page = (await execute(viewer, SEARCH, text=text, filter=filter, after=after))["search"]
                    found.append(page)
                    after = page["pageInfo"]["endCursor"]
                    if not page["pageInfo"]["hasNextPage"]:
                        break
        found += [await execute(viewer, SUGGEST, prefix=word[:1]) for word in WORDS]
    return found


async def names(client: httpx.AsyncClient, text: str) -> list[str]:
    query = "query ($text: String!) { search(query: $text, types: DESIGN) { nodes { ... on Design { name } } } }"
    return [each["name"] for each in (await execute(client, query, text=text))["search"]["nodes"]]


async def test_the_answers_are_those_of_one_postgresql(undistributed: Settings) -> None:
    # given
    async with running(undistributed) as (app, client):
        stores: Stores = app.state.stores
        mine, ada = await signed_in(client, stores)
        admin, _ = await signed_in(client, stores, "admin")
        for number in range(36):
            one, other = WORDS[number % 6], WORDS[(number * number // 5) % 6]
            status = ("published", "draft", "archived")[number % 3]
            about = {"tags": [other, "navy"][: number % 4], "description": f"{one} for {other}"}
            await create_design(stores, user_id=ada.id, name=f"{one} {other}", status=status, metadata=about)
            if number % 4 == 0:
                await create_catalog_item(stores, name=f"{other} {one}", properties={"tags": [one], "color": "navy"})
        await insert_design(stores, name="silk of nobody", userId=None, status="published")
        await copy_designs(stores)
        before = await answers([client, mine, admin])

        # when
        await asyncio.to_thread(distribute, undistributed)
        # then
        shards = "SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'design.design_search'::regclass"
        assert await asyncio.to_thread(scalar, undistributed, shards) > 1
        after = await answers([client, mine, admin])
        assert stores.distribution.is_distributed
    assert after == before


async def test_designs_are_followed_and_indexed_anew(undistributed: Settings) -> None:
    # given
    await asyncio.to_thread(distribute, undistributed)
    async with running(undistributed) as (app, client):
        stores: Stores = app.state.stores
        made = [await create_design(stores, name=f"zebrawood {each}", status="published") for each in range(5)]
        designs = [object_id(each) for each in made]
        await copy_designs(stores)
        assert len(await names(client, "zebrawood")) == 5

        # when: one is renamed, one is archived, and one is gone
        await change_design(stores, designs[0], name="quetzalia")
        await change_design(stores, designs[1], status="archived")
        await made[2].delete()
        keys = designs[:3]
        found = await projection.read(stores.database, keys)
        async with stores.engine.begin() as connection:
            await projection.write(connection, found, keys)
        # then
        assert await names(client, "quetzalia") == ["quetzalia"]
        assert sorted(await names(client, "zebrawood")) == ["zebrawood 3", "zebrawood 4"]
        assert await names(client, "quetzaila") == ["quetzalia"]

        # when: rows are lost, and others are there of what isn't
        await change_design(stores, designs[3], name="okapia")
        await made[4].delete()
        async with stores.engine.begin() as connection:
            await projection.write(connection, [], [designs[0]])
        await rebuild(stores, "german", lambda *progress: None)
        assert await names(client, "zebrawood") == []
        assert [await names(client, word) for word in ("okapia", "quetzalia")] == [["okapia"], ["quetzalia"]]
        await rebuild(stores, "english", lambda *progress: None)
        assert await names(client, "okapia") == ["okapia"]


async def test_a_language_that_a_worker_lacks_is_told_before_tables_move(undistributed: Settings) -> None:
    # given: made where Citus didn't see it, as before it was there
    unseen = (
        "DO $$ BEGIN SET LOCAL citus.enable_ddl_propagation = off; {} TEXT SEARCH CONFIGURATION shared.ours{}; END $$"
    )
    language = undistributed.model_copy(update={"search_language": "shared.ours"})
    await asyncio.to_thread(sql, undistributed, unseen.format("CREATE", " (COPY = pg_catalog.german)"))
    async with open_stores(language) as stores:
        try:
            await rebuild(stores, "shared.ours", lambda *progress: None)

            # when
            with pytest.raises(MigrationError, match=r"a worker lacks the text search configuration shared\.ours"):
                await asyncio.to_thread(distribute, language)
            # then
            assert await asyncio.to_thread(scalar, undistributed, "SELECT count(*) FROM pg_dist_shard") == 0
        finally:
            await rebuild(stores, "english", lambda *progress: None)
            await asyncio.to_thread(sql, undistributed, unseen.format("DROP", ""))
