"""The words of catalog items follow every statement that changes items, whoever sends it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from api.search.rebuilding import rebuild
from api.stores.stores import Stores

pytestmark = pytest.mark.anyio

INSERT = """
    INSERT INTO catalog.catalog_items (id, name, description, type, properties, price, is_premium, is_active)
    SELECT md5(number::text)::uuid, 'Item ' || number, 'in linen', 'fabric',
        jsonb_build_object('color', 'red', 'tags', jsonb_build_array('tag' || number % 7)), 100, false, true
    FROM generate_series(1, {}) AS number
"""
CHANGES = {
    "many in one statement": "",
    "names of some": "UPDATE catalog.catalog_items SET name = name || ' silk' WHERE name LIKE '%7'",
    "a color": 'UPDATE catalog.catalog_items SET properties = properties || \'{"color": "navy"}\'',
    "no more description": "UPDATE catalog.catalog_items SET description = NULL",
    "what is no word": "UPDATE catalog.catalog_items SET price = 200, is_active = false",
    "nothing": "UPDATE catalog.catalog_items SET name = name",
    "no row": "UPDATE catalog.catalog_items SET name = 'x' WHERE false",
    "on conflict, changed": INSERT.format(60) + "ON CONFLICT (id) DO UPDATE SET name = 'Again ' || excluded.name",
    "on conflict, left": INSERT.format(60) + "ON CONFLICT DO NOTHING",
    "soft deletion": "UPDATE catalog.catalog_items SET deleted_at = now() WHERE name LIKE '%1'",
    "restoration": "UPDATE catalog.catalog_items SET deleted_at = NULL, name = 'Back'",
    "deletion": "DELETE FROM catalog.catalog_items WHERE name LIKE '%2'",
    "odd properties": 'UPDATE catalog.catalog_items SET properties = \'{"color": [1], "tags": "x"}\'',
    "in one transaction, twice": "UPDATE catalog.catalog_items SET name = 'Once';"
    "UPDATE catalog.catalog_items SET name = 'Twice'",
}


async def words(stores: Stores) -> list[tuple[str, str]]:
    statement = "SELECT item_id::text, words::text FROM catalog.item_search ORDER BY 1"
    async with stores.reads.connect() as connection:
        return [(key, value) for key, value in await connection.execute(text(statement))]


@pytest.mark.parametrize("change", CHANGES)
async def test_the_words_are_those_that_rebuilding_gives(clean_stores: None, stores: Stores, change: str) -> None:
    async with stores.engine.begin() as connection:
        await connection.execute(text(INSERT.format(50)))
        for statement in filter(None, CHANGES[change].split(";")):
            await connection.execute(text(statement))
    kept = await words(stores)
    async with stores.engine.begin() as connection:
        await connection.execute(text("DELETE FROM catalog.item_search"))
    await rebuild(stores, "english", lambda *progress: None)
    assert kept == await words(stores)
    async with stores.reads.connect() as connection:
        assert len(kept) == await connection.scalar(text("SELECT count(*) FROM catalog.catalog_items")) > 0


async def test_what_is_rolled_back_has_no_words(clean_stores: None, stores: Stores) -> None:
    async with stores.engine.connect() as connection:
        await connection.execute(text(INSERT.format(50)))
        await connection.rollback()
    assert await words(stores) == []
