"""Writing designs: making, changing, publishing, archiving, copying, deleting them."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from bson import ObjectId
from starlette.applications import Starlette

from api.ids import encode_id
from api.stores.stores import Stores
from documents import Design, utc_now
from models import new_id
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.factories.catalog import catalog_items, create_catalog_item
from tests.support.factories.designs import create_design, designs, insert_design, layer_of
from tests.support.factories.users import create_user, users
from tests.support.graphql import execute, gid, sent
from tests.support.mutations.designs import changed, denied, key, mutate, problems, revisions, seen, stored
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

BY_ID = (
    *("updateDesign", "applyDesignPatch", "publishDesign", "archiveDesign", "returnDesignToDraft"),
    *("deleteDesign", "restoreDesign", "restoreDesignRevision"),
)
REST: dict[str, dict[str, Any]] = {
    "updateDesign": {"name": "Mine now"},
    "applyDesignPatch": {"operations": [{"add": {"layer": {"type": "FABRIC"}}}]},
    "restoreDesignRevision": {"version": 1},
}
"""What each mutation needs beside the design and its version."""
PUBLISHED_AT = "query ($id: ID!) { design(id: $id) { publishedAt } }"


async def test_a_design_is_made(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    avatar, silk = await create_avatar(stores, user_id=user.id), await create_catalog_item(stores)

    design = await changed(
        ada,
        "createDesign",
        name="  Evening dress ",
        avatarId=gid(avatar),
        layers=[
            {"id": "a", "type": "FABRIC", "itemId": gid(silk), "position": {"x": 1, "y": 2.5}, "color": "#fff"},
            {"type": "PATTERN", "visible": False, "rotation": None},
        ],
        metadata={"tags": [" silk "], "description": "Long", "canvasSize": {"width": 800, "height": 600}},
    )

    [document] = await designs(stores).collection.find().to_list()
    made = document["layers"][1]["id"]
    assert UUID(made)
    assert design == {
        "id": encode_id("Design", document["_id"]),
        "name": "Evening dress",
        "status": "DRAFT",
        "version": 1,
        "avatar": {"id": gid(avatar)},
        "layers": [
            {
                "layerId": "a",
                "type": "FABRIC",
                "color": "#fff",
                "catalogItem": {"id": gid(silk)},
                "position": {"x": 1, "y": 2.5, "z": 0},
                "visible": True,
            },
            {
                "layerId": made,
                "type": "PATTERN",
                "color": None,
                "catalogItem": None,
                "position": {"x": 0, "y": 0, "z": 0},
                "visible": False,
            },
        ],
        "metadata": {
            "tags": ["silk"],
            "description": "Long",
            "thumbnailUrl": None,
            "canvasSize": {"width": 800, "height": 600},
        },
    }
    assert document["userId"] == document["updatedBy"] == str(user.id)
    assert document["catalogItemIds"] == [str(silk.id)]
    assert document["createdAt"] == document["updatedAt"]
    assert UUID(document["requestId"])
    assert "deletedAt" not in document
    assert await stores.database.design_revisions.count_documents({}) == 0


async def test_every_failure_is_told_at_once(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, _ = await signed_in(client, stores)
    layers = [
        {"id": "a", "type": "FABRIC", "color": "x" * 65},
        {"id": "a", "type": "FABRIC", "itemId": "me", "position": {"x": 1, "y": 1}},
        {"id": "", "type": "FABRIC"},
    ]

    failed = await problems(
        ada,
        "createDesign",
        name=" ",
        avatarId=encode_id("Design", "0" * 24),
        layers=layers,
        metadata={
            "tags": ["", "x" * 65],
            "description": "x" * 10_001,
            "thumbnailUrl": "javascript://x",
            "canvasSize": {"width": 0, "height": 100_001},
        },
    )

    assert failed == [
        ("INVALID", "name"),
        ("INVALID", "avatarId"),
        ("INVALID", "layers.0.color"),
        ("INVALID", "layers.1.itemId"),
        ("INVALID", "layers.2.id"),
        ("INVALID", "metadata.tags.0"),
        ("INVALID", "metadata.tags.1"),
        ("INVALID", "metadata.description"),
        ("INVALID", "metadata.thumbnailUrl"),
        ("INVALID", "metadata.canvasSize.width"),
        ("INVALID", "metadata.canvasSize.height"),
        ("INVALID", "layers.1.id"),
    ]
    assert await designs(stores).count() == 0


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"name": "x" * 256}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"layers": [{"type": "FABRIC"}] * 201}, "layers"),
        ({"metadata": {"tags": ["x"] * 51}}, "metadata.tags"),
        ({"metadata": {"thumbnailUrl": "https://" + "x" * 2048}}, "metadata.thumbnailUrl"),
        ({"metadata": {"description": "\x00"}}, "metadata.description"),
    ],
)
async def test_limits(client: httpx.AsyncClient, stores: Stores, values: dict[str, Any], path: str) -> None:
    ada, _ = await signed_in(client, stores)

    assert await problems(ada, "createDesign", **({"name": "Dress"} | values)) == [("INVALID", path)]
    assert await designs(stores).count() == 0


async def test_numbers_are_finite(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, _ = await signed_in(client, stores)
    document = """mutation { createDesign(input: {name: "a", layers: [{type: FABRIC, rotation: 1e999}]}) {
        errors { code path } } }"""

    answer = await execute(ada, document)

    assert answer == {"createDesign": {"errors": [{"code": "INVALID", "path": ["layers", "0", "rotation"]}]}}
    assert await designs(stores).count() == 0


async def test_references_must_be_there_for_the_owner(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    strangers, deleted = await create_avatar(stores), await create_avatar(stores, user_id=user.id)
    await avatars(stores).soft_delete(deleted.id)
    inactive, gone = await create_catalog_item(stores, is_active=False), await create_catalog_item(stores)
    await catalog_items(stores).soft_delete(gone.id)
    nowhere = encode_id("CatalogItem", new_id())
    layers = [{"type": "FABRIC", "itemId": id} for id in (gid(inactive), gid(gone), nowhere, nowhere)]

    for avatar in (strangers, deleted):
        failed = await problems(ada, "createDesign", name="Dress", avatarId=gid(avatar), layers=layers)
        assert sorted(failed) == [
            ("NOT_FOUND", "avatarId"),
            ("NOT_FOUND", "layers.0.itemId"),
            ("NOT_FOUND", "layers.1.itemId"),
            ("NOT_FOUND", "layers.2.itemId"),
            ("NOT_FOUND", "layers.3.itemId"),
        ]
    assert await designs(stores).count() == 0


@pytest.mark.parametrize("count", [2, 20])
async def test_references_cost_one_statement_a_table(
    app: Starlette, client: httpx.AsyncClient, stores: Stores, count: int
) -> None:
    ada, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id)
    items = [await create_catalog_item(stores) for _ in range(count)]

    with sent(app) as counted:
        document = """mutation ($input: CreateDesignInput!) { createDesign(input: $input) { errors { code } } }"""
        layers = [{"type": "FABRIC", "itemId": gid(item)} for item in items]
        made = await execute(ada, document, input={"name": "Dress", "avatarId": gid(avatar), "layers": layers})

    assert made == {"createDesign": {"errors": []}}
    sql = [statement for statement in counted.sql if "sessions" not in statement]
    assert (counted.mongo, len(sql)) == (1, 3)  # and whether the owner has been deleted meanwhile


async def test_a_design_is_changed(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    avatar, silk = await create_avatar(stores, user_id=user.id), await create_catalog_item(stores)
    metadata = {"tags": ["a"], "description": "Long", "thumbnail_url": "https://x.example/a.png"}
    design = await create_design(stores, user_id=user.id, metadata=metadata, layers=[layer_of(None)])

    after = await changed(
        ada,
        "updateDesign",
        **seen(
            design,
            name="Morning",
            avatarId=gid(avatar),
            layers=[{"id": "b", "type": "FABRIC", "itemId": gid(silk)}],
            metadata={"tags": ["b"], "description": None},
        ),
    )

    assert (after["name"], after["version"], after["avatar"]) == ("Morning", 2, {"id": gid(avatar)})
    assert [layer["layerId"] for layer in after["layers"]] == ["b"]
    assert after["metadata"] == {
        "tags": ["b"],
        "description": None,
        "thumbnailUrl": "https://x.example/a.png",
        "canvasSize": None,
    }
    document = await stored(stores, design)
    assert document is not None
    assert (document["version"], document["catalogItemIds"], document["updatedBy"]) == (2, [str(silk.id)], str(user.id))
    assert document["updatedAt"] >= design.updated_at
    assert document["createdAt"] == design.created_at
    removed = await changed(ada, "updateDesign", id=gid(design), expectedVersion=2, avatarId=None)
    assert (removed["avatar"], removed["version"], removed["name"]) == (None, 3, "Morning")


async def test_nothing_to_change_is_no_version(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    design = await create_design(stores, user_id=user.id)
    before = await stored(stores, design)

    after = await changed(ada, "updateDesign", **seen(design))

    assert after["version"] == 1
    assert await stored(stores, design) == before
    assert await revisions(stores, design) == []


async def test_null_is_refused_where_a_field_must_stay(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    design = await create_design(stores, user_id=user.id, layers=[layer_of(None)])
    before = await stored(stores, design)

    assert await problems(ada, "updateDesign", **seen(design, name=None, layers=None, metadata={"tags": None})) == [
        ("INVALID", "name"),
        ("INVALID", "layers"),
        ("INVALID", "metadata.tags"),
    ]
    assert await stored(stores, design) == before


async def test_what_a_design_refers_to_already_stays(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    avatar, silk = await create_avatar(stores, user_id=user.id), await create_catalog_item(stores, is_active=False)
    await avatars(stores).soft_delete(avatar.id)
    design = await create_design(stores, user_id=user.id, avatar_id=avatar.id, layers=[layer_of(silk.id)])

    layers = [{"id": "x", "type": "FABRIC", "itemId": gid(silk)}]
    after = await changed(ada, "updateDesign", **seen(design, avatarId=gid(avatar), layers=layers))

    assert [(layer["layerId"], layer["catalogItem"]) for layer in after["layers"]] == [("x", {"id": gid(silk)})]


@pytest.mark.parametrize("name", [*BY_ID, "duplicateDesign"])
async def test_a_stale_version_changes_nothing_and_tells_the_current_one(
    client: httpx.AsyncClient, stores: Stores, name: str
) -> None:
    ada, user = await signed_in(client, stores)
    design = await create_design(stores, user_id=user.id, name="Evening", version=3, layers=[layer_of(None)])
    if name == "restoreDesign":
        await designs(stores).soft_delete(key(design))
    before = await stored(stores, design)

    for expected in (1, 2, 4):
        payload = await mutate(ada, name, id=gid(design), expectedVersion=expected, **REST.get(name, {}))

        assert payload == {
            "design": None,
            "errors": [
                {
                    "__typename": "VersionConflict",
                    "code": "VERSION_CONFLICT",
                    "message": "The design has changed; its version is 3.",
                    "path": ["expectedVersion"],
                    "current": {"version": 3, "name": "Evening"},
                    "layerIds": [],
                }
            ],
        }
    assert await stored(stores, design) == before
    assert await revisions(stores, design) == []
    assert await designs(stores).count(include_deleted=True) == 1


@pytest.mark.parametrize("name", BY_ID)
async def test_who_may_change_a_design(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    ada, user = await signed_in(client, stores)
    admin, _ = await signed_in(client, stores, "admin")
    published = await create_design(stores, user_id=user.id, status="published", layers=[layer_of(None)])
    draft = await create_design(stores, user_id=user.id, layers=[layer_of(None)])
    deleted = await create_design(stores, user_id=user.id)
    await designs(stores).soft_delete(key(deleted))
    before = [await stored(stores, design) for design in (published, draft, deleted)]

    for role in ("user", "premium", "brand"):
        stranger, _ = await signed_in(client, stores, role)
        refusals = [
            (await mutate(stranger, name, **(seen(published, **REST.get(name, {})) | {"id": id})))["errors"]
            for id in (gid(published), gid(draft), gid(deleted), encode_id("Design", "0" * 24))
        ]
        # nobody is told what there is: the message is the same, too
        assert refusals == [refusals[0]] * 4
        assert [(error["code"], error["path"]) for error in refusals[0]] == [("NOT_FOUND", ["id"])]
    assert await denied(client, name, **seen(published, **REST.get(name, {}))) == "UNAUTHENTICATED"
    assert [await stored(stores, design) for design in (published, draft, deleted)] == before

    target = deleted if name == "restoreDesign" else draft
    for account in (ada, admin):
        if name == "restoreDesign":
            await designs(stores).soft_delete(key(target))
        elif name == "deleteDesign":
            await designs(stores).restore(key(target))
        document = await stored(stores, target)
        assert document is not None
        values = {"id": gid(target), "expectedVersion": document["version"], **REST.get(name, {})}
        if name == "restoreDesignRevision":
            values["version"] = document["version"]
        assert (await changed(account, name, **values))["id"] == gid(target)


@pytest.mark.parametrize("name", [*BY_ID, "duplicateDesign"])
async def test_ids_that_lead_nowhere(client: httpx.AsyncClient, stores: Stores, name: str) -> None:
    ada, user = await signed_in(client, stores)
    rest = {"expectedVersion": 1, **REST.get(name, {})}

    assert await problems(ada, name, id="me", **rest) == [("INVALID", "id")]
    assert await problems(ada, name, id=encode_id("User", user.id), **rest) == [("INVALID", "id")]
    assert await problems(ada, name, id=encode_id("Design", "0" * 24), **rest) == [("NOT_FOUND", "id")]
    assert await denied(client, name, id="me", **rest) == "UNAUTHENTICATED"


async def test_an_admin_acts_for_the_owner(client: httpx.AsyncClient, stores: Stores) -> None:
    _, user = await signed_in(client, stores)
    admin, boss = await signed_in(client, stores, "admin")
    owners, admins = await create_avatar(stores, user_id=user.id), await create_avatar(stores, user_id=boss.id)
    design = await create_design(stores, user_id=user.id)

    assert await problems(admin, "updateDesign", **seen(design, avatarId=gid(admins))) == [("NOT_FOUND", "avatarId")]
    after = await changed(admin, "updateDesign", **seen(design, avatarId=gid(owners)))

    document = await stored(stores, design)
    assert document is not None
    assert after["avatar"] == {"id": gid(owners)}
    assert (document["userId"], document["updatedBy"]) == (str(user.id), str(boss.id))


async def status_after(client: httpx.AsyncClient, name: str, design: Design) -> tuple[str, int]:
    after = await changed(client, name, id=gid(design))
    return after["status"], after["version"]


async def test_how_far_a_design_has_come(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    design = await create_design(stores, user_id=user.id, layers=[layer_of(None)])

    assert await status_after(ada, "publishDesign", design) == ("PUBLISHED", 2)
    assert await status_after(ada, "publishDesign", design) == ("PUBLISHED", 2)
    assert await status_after(ada, "archiveDesign", design) == ("ARCHIVED", 3)
    assert await status_after(ada, "archiveDesign", design) == ("ARCHIVED", 3)
    assert await status_after(ada, "publishDesign", design) == ("PUBLISHED", 4)
    assert await status_after(ada, "returnDesignToDraft", design) == ("DRAFT", 5)
    assert await status_after(ada, "returnDesignToDraft", design) == ("DRAFT", 5)
    assert await status_after(ada, "archiveDesign", design) == ("ARCHIVED", 6)
    assert await status_after(ada, "returnDesignToDraft", design) == ("DRAFT", 7)
    assert [revision["status"] for revision in await revisions(stores, design)] == [
        *("draft", "published", "archived", "published", "draft", "archived"),
    ]


async def test_when_a_design_was_published(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    design = await create_design(stores, user_id=user.id, layers=[layer_of(None)])
    before = await create_design(stores, user_id=user.id, layers=[layer_of(None)], status="published")

    async def moment() -> Any:
        document = await stored(stores, design)
        assert document is not None
        shown = (await execute(client if document["status"] == "published" else ada, PUBLISHED_AT, id=gid(design)))[
            "design"
        ]
        at = document.get("publishedAt")
        assert shown == {"publishedAt": None if at is None else at.isoformat()}
        return at

    assert await moment() is None
    began = utc_now()
    await changed(ada, "publishDesign", id=gid(design))
    first = await moment()
    assert began <= first <= utc_now()
    # neither publishing it again nor any other change is another publication
    await changed(ada, "publishDesign", id=gid(design))
    await changed(ada, "updateDesign", id=gid(design), expectedVersion=2, name="Morning")
    await changed(ada, "archiveDesign", id=gid(design))
    assert await moment() == first
    await changed(ada, "returnDesignToDraft", id=gid(design))
    await changed(ada, "restoreDesignRevision", id=gid(design), version=1, expectedVersion=5)
    await changed(ada, "deleteDesign", id=gid(design))
    await changed(ada, "restoreDesign", id=gid(design))
    assert await moment() == first
    copy = await changed(ada, "duplicateDesign", id=gid(design))
    assert (await execute(ada, PUBLISHED_AT, id=copy["id"]))["design"] == {"publishedAt": None}
    await changed(ada, "publishDesign", id=gid(design))
    assert await moment() > first
    # one from before the time was recorded: no time is made up
    await changed(ada, "publishDesign", id=gid(before))
    assert (await execute(client, PUBLISHED_AT, id=gid(before)))["design"] == {"publishedAt": None}


async def test_what_may_be_published(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    silk, premium = await create_catalog_item(stores), await create_catalog_item(stores, is_premium=True)
    inactive, gone = await create_catalog_item(stores, is_active=False), await create_catalog_item(stores)
    await catalog_items(stores).soft_delete(gone.id)
    items = [silk.id, premium.id, None, inactive.id, gone.id, new_id(), premium.id]
    layers = [layer_of(item, id=str(index)) for index, item in enumerate(items)]
    design = await create_design(stores, user_id=user.id, layers=layers)
    empty = await create_design(stores, user_id=user.id)
    before = await stored(stores, design)

    assert sorted(await problems(ada, "publishDesign", id=gid(design))) == [
        ("ITEM_INACTIVE", "layers.3.itemId"),
        ("NOT_FOUND", "layers.4.itemId"),
        ("NOT_FOUND", "layers.5.itemId"),
        ("PREMIUM_REQUIRED", "layers.1.itemId"),
        ("PREMIUM_REQUIRED", "layers.6.itemId"),
    ]
    assert await problems(ada, "publishDesign", id=gid(empty)) == [("EMPTY", "layers")]
    assert await stored(stores, design) == before


@pytest.mark.parametrize(("owner", "may"), [("user", False), ("premium", True), ("brand", True), ("admin", True)])
async def test_premium_items_are_for_the_owner_not_for_who_publishes(
    client: httpx.AsyncClient, stores: Stores, owner: str, may: bool
) -> None:
    ada, user = await signed_in(client, stores, owner)
    admin, _ = await signed_in(client, stores, "admin")
    premium = await create_catalog_item(stores, is_premium=True)

    for account in (ada, admin):
        design = await create_design(stores, user_id=user.id, layers=[layer_of(premium.id)])
        payload = await mutate(account, "publishDesign", id=gid(design))
        codes = [error["code"] for error in payload["errors"]]
        assert codes == ([] if may else ["PREMIUM_REQUIRED"])
        document = await stored(stores, design)
        assert document is not None
        assert document["status"] == ("published" if may else "draft")


async def test_what_is_published_stays_publishable(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    premium = await create_catalog_item(stores, is_premium=True)
    discontinued = await create_catalog_item(stores, is_active=False)
    layers = [layer_of(discontinued.id, id="a")]
    design = await create_design(stores, user_id=user.id, status="published", layers=layers)
    before = await stored(stores, design)
    add = {"add": {"layer": {"type": "FABRIC", "itemId": gid(premium)}}}

    new = [{"type": "FABRIC"}, {"type": "FABRIC", "itemId": gid(premium)}]
    assert await problems(ada, "updateDesign", **seen(design, layers=new)) == [("PREMIUM_REQUIRED", "layers.1.itemId")]
    assert await problems(ada, "updateDesign", **seen(design, layers=[])) == [("EMPTY", "layers")]
    assert await problems(ada, "applyDesignPatch", **seen(design, operations=[add])) == [
        ("PREMIUM_REQUIRED", "layers.1.itemId")
    ]
    assert await stored(stores, design) == before
    # what is no longer offered stays where it is
    recolor = {"update": {"layerId": "a", "color": "red"}}
    after = await changed(ada, "applyDesignPatch", **seen(design, operations=[recolor]))
    assert after["layers"][0]["color"] == "red"


async def test_a_published_design_of_another_can_be_copied(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    avatar, premium = await create_avatar(stores), await create_catalog_item(stores, is_premium=True)
    original = await create_design(
        stores,
        user_id=avatar.user_id,
        avatar_id=avatar.id,
        status="published",
        version=7,
        layers=[layer_of(premium.id, color="red")],
        metadata={"tags": ["a"], "description": "Long"},
    )
    draft = await create_design(stores)

    copy = await changed(ada, "duplicateDesign", id=gid(original))
    named = await changed(ada, "duplicateDesign", id=gid(original), name="Mine", expectedVersion=7)

    assert copy["id"] != gid(original)
    assert (copy["name"], copy["status"], copy["version"], copy["avatar"]) == ("Evening", "DRAFT", 1, None)
    assert [(layer["color"], layer["catalogItem"]) for layer in copy["layers"]] == [("red", {"id": gid(premium)})]
    assert copy["metadata"]["description"] == "Long"
    assert named["name"] == "Mine"
    mine = await designs(stores).find_all({"userId": str(user.id)})
    assert [design.catalog_item_ids for design in mine] == [[str(premium.id)]] * 2
    assert await problems(ada, "duplicateDesign", id=gid(draft)) == [("NOT_FOUND", "id")]
    assert await problems(ada, "publishDesign", id=copy["id"]) == [("PREMIUM_REQUIRED", "layers.0.itemId")]
    assert await denied(client, "duplicateDesign", id=gid(original)) == "UNAUTHENTICATED"


async def test_ones_own_copy_keeps_the_avatar(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id)
    original = await create_design(stores, user_id=user.id, avatar_id=avatar.id)

    copy = await changed(ada, "duplicateDesign", id=gid(original))

    assert copy["avatar"] == {"id": gid(avatar)}


async def test_deleting_and_restoring(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    design = await create_design(stores, user_id=user.id, version=4)
    before = await stored(stores, design)
    assert before is not None

    deleted = await changed(ada, "deleteDesign", **seen(design))
    document = await stored(stores, design)
    assert document is not None
    assert (deleted["id"], deleted["version"]) == (gid(design), 4)
    assert document["deletedAt"] == document["updatedAt"]
    assert await execute(ada, "query ($id: ID!) { design(id: $id) { id } }", id=gid(design)) == {"design": None}
    assert await problems(ada, "deleteDesign", id=gid(design)) == [("NOT_FOUND", "id")]
    assert await problems(ada, "updateDesign", **seen(design, name="Back")) == [("NOT_FOUND", "id")]

    restored = await changed(ada, "restoreDesign", **seen(design))
    document = await stored(stores, design)
    assert document is not None
    assert (restored["id"], restored["version"]) == (gid(design), 4)
    change = document["change"]
    assert {**document, "updatedAt": before["updatedAt"], "change": before["change"]} == before
    assert (change["version"], change["number"], change["actorId"]) == (4, 2, str(user.id))
    assert await problems(ada, "restoreDesign", id=gid(design)) == [("NOT_DELETED", "id")]
    # who made the version is kept, since the document now tells who restored it
    assert [revision["version"] for revision in await revisions(stores, design)] == [4]


async def test_the_owner_is_restored_before_the_design(client: httpx.AsyncClient, stores: Stores) -> None:
    admin, _ = await signed_in(client, stores, "admin")
    owner = await create_user(stores)
    design = await create_design(stores, user_id=owner.id)
    await designs(stores).soft_delete(key(design))
    await users(stores).soft_delete(owner.id)
    before = await stored(stores, design)

    assert await problems(admin, "restoreDesign", id=gid(design)) == [("OWNER_DELETED", "id")]
    assert await stored(stores, design) == before
    await users(stores).restore(owner.id)
    assert (await changed(admin, "restoreDesign", id=gid(design)))["id"] == gid(design)


@pytest.mark.parametrize("owner", ["77777777-7777-4777-8777-777777777777", "nobody"])
async def test_a_design_whose_owner_never_was_is_deleted_and_restored(
    client: httpx.AsyncClient, stores: Stores, owner: str
) -> None:
    admin, _ = await signed_in(client, stores, "admin")
    id = await insert_design(stores, userId=owner)

    await changed(admin, "deleteDesign", id=encode_id("Design", id))
    assert (await changed(admin, "restoreDesign", id=encode_id("Design", id)))["id"] == encode_id("Design", id)

    document = await designs(stores).collection.find_one({"_id": id})
    assert document is not None
    assert document.get("deletedAt") is None
    assert document["userId"] == owner


async def test_what_the_original_leaves_out_reads_as_its_default_and_is_changed(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """Mongoose stores no empty objects; the validator takes what it writes."""
    ada, user = await signed_in(client, stores)
    layers = [{"_id": ObjectId(), "id": "a", "type": "fabric", "visible": True}]
    whole = {"catalogItemIds": [], "version": 1, "createdAt": utc_now(), "updatedAt": utc_now(), "__v": 0}
    document = {"userId": str(user.id), "name": "Old", "status": "draft", "layers": layers, **whole}
    id = (await stores.database.designs.insert_one(document)).inserted_id
    query = (
        "query ($id: ID!) { design(id: $id) { layers { position { x y z } } metadata { tags canvasSize { width } } } }"
    )
    assert await execute(ada, query, id=encode_id("Design", id)) == {
        "design": {
            "layers": [{"position": {"x": 0.0, "y": 0.0, "z": 0.0}}],
            "metadata": {"tags": [], "canvasSize": None},
        }
    }

    await changed(ada, "updateDesign", id=encode_id("Design", id), expectedVersion=1, name="New")
    kept = await stores.database.designs.find_one({"_id": id})
    assert kept is not None
    assert (kept["name"], kept["layers"], "metadata" in kept) == ("New", layers, False)
    after = await changed(
        ada, "updateDesign", id=encode_id("Design", id), expectedVersion=2, metadata={"description": "Blue"}
    )
    assert after["metadata"]["tags"] == []
    kept = await stores.database.designs.find_one({"_id": id})
    assert kept is not None
    assert kept["metadata"] == {"tags": [], "description": "Blue"}


async def test_designs_of_an_older_service_are_changed_too(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    layers = [{"id": "a", "type": "fabric", "position": {"_id": 1, "x": 1, "y": 2, "z": 3}, "visible": True}]
    id = await insert_design(stores, userId=str(user.id), layers=layers, metadata=None, avatarId=None, tag="kept")

    after = await changed(
        ada, "updateDesign", id=encode_id("Design", id), expectedVersion=1, metadata={"tags": ["a"]}, name="New"
    )

    document = await designs(stores).collection.find_one({"_id": id})
    assert document is not None
    assert (after["version"], after["metadata"]["tags"], document["tag"]) == (2, ["a"], "kept")
    [revision] = await stores.database.design_revisions.find({"designId": id}).to_list()
    assert (revision["version"], revision["name"], revision["layers"]) == (1, "Old", layers)
    assert await problems(ada, "updateDesign", id=encode_id("Design", id), expectedVersion=1, name="Lost") == [
        ("VERSION_CONFLICT", "expectedVersion")
    ]


async def test_50_writers_lose_no_update(client: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(client, stores)
    design = await create_design(stores, user_id=user.id)

    async def write(number: int) -> bool:
        """One try to add a tag to those that are seen; whether it succeeded."""
        read = "query ($id: ID!) { design(id: $id) { version metadata { tags } } }"
        now = (await execute(ada, read, id=gid(design)))["design"]
        payload = await mutate(
            ada,
            "updateDesign",
            id=gid(design),
            expectedVersion=now["version"],
            metadata={"tags": [*now["metadata"]["tags"], str(number)]},
        )
        assert [error["code"] for error in payload["errors"]] in ([], ["VERSION_CONFLICT"])
        return bool(payload["errors"] == [])

    done = [number for number, success in enumerate(await asyncio.gather(*map(write, range(50)))) if success]

    document = await stored(stores, design)
    assert document is not None
    assert done
    assert document["version"] == 1 + len(done)
    assert sorted(document["metadata"]["tags"], key=int) == [str(number) for number in done]
    kept = await revisions(stores, design)
    assert [revision["version"] for revision in kept] == list(range(1, 1 + len(done)))
    assert [len(revision["metadata"]["tags"]) for revision in kept] == list(range(len(done)))
