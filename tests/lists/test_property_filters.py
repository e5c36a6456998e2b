"""Filters on what catalog items look and feel like, and on what they may lack."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.stores.stores import Stores
from models import CatalogItem
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import execute

pytestmark = pytest.mark.anyio

each_text = pytest.mark.parametrize("field", ["color", "material", "texture", "patternType"])


async def found(client: httpx.AsyncClient, filter: Any) -> list[str]:
    """The names of the items that a filter finds, sorted. Their count must agree."""
    query = "query ($filter: CatalogItemFilter) { catalogItems(filter: $filter) { nodes { name } totalCount } }"
    page = (await execute(client, query, filter=filter))["catalogItems"]
    assert page["totalCount"] == len(page["nodes"])
    return sorted(node["name"] for node in page["nodes"])


def presence(field: str) -> str:
    return f"has{field[0].upper()}{field[1:]}"


async def store(stores: Stores, item: CatalogItem, properties: Any) -> None:
    """Put any JSON in place of an item's properties, as another program might have done before there was a rule."""
    async with stores.engine.begin() as connection:
        change = text("UPDATE catalog.catalog_items SET properties = CAST(:value AS jsonb) WHERE id = :id")
        await connection.execute(change, {"value": json.dumps(properties), "id": item.id})


@each_text
async def test_texts_inside_properties(client: httpx.AsyncClient, stores: Stores, field: str) -> None:
    for name in ("Navy", "navy", "light blue", "100%_wool"):
        await create_catalog_item(stores, name=name, properties={field: name})
    await create_catalog_item(stores, name="bare")
    everywhere = {each: "elsewhere" for each in ("color", "material", "texture", "patternType") if each != field}
    await create_catalog_item(stores, name="others", properties=everywhere)

    async def by(**condition: Any) -> list[str]:
        return await found(client, {field: condition})

    assert await by(equals="Navy") == ["Navy"]
    assert await by(**{"in": ["navy", "light blue", "nothing"]}) == ["light blue", "navy"]
    assert await by(**{"in": []}) == []
    assert await by(contains="AV") == ["Navy", "navy"]
    assert await by(contains="%") == ["100%_wool"]
    assert await by(startsWith="LIGHT") == ["light blue"]
    assert await by(startsWith="blue") == []
    assert await by(contains="elsewhere") == []
    assert await found(client, {"not": {field: {"contains": "a"}}}) == ["100%_wool", "bare", "light blue", "others"]
    assert await found(client, {presence(field): False}) == ["bare", "others"]
    assert await found(client, {presence(field): True}) == ["100%_wool", "Navy", "light blue", "navy"]
    assert await found(client, {"or": [{field: {"equals": "navy"}}, {presence(field): False}]}) == [
        "bare",
        "navy",
        "others",
    ]


@each_text
@pytest.mark.parametrize("odd", [5, True, None, {}, {"equals": "navy"}, [], ["navy"]])
async def test_what_is_no_text_counts_as_none(client: httpx.AsyncClient, stores: Stores, field: str, odd: Any) -> None:
    await store(stores, await create_catalog_item(stores, name="odd"), {field: odd})

    assert await found(client, {presence(field): False}) == ["odd"]
    assert await found(client, {presence(field): True}) == []
    assert await found(client, {field: {"contains": ""}}) == []
    assert await found(client, {field: {"in": ["5", "true", "null", "navy", "", "{}", "[]", '["navy"]']}}) == []


@each_text
async def test_a_text_longer_than_any_filter_is_stored_and_found(
    client: httpx.AsyncClient, stores: Stores, field: str
) -> None:
    """The indexes of PostgreSQL hold no texts that long."""
    await store(stores, await create_catalog_item(stores, name="long"), {field: "ß" * 255 + "x" * 100_000})

    assert await found(client, {field: {"startsWith": "ß" * 255}}) == ["long"]
    assert await found(client, {presence(field): True}) == ["long"]


async def test_categories_and_pictures_that_are_not_there(client: httpx.AsyncClient, stores: Stores) -> None:
    await create_catalog_item(stores, name="both", category="top", thumbnail_url="https://cdn.example.com/a.webp")
    await create_catalog_item(stores, name="neither")

    for field in ("hasCategory", "hasThumbnail"):
        assert await found(client, {field: True}) == ["both"]
        assert await found(client, {field: False}) == ["neither"]
        assert await found(client, {field: None}) == ["both", "neither"]
        assert await found(client, {"not": {field: True}}) == ["neither"]
        assert await found(client, {"not": {field: False}}) == ["both"]
    assert await found(client, {"hasCategory": True, "category": "TOP"}) == ["both"]
    assert await found(client, {"hasCategory": False, "category": "TOP"}) == []
