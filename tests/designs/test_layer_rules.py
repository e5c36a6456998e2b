"""What a layer may show and where it may lie: rules for what is new, which leave alone what is stored."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.stores.stores import Stores
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.graphql import gid
from tests.support.mutations.designs import changed, mutate, problems, revisions, seen, stored
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio


async def test_a_new_layers_item_has_its_type(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    cut, silk = [await create_catalog_item(stores, type=type) for type in ("silhouette", "fabric")]
    hidden = await create_catalog_item(stores, type="silhouette", is_active=False)
    wrong = {"type": "FABRIC", "itemId": gid(cut)}
    layers = [wrong, {"type": "SILHOUETTE", "itemId": gid(cut)}, {"type": "PATTERN"}, {"type": "FABRIC"} | wrong]

    # when, then: in a new design each is told, and what isn't there for the viewer is no more than that
    two = [("LAYER_TYPE", "layers.0.itemId"), ("LAYER_TYPE", "layers.3.itemId")]
    assert await problems(mine, "createDesign", name="New", layers=layers) == two
    unseen = [{"type": "FABRIC", "itemId": gid(hidden)}]
    assert await problems(mine, "createDesign", name="New", layers=unseen) == [("NOT_FOUND", "layers.0.itemId")]
    [error] = (await mutate(mine, "createDesign", name="New", layers=[wrong]))["errors"]
    assert error["message"] == "The layer is of type FABRIC, and the item is a SILHOUETTE."
    assert error["__typename"] == "ConflictError"
    assert await stores.database["designs"].count_documents({}) == 0

    # when, then: in one that is there, whatever its status
    for status in ("draft", "published"):
        here = [layer_of(silk.id, id="a"), layer_of(None, id="b")]
        design = await create_design(stores, user_id=user.id, status=status, layers=here)
        before = await stored(stores, design)
        given = [{"id": "a", "type": "FABRIC", "itemId": gid(silk)}, {"id": "c", **wrong}]
        assert await problems(mine, "updateDesign", **seen(design, layers=given)) == [("LAYER_TYPE", "layers.1.itemId")]
        for operations, path in (
            ([{"add": {"layer": wrong}}], "0.add.layer.itemId"),
            ([{"update": {"layerId": "b", "itemId": gid(cut)}}], "0.update.itemId"),
            (
                [{"update": {"layerId": "b", "color": "red"}}, {"update": {"layerId": "a", "type": "PATTERN"}}],
                "1.update.type",
            ),
            (
                [{"add": {"layer": {"id": "n", "type": "FABRIC"}}}, {"update": {"layerId": "n", "itemId": gid(cut)}}],
                "1.update.itemId",
            ),
        ):
            found = await problems(mine, "applyDesignPatch", **seen(design, operations=operations))
            assert found == [("LAYER_TYPE", f"operations.{path}")]
        assert await stored(stores, design) == before
        # both at once fit
        both = [{"update": {"layerId": "a", "type": "SILHOUETTE", "itemId": gid(cut)}}]
        after = await changed(mine, "applyDesignPatch", **seen(design, operations=both))
        assert (after["layers"][0]["type"], after["layers"][0]["catalogItem"]) == ("SILHOUETTE", {"id": gid(cut)})


async def test_what_is_stored_shows_what_it_shows(client: httpx.AsyncClient, stores: Stores) -> None:
    # given: layers of an older service, one of which shows an item of another type
    mine, user = await signed_in(client, stores)
    cut, silk = [await create_catalog_item(stores, type=type) for type in ("silhouette", "fabric")]
    gone = await create_catalog_item(stores, type="silhouette", deleted_at=user.created_at)
    here = [layer_of(cut.id, id="a"), layer_of(silk.id, id="b"), layer_of(gone.id, id="c")]
    design = await create_design(stores, user_id=user.id, layers=here)

    # when, then: it can be kept, changed otherwise, published, brought back and copied
    same = [{"id": "a", "type": "FABRIC", "itemId": gid(cut), "color": "red"}, {"id": "b", "type": "FABRIC"}]
    after = await changed(mine, "updateDesign", **seen(design, layers=same))
    assert [(layer["type"], layer["color"]) for layer in after["layers"]] == [("FABRIC", "red"), ("FABRIC", None)]
    operations = [{"update": {"layerId": "a", "color": "blue"}}, {"move": {"layerId": "a", "index": 1}}]
    await changed(mine, "applyDesignPatch", id=gid(design), expectedVersion=2, operations=operations)
    named = [{"update": {"layerId": "a", "type": "FABRIC", "itemId": gid(cut)}}]
    await changed(mine, "applyDesignPatch", id=gid(design), expectedVersion=3, operations=named)
    await changed(mine, "publishDesign", id=gid(design))
    await changed(mine, "updateDesign", id=gid(design), expectedVersion=5, layers=[{"type": "FABRIC"}])
    back = await changed(mine, "restoreDesignRevision", id=gid(design), version=4, expectedVersion=6)
    assert [layer["catalogItem"] for layer in back["layers"]] == [None, {"id": gid(cut)}]
    assert len(await revisions(stores, design)) == 6

    copy = await changed(mine, "duplicateDesign", id=gid(design))
    assert [layer["type"] for layer in copy["layers"]] == [layer["type"] for layer in back["layers"]]

    # a layer with another id is new
    again = [{"id": "other", "type": "FABRIC", "itemId": gid(cut)}]
    path = [("LAYER_TYPE", "layers.0.itemId")]
    assert await problems(mine, "updateDesign", id=gid(design), expectedVersion=7, layers=again) == path


BEYOND: list[tuple[str, Any, Any]] = [
    ("position", {"x": 1_000_000, "y": -1_000_000, "z": 1_000_000}, {"x": 1_000_000.5, "y": -1e308, "z": 1e7}),
    ("position", {"x": -1_000_000, "y": 1_000_000, "z": -1_000_000}, {"x": -1_000_001, "y": 1e6 + 1, "z": -1e7}),
    ("scale", {"x": 1000, "y": -1000}, {"x": 1000.1, "y": -1e300}),
    ("scale", {"x": -1000, "y": 1000}, {"x": -1001, "y": 1001}),
    ("rotation", 3600, 3600.5),
    ("rotation", -3600, -1e308),
]


async def test_layers_lie_within_bounds(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)
    design = await create_design(stores, user_id=user.id, layers=[layer_of(None, id="a")])
    for name, allowed, beyond in BEYOND:
        paths = [f"{name}.{part}" for part in beyond] if isinstance(beyond, dict) else [name]
        layers = [{"id": "a", "type": "FABRIC", name: beyond}]
        expected = [("INVALID", f"layers.0.{path}") for path in paths]
        assert await problems(mine, "createDesign", name="New", layers=layers) == expected
        assert await problems(mine, "updateDesign", **seen(design, layers=layers)) == expected
        update = [{"update": {"layerId": "a", name: beyond}}]
        expected = [("INVALID", f"operations.0.update.{path}") for path in paths]
        assert await problems(mine, "applyDesignPatch", **seen(design, operations=update)) == expected
        await changed(mine, "createDesign", name="New", layers=[{"type": "FABRIC", name: allowed}])


async def test_what_is_stored_may_lie_anywhere(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)
    far = layer_of(None, id="a", position={"x": 1e308, "y": 0, "z": 0}, rotation=1e9, scale={"x": 1e300, "y": 1})
    design = await create_design(stores, user_id=user.id, layers=[far, layer_of(None, id="b")])

    operations = [{"update": {"layerId": "a", "color": "red"}}, {"remove": {"layerId": "b"}}]
    after = await changed(mine, "applyDesignPatch", **seen(design, operations=operations))
    assert after["layers"][0]["position"] == {"x": 1e308, "y": 0, "z": 0}
    document = await stored(stores, design)
    assert document is not None
    assert [(layer["rotation"], layer["scale"]) for layer in document["layers"]] == [(1e9, {"x": 1e300, "y": 1})]
    assert (await changed(mine, "duplicateDesign", id=gid(design)))["layers"][0]["position"]["x"] == 1e308
