"""Other engines in place of PostgreSQL and MongoDB, where this machine has them. More of the suite runs on
them by its options `--postgres` and `--mongodb`.
"""

from __future__ import annotations

import asyncio

import pytest

from api.config.settings import Settings
from api.stores.stores import open_stores
from documents import Design, MongoRepository, collection
from migrations import runner
from models import CatalogItem, PostgresRepository, new_id
from tests.support.factories.catalog import create_catalog_item
from tests.support.mutations.designs import key
from tests.support.stores.databases import fresh_database, structure
from tests.support.stores.engines import citus, documentdb


@pytest.mark.undistributed("compares with the suite's own database, as it is on one PostgreSQL")
def test_a_citus_coordinator_is_migrated_written_and_read(
    settings: Settings, postgres_url: str, mongodb_url: str
) -> None:
    async def write_and_read(settings: Settings) -> list[str]:
        async with open_stores(settings) as stores:
            await create_catalog_item(stores, name="Silk")
            items = PostgresRepository(CatalogItem, stores.reads, stores.sessions)
            return [item.name for item in await items.find_all(CatalogItem.name == "Silk")]

    with citus() as url, fresh_database(url, mongodb_url) as on_citus:
        runner.upgrade(on_citus)

        assert structure(on_citus) == structure(settings)
        assert asyncio.run(write_and_read(on_citus)) == ["Silk"]
        assert runner.downgrade(on_citus, "base")


@pytest.mark.anyio
async def test_documentdb_keeps_designs_and_makes_the_text_index(postgres_url: str) -> None:
    with documentdb() as uri:
        settings = Settings(_env_file=None, database_url=postgres_url, mongodb_uri=uri)
        async with open_stores(settings) as stores:
            lines = await collection.ensure(stores.database)
            designs = MongoRepository(Design, stores.database)
            dress = await designs.create({"name": "Dress", "user_id": str(new_id())})
            changed = await designs.update(key(dress), {"name": "Gown"}, where={"version": 1})

            assert "index idx_designs_text: created" in lines
            assert await collection.ensure(stores.database) == []
            assert changed is not None
            assert [design.name for design in await designs.find_all({"$text": {"$search": "gown"}})] == ["Gown"]
            assert await designs.soft_delete(key(dress))
            assert await designs.count() == 0
