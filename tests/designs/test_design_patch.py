"""Patches of a design's layers, alone and with others at work."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from api.stores.stores import Stores
from documents import Design
from models import User
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.graphql import gid, respond
from tests.support.mutations.designs import changed, mutate, problems, query, revisions, seen, stored
from tests.support.requests.idempotency_keys import lose_answers, send

pytestmark = pytest.mark.anyio


@pytest.fixture
async def design(account: tuple[httpx.AsyncClient, User], stores: Stores) -> Design:
    """Layers a, b and c."""
    return await create_design(stores, user_id=account[1].id, layers=[layer_of(None, id=id) for id in "abc"])


def recolor(id: str, color: str) -> dict[str, Any]:
    return {"update": {"layerId": id, "color": color}}


def layers_of(design: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(layer["layerId"], layer["color"]) for layer in design["layers"]]


async def test_operations_are_applied_in_their_order(ada: httpx.AsyncClient, stores: Stores, design: Design) -> None:
    silk = await create_catalog_item(stores, type="pattern")

    after = await changed(
        ada,
        "applyDesignPatch",
        **seen(
            design,
            operations=[
                {"add": {"layer": {"id": "d", "type": "PATTERN", "itemId": gid(silk)}, "index": 0}},
                {"add": {"layer": {"type": "SILHOUETTE"}}},
                {"move": {"layerId": "a", "index": 3}},
                {"update": {"layerId": "b", "type": "PATTERN", "position": {"x": 1, "y": 2}, "visible": False}},
                {"remove": {"layerId": "c"}},
            ],
        ),
    )

    made = after["layers"][3]["layerId"]
    assert [layer["layerId"] for layer in after["layers"]] == ["d", "b", "a", made]
    assert after["version"] == 2
    b = after["layers"][1]
    assert (b["type"], b["position"], b["visible"]) == ("PATTERN", {"x": 1, "y": 2, "z": 0}, False)
    document = await stored(stores, design)
    assert document is not None
    assert document["catalogItemIds"] == [str(silk.id)]
    reordered = await changed(
        ada,
        "applyDesignPatch",
        id=gid(design),
        expectedVersion=2,
        operations=[{"reorder": {"layerIds": ["a", "b", made, "d"]}}, {"update": {"layerId": "d", "itemId": None}}],
    )
    assert [layer["layerId"] for layer in reordered["layers"]] == ["a", "b", made, "d"]
    document = await stored(stores, design)
    assert document is not None
    assert document["catalogItemIds"] == []


async def test_one_bad_operation_refuses_all(ada: httpx.AsyncClient, stores: Stores, design: Design) -> None:
    before = await stored(stores, design)

    failed = await problems(
        ada,
        "applyDesignPatch",
        **seen(
            design,
            operations=[
                recolor("a", "red"),
                recolor("x", "red"),
                {"move": {"layerId": "b", "index": 3}},
                {"add": {"layer": {"id": "c", "type": "FABRIC"}}},
                {"add": {"layer": {"type": "FABRIC"}, "index": 9}},
                {"remove": {"layerId": "y"}},
                {"reorder": {"layerIds": ["a"]}},
            ],
        ),
    )

    assert failed == [
        ("NOT_FOUND", "operations.1.update.layerId"),
        ("INVALID", "operations.2.move.index"),
        ("INVALID", "operations.3.add.layer.id"),
        ("INVALID", "operations.4.add.index"),
        ("NOT_FOUND", "operations.5.remove.layerId"),
        ("INVALID", "operations.6.reorder.layerIds"),
    ]
    assert await stored(stores, design) == before
    assert await revisions(stores, design) == []


async def test_every_part_is_validated(ada: httpx.AsyncClient, stores: Stores, design: Design) -> None:
    inactive = await create_catalog_item(stores, is_active=False)
    before = await stored(stores, design)
    bad = [
        {"add": {"layer": {"type": "FABRIC", "color": "x" * 65, "itemId": "me"}, "index": -1}},
        {"move": {"layerId": "", "index": -1}},
        {"update": {"layerId": "a", "type": None, "visible": None, "position": None, "color": "x" * 65}},
    ]

    assert await problems(ada, "applyDesignPatch", **seen(design, operations=bad)) == [
        ("INVALID", "operations.0.add.layer.itemId"),
        ("INVALID", "operations.0.add.layer.color"),
        ("INVALID", "operations.0.add.index"),
        ("INVALID", "operations.1.move.layerId"),
        ("INVALID", "operations.1.move.index"),
        ("INVALID", "operations.2.update.type"),
        ("INVALID", "operations.2.update.position"),
        ("INVALID", "operations.2.update.color"),
        ("INVALID", "operations.2.update.visible"),
    ]
    unlisted = [
        {"add": {"layer": {"type": "FABRIC", "itemId": gid(inactive)}}},
        {"update": {"layerId": "a", "itemId": gid(inactive)}},
    ]
    assert await problems(ada, "applyDesignPatch", **seen(design, operations=unlisted)) == [
        ("NOT_FOUND", "operations.0.add.layer.itemId"),
        ("NOT_FOUND", "operations.1.update.itemId"),
    ]
    for operations in ([], [recolor("a", "red")] * 101):
        assert await problems(ada, "applyDesignPatch", **seen(design, operations=operations)) == [
            ("INVALID", "operations")
        ]
    assert await stored(stores, design) == before


@pytest.mark.parametrize(
    "operation",
    [{}, {"remove": {"layerId": "a"}, "move": {"layerId": "a", "index": 0}}, {"remove": None}, {"paint": {}}],
)
async def test_an_operation_is_one(
    ada: httpx.AsyncClient, stores: Stores, design: Design, operation: dict[str, Any]
) -> None:
    before = await stored(stores, design)
    document = "mutation ($input: ApplyDesignPatchInput!) { applyDesignPatch(input: $input) { errors { code } } }"

    body = await respond(ada, document, input=seen(design, operations=[operation]))

    assert {error["extensions"]["code"] for error in body["errors"]} == {"BAD_VARIABLES"}
    assert await stored(stores, design) == before


async def test_200_layers_are_the_most(
    ada: httpx.AsyncClient, stores: Stores, account: tuple[httpx.AsyncClient, User]
) -> None:
    layers = [layer_of(None, id=str(number)) for number in range(199)]
    design = await create_design(stores, user_id=account[1].id, layers=layers)
    add = {"add": {"layer": {"type": "FABRIC"}}}

    assert await problems(ada, "applyDesignPatch", **seen(design, operations=[add, add])) == [
        ("INVALID", "operations.1.add")
    ]
    after = await changed(ada, "applyDesignPatch", **seen(design, operations=[add]))
    assert len(after["layers"]) == 200


async def test_patches_of_different_layers_both_succeed_when_rebased(
    ada: httpx.AsyncClient, stores: Stores, design: Design
) -> None:
    await changed(ada, "applyDesignPatch", **seen(design, operations=[recolor("a", "red")]))
    theirs = await stored(stores, design)

    stale = await problems(ada, "applyDesignPatch", **seen(design, operations=[recolor("b", "blue")]))
    assert stale == [("VERSION_CONFLICT", "expectedVersion")]
    assert await stored(stores, design) == theirs
    after = await changed(ada, "applyDesignPatch", **seen(design, operations=[recolor("b", "blue")], rebase=True))

    assert layers_of(after) == [("a", "red"), ("b", "blue"), ("c", None)]
    assert after["version"] == 3


async def test_a_patch_of_a_layer_that_others_changed_is_a_conflict(
    ada: httpx.AsyncClient, stores: Stores, design: Design
) -> None:
    await changed(ada, "applyDesignPatch", **seen(design, operations=[recolor("a", "red")]))
    await changed(ada, "updateDesign", id=gid(design), expectedVersion=2, name="Renamed")
    before = await stored(stores, design)

    payload = await mutate(
        ada, "applyDesignPatch", **seen(design, operations=[recolor("b", "blue"), recolor("a", "blue")], rebase=True)
    )

    assert payload["design"] is None
    [error] = payload["errors"]
    assert (error["__typename"], error["code"]) == ("VersionConflict", "VERSION_CONFLICT")
    assert error["current"] == {"version": 3, "name": "Renamed"}
    assert (error["layerIds"], error["message"]) == (
        ["a"],
        "The design has changed; its version is 3. Others changed the same layers: a.",
    )
    assert await stored(stores, design) == before


async def test_what_cant_be_rebased(
    ada: httpx.AsyncClient, stores: Stores, account: tuple[httpx.AsyncClient, User]
) -> None:
    """Versions that are not kept, or not made yet."""
    design = await create_design(stores, user_id=account[1].id, version=5, layers=[layer_of(None, id="a")])
    before = await stored(stores, design)

    for expected in (4, 6):
        assert await problems(
            ada,
            "applyDesignPatch",
            id=gid(design),
            expectedVersion=expected,
            operations=[recolor("a", "red")],
            rebase=True,
        ) == [("VERSION_CONFLICT", "expectedVersion")]
    assert await stored(stores, design) == before


async def test_an_index_beyond_the_end_means_the_end_when_rebased(
    ada: httpx.AsyncClient, stores: Stores, design: Design
) -> None:
    await changed(ada, "applyDesignPatch", **seen(design, operations=[{"remove": {"layerId": "c"}}]))

    move = {"move": {"layerId": "a", "index": 2}}
    after = await changed(ada, "applyDesignPatch", **seen(design, operations=[move], rebase=True))

    assert [layer["layerId"] for layer in after["layers"]] == ["b", "a"]


async def test_50_writers_of_different_layers_all_succeed(
    ada: httpx.AsyncClient, stores: Stores, account: tuple[httpx.AsyncClient, User]
) -> None:
    numbers = [str(number) for number in range(50)]
    silk = await create_catalog_item(stores)
    layers = [layer_of(None, id=id) for id in numbers]
    design = await create_design(stores, user_id=account[1].id, layers=layers)

    async def write(id: str) -> dict[str, Any]:
        operations = [recolor(id, f"#{id}"), {"add": {"layer": {"id": f"new {id}", "type": "FABRIC"}}}]
        if id == "7":
            operations.append({"update": {"layerId": id, "itemId": gid(silk)}})
        return await mutate(ada, "applyDesignPatch", **seen(design, operations=operations, rebase=True))

    payloads = await asyncio.gather(*map(write, numbers))

    assert [payload["errors"] for payload in payloads] == [[]] * 50
    assert sorted(payload["design"]["version"] for payload in payloads) == list(range(2, 52))
    document = await stored(stores, design)
    assert document is not None
    assert document["version"] == 51
    assert [(layer["id"], layer["color"]) for layer in document["layers"][:50]] == [(id, f"#{id}") for id in numbers]
    assert sorted(layer["id"] for layer in document["layers"][50:]) == sorted(f"new {id}" for id in numbers)
    assert document["catalogItemIds"] == [str(silk.id)]
    # each version is the one before it with one writer's change
    kept = await revisions(stores, design)
    assert [revision["version"] for revision in kept] == list(range(1, 51))
    assert [len(revision["layers"]) for revision in kept] == list(range(50, 100))


async def test_of_50_writers_of_one_layer_one_succeeds(ada: httpx.AsyncClient, stores: Stores, design: Design) -> None:
    async def write(number: int) -> dict[str, Any]:
        operations = [recolor("a", str(number))]
        return await mutate(ada, "applyDesignPatch", **seen(design, operations=operations, rebase=True))

    payloads = await asyncio.gather(*map(write, range(50)))

    [winner] = [number for number, payload in enumerate(payloads) if payload["errors"] == []]
    assert {error["code"] for payload in payloads for error in payload["errors"]} == {"VERSION_CONFLICT"}
    document = await stored(stores, design)
    assert document is not None
    assert (document["version"], document["layers"][0]["color"]) == (2, str(winner))


async def test_a_layer_is_not_added_twice_when_the_answer_is_lost(
    ada: httpx.AsyncClient, stores: Stores, design: Design
) -> None:
    patch = seen(design, operations=[{"add": {"layer": {"type": "FABRIC"}}}], rebase=True)
    first = await send(ada, query("applyDesignPatch"), "k", input=patch)
    await lose_answers(stores)

    second = await send(ada, query("applyDesignPatch"), "k", input=patch)

    assert first.json()["data"]["applyDesignPatch"]["errors"] == []
    assert [error["code"] for error in second.json()["data"]["applyDesignPatch"]["errors"]] == ["VERSION_CONFLICT"]
    document = await stored(stores, design)
    assert document is not None
    assert (document["version"], len(document["layers"])) == (2, 4)
