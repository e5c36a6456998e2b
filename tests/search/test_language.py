"""The setting SEARCH_LANGUAGE: words are stemmed by the configuration that it names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import structlog

from api.config.settings import ConfigurationError, Settings
from api.search.rebuilding import rebuild
from api.stores.stores import open_stores
from migrations.errors import MigrationError
from migrations.runner import upgrade
from tests.search.conftest import SEARCH, names
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import execute
from tests.support.stores.databases import fresh_database

pytestmark = pytest.mark.anyio

REMEDY = "search is indexed in another language than german: run `fashion-wallet search rebuild`"


@pytest.fixture
def fresh(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    with fresh_database(postgres_url, mongodb_url) as settings:
        yield settings


async def found(settings: Settings, query: str) -> list[str]:
    async with running(settings) as (_, client):
        return names(await execute(client, SEARCH, text=query))


async def test_a_new_database_takes_the_language_and_another_one_keeps_its_own_until_it_is_rebuilt(
    fresh: Settings,
) -> None:
    german = fresh.model_copy(update={"search_language": "german"})
    assert not [line for line in await asyncio.to_thread(upgrade, fresh) if "language" in line or "indexed" in line]
    assert "PostgreSQL: search is indexed in german" in await asyncio.to_thread(upgrade, german)
    assert "PostgreSQL: search is indexed in english" in await asyncio.to_thread(upgrade, fresh)
    async with open_stores(fresh) as stores:
        await create_catalog_item(stores, name="Rote Kleider")
        # the blank says that the word isn't the beginning of another one
        assert await found(fresh, "Kleid ") == []
        assert f"PostgreSQL: {REMEDY}" in await asyncio.to_thread(upgrade, german)
        with structlog.testing.capture_logs() as logs:
            assert await found(german, "Kleid ") == []
        assert [log["wanted"] for log in logs if log["event"] == "search is indexed in another language"] == ["german"]
        await rebuild(stores, "german", lambda *progress: None)
        with structlog.testing.capture_logs() as logs:
            assert await found(german, "Kleid ") == ["Rote Kleider"]
        assert not [log for log in logs if "language" in log["event"]]


async def test_a_language_that_postgresql_lacks_is_refused(fresh: Settings) -> None:
    unknown = fresh.model_copy(update={"search_language": "english'; DROP TABLE shared.users; --"})
    refusal = r"SEARCH_LANGUAGE must be one of .*english.*german.*, not english'; DROP"
    with pytest.raises(MigrationError, match=refusal):
        await asyncio.to_thread(upgrade, unknown)
    await asyncio.to_thread(upgrade, fresh)
    with pytest.raises(ConfigurationError, match=refusal):
        await found(unknown, "dress")
    assert await found(fresh, "dress") == []
