"""What other programs have stored beside what this API knows stays where it is when the API changes the rest."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from bson import ObjectId
from sqlalchemy import text

from api.stores.stores import Stores
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.graphql import execute, gid
from tests.support.mutations.designs import changed
from tests.support.signing_in import signed_in
from tests.support.stores.distributed import UNRECORDED

pytestmark = pytest.mark.anyio

LAYERS: list[dict[str, Any]] = [
    {
        "_id": ObjectId("6b0a67ffe7f008c7d6a52c12"),
        "id": "a",
        "type": "fabric",
        "position": {"x": 1.0, "y": 2.0, "z": 3.0, "unit": "px"},
        "scale": {"x": 1.0, "y": 1.0, "locked": True},
        "visible": True,
        "opacity": 0.5,
        "blendMode": {"name": "multiply"},
    },
    {"id": "b", "type": "pattern", "position": {"x": 0.0, "y": 0.0, "z": 0.0}, "visible": True, "opacity": 0.25},
]
METADATA = {"tags": ["a"], "canvasSize": {"width": 10, "height": 20, "dpi": 300}, "season": "spring"}


async def odd_design(stores: Stores, user_id: Any) -> Any:
    design = await create_design(stores, user_id=user_id)
    change = {"layers": LAYERS, "metadata": METADATA, "collaborators": ["somebody"]}
    await stores.database["designs"].update_one({"_id": design.id}, {"$set": change})
    return design


async def stored(stores: Stores, design: Any) -> dict[str, Any]:
    found = await stores.database["designs"].find_one({"_id": design.id})
    assert found is not None
    return found


async def test_a_patch_keeps_what_it_does_not_know(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)
    design = await odd_design(stores, user.id)
    operations = [
        {"update": {"layerId": "a", "color": "#ff0000", "position": {"x": 5, "y": 6}, "scale": {"x": 2, "y": 2}}},
        {"move": {"layerId": "b", "index": 0}},
    ]
    await changed(mine, "applyDesignPatch", id=gid(design), expectedVersion=1, operations=operations)

    first, second = LAYERS
    position, scale = {"x": 5, "y": 6, "z": 3, "unit": "px"}, {"x": 2, "y": 2, "locked": True}
    found = await stored(stores, design)
    assert found["layers"] == [second, {**first, "color": "#ff0000", "position": position, "scale": scale}]
    assert (found["metadata"], found["collaborators"]) == (METADATA, ["somebody"])


async def test_other_layers_of_the_same_ids_keep_what_they_have(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)
    design = await odd_design(stores, user.id)
    layers = [{"id": "a", "type": "FABRIC", "scale": {"x": 3, "y": 3}}, {"id": "c", "type": "FABRIC"}]
    metadata = {"description": "new", "canvasSize": {"width": 1, "height": 2}}
    await changed(mine, "updateDesign", id=gid(design), expectedVersion=1, layers=layers, metadata=metadata)

    found = await stored(stores, design)
    position = {"x": 0, "y": 0, "z": 0}
    assert found["layers"] == [
        {
            **{name: LAYERS[0][name] for name in ("_id", "id", "type", "visible", "opacity", "blendMode")},
            "position": {**position, "unit": "px"},
            "scale": {"x": 3, "y": 3, "locked": True},
        },
        {"id": "c", "type": "fabric", "position": position, "visible": True},
    ]
    canvas = {"width": 1, "height": 2, "dpi": 300}
    assert found["metadata"] == {"tags": ["a"], "season": "spring", "description": "new", "canvasSize": canvas}


async def test_a_copy_and_a_restored_version_have_it_too(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)
    design = await odd_design(stores, user.id)
    copy = await changed(mine, "duplicateDesign", id=gid(design))
    await changed(mine, "updateDesign", id=gid(design), expectedVersion=1, layers=[])
    await changed(mine, "restoreDesignRevision", id=gid(design), version=1, expectedVersion=2)

    assert (await stored(stores, design))["layers"] == LAYERS
    copies = await stores.database["designs"].find({"_id": {"$ne": design.id}}).to_list()
    assert [(each["layers"], each["metadata"]) for each in copies] == [(LAYERS, METADATA)]
    assert copy is not None


async def test_changed_measurements_keep_what_is_not_known(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id)
    await put(stores, "avatar.avatars", "measurements", avatar.id, {"inseam": 80, "height": 170})
    query = "mutation ($input: UpdateAvatarInput!) { updateAvatar(input: $input) { errors { code } } }"
    await execute(mine, query, input={"id": gid(avatar), "measurements": {"weight": 60}})
    assert await got(stores, "avatar.avatars", "measurements", avatar.id) == {"inseam": 80, "height": 170, "weight": 60}
    await execute(mine, query, input={"id": gid(avatar), "measurements": None})
    assert await got(stores, "avatar.avatars", "measurements", avatar.id) == {"inseam": 80}


async def test_changed_properties_keep_what_is_not_known(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores, "brand")
    item = await create_catalog_item(stores, created_by=user.id)
    await put(stores, "catalog.catalog_items", "properties", item.id, {"gsm": 120, "color": "red"})
    query = "mutation ($input: UpdateCatalogItemInput!) { updateCatalogItem(input: $input) { errors { code } } }"
    await execute(mine, query, input={"id": gid(item), "properties": {"material": "silk"}})
    assert await got(stores, "catalog.catalog_items", "properties", item.id) == {
        "gsm": 120,
        "color": "red",
        "material": "silk",
    }


async def put(stores: Stores, table: str, column: str, id: Any, value: Any) -> None:
    async with stores.engine.begin() as connection:
        await connection.execute(text(UNRECORDED))
        change = text(f"UPDATE {table} SET {column} = CAST(:value AS jsonb) WHERE id = :id")
        await connection.execute(change, {"value": orjson.dumps(value).decode(), "id": id})


async def got(stores: Stores, table: str, column: str, id: Any) -> Any:
    async with stores.engine.connect() as connection:
        return (await connection.execute(text(f"SELECT {column} FROM {table} WHERE id = :id"), {"id": id})).scalar()
