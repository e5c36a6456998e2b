"""`designsChanged` and `designChanged`: what happens to designs, for whoever may find them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anyio
import httpx
import pytest
from bson import ObjectId
from sqlalchemy import text

from api.accounts.auth import FRESH
from api.config.settings import Settings
from api.ids import encode_id
from api.live.change_streams import has_change_streams
from api.stores.stores import Stores
from tests.live.conftest import IMAGES, READING, keep_images
from tests.support.applications import listening, running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, designs, insert_design, layer_of, object_id
from tests.support.graphql import execute, gid
from tests.support.live import DESIGN, DESIGNS, Followed, followed
from tests.support.mutations.designs import changed
from tests.support.requests.sockets import socket
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

TOKEN = "authorization"


async def told(events: Followed, count: int, *names: str) -> list[Any]:
    """These fields of so many events."""
    return [tuple(event[name] for name in names) for event in [await events.next() for _ in range(count)]]


async def kinds(events: Followed, count: int) -> list[str]:
    return [kind for (kind,) in await told(events, count, "kind")]


async def write(stores: Stores, id: ObjectId, **values: Any) -> None:
    """Change a design as Mongoose does."""
    values = values | {"updatedAt": datetime.now(UTC)}
    await designs(stores).collection.update_one({"_id": id}, {"$set": values, "$inc": {"version": 1}})


async def test_what_an_owner_does_is_told_in_order(
    client: httpx.AsyncClient, port: int, stores: Stores, way: str
) -> None:
    ada, account = await signed_in(client, stores)
    async with followed(port, DESIGNS, ada.headers[TOKEN]) as events:
        design = await changed(ada, "createDesign", name="Evening")
        await changed(ada, "updateDesign", id=design["id"], expectedVersion=1, name="Morning")
        await changed(ada, "deleteDesign", id=design["id"], expectedVersion=2)
        await changed(ada, "restoreDesign", id=design["id"], expectedVersion=2)
        events_told = [await events.next() for _ in range(4)]

    assert [each["kind"] for each in events_told] == ["CREATED", "UPDATED", "DELETED", "RESTORED"]
    assert [each["changedFields"] for each in events_told] == [[], ["name", "version", "updatedAt"], [], []]
    assert [each["version"] for each in events_told] == [1, 2, None, 2]
    assert {each["designId"] for each in events_told} == {design["id"]}
    assert [each["actor"] for each in events_told] == [{"id": gid(account)}] * 4
    assert events_told[3]["design"] == {"name": "Morning", "status": "DRAFT", "version": 2}


async def test_everyone_is_told_what_is_theirs_to_find(
    client: httpx.AsyncClient, port: int, stores: Stores, way: str
) -> None:
    ada, account = await signed_in(client, stores)
    ben, _ = await signed_in(client, stores)
    admin, _ = await signed_in(client, stores, "admin")
    item = await create_catalog_item(stores)
    async with (
        followed(port, DESIGNS) as everyone,
        followed(port, DESIGNS, ben.headers[TOKEN]) as others,
        followed(port, DESIGNS, ada.headers[TOKEN]) as own,
        followed(port, DESIGNS, admin.headers[TOKEN]) as admins,
    ):
        design = await create_design(stores, user_id=account.id, layers=[layer_of(item.id)])
        id = gid(design)
        await changed(ada, "updateDesign", id=id, expectedVersion=1, name="Still hidden")
        await changed(ada, "publishDesign", id=id, expectedVersion=2)
        await changed(ada, "updateDesign", id=id, expectedVersion=3, name="For all to see")
        await changed(ada, "archiveDesign", id=id, expectedVersion=4)
        await changed(ada, "updateDesign", id=id, expectedVersion=5, name="Hidden again")
        await changed(ada, "publishDesign", id=id, expectedVersion=6)
        await changed(ada, "deleteDesign", id=id, expectedVersion=7)

        fields = ("kind", "version", "changedFields", "actor")
        for viewer in (everyone, others):
            assert await told(viewer, 5, *fields) == [
                ("ENTERED", 3, [], None),
                ("UPDATED", 4, ["name", "version", "updatedAt"], None),
                ("LEFT", None, [], None),
                ("ENTERED", 7, [], None),
                ("DELETED", None, [], None),
            ]
        for viewer in (own, admins):
            seen = await told(viewer, 8, "kind", "version", "actor")
            assert [kind for kind, *_ in seen] == ["CREATED", *["UPDATED"] * 6, "DELETED"]
            assert [version for _, version, _ in seen] == [1, 2, 3, 4, 5, 6, 7, None]
            assert [actor for *_, actor in seen] == [None, *[{"id": gid(account)}] * 7]


@pytest.mark.parametrize("walled", [False, True])
async def test_nobody_learns_of_what_they_may_not_see(settings: Settings, stores: Stores, walled: bool) -> None:
    """Also where they name it, and whether it exists or not."""
    if await has_change_streams(stores.database):
        await keep_images(stores, True)
    async with running(settings, row_level_security=walled) as (app, client), listening(app) as port:
        ada, account = await signed_in(client, stores)
        ben, _ = await signed_in(client, stores)
        hidden = await create_design(stores, user_id=account.id)
        absent = encode_id("Design", ObjectId())
        async with (
            followed(port, DESIGN, ben.headers[TOKEN], id=gid(hidden)) as named,
            followed(port, DESIGN, ben.headers[TOKEN], id=absent) as nothing,
            followed(port, DESIGNS, ben.headers[TOKEN]) as all_of_them,
            followed(port, DESIGN, ada.headers[TOKEN], id=gid(hidden)) as own,
        ):
            await changed(ada, "updateDesign", id=gid(hidden), expectedVersion=1, name="Secret")
            await changed(ada, "deleteDesign", id=gid(hidden), expectedVersion=2)
            await changed(ada, "restoreDesign", id=gid(hidden), expectedVersion=2)
            expected = ["UPDATED", "DELETED", "RESTORED"]
            if await has_change_streams(stores.database):
                await write(stores, object_id(hidden), status="archived")
                await designs(stores).collection.delete_one({"_id": hidden.id})
                expected += ["UPDATED", "DELETED"]
            shown = await create_design(stores, status="published")

            assert (await all_of_them.next())["designId"] == gid(shown)
            assert await kinds(own, len(expected)) == expected
            for each in (named, nothing):
                await each.socket.send({"type": "ping"})
                assert (await each.socket.receive())["type"] == "pong"


async def test_a_role_that_is_lost_ends_what_it_showed(client: httpx.AsyncClient, port: int, stores: Stores) -> None:
    admin, account = await signed_in(client, stores, "admin")
    async with followed(port, DESIGNS, admin.headers[TOKEN]) as events:
        hidden = await create_design(stores)
        assert (await events.next())["designId"] == gid(hidden)
        async with stores.engine.begin() as connection:
            await connection.execute(text("UPDATE shared.users SET role = 'user' WHERE id = :id"), {"id": account.id})
        await anyio.sleep(FRESH)  # a session is read again after so long
        await create_design(stores)
        shown = await create_design(stores, status="published")

        assert (await events.next())["designId"] == gid(shown)


async def test_an_editor_is_told_layer_by_layer(client: httpx.AsyncClient, port: int, stores: Stores, way: str) -> None:
    ada, account = await signed_in(client, stores)
    layers = [layer_of(None, id=id) for id in "abcd"]
    design = await create_design(stores, user_id=account.id, layers=layers)
    other = await create_design(stores, user_id=account.id)
    async with followed(port, DESIGN, ada.headers[TOKEN], id=gid(design)) as events:
        await changed(ada, "updateDesign", id=gid(other), expectedVersion=1, name="Another one")
        new = [{"id": "e", "type": "FABRIC"}, *({"id": id, "type": "FABRIC"} for id in "cab")]
        new[3]["color"] = "red"
        await changed(ada, "updateDesign", id=gid(design), expectedVersion=1, layers=new, name="Redone")
        event = await events.next()

    assert (event["version"], event["changedFields"]) == (2, ["name", "version", "updatedAt", "layers"])
    assert event["diff"] == {
        "fromVersion": 1,
        "toVersion": 2,
        "fields": [{"field": "name", "before": "Evening", "after": "Redone"}],
        "added": [{"layerId": "e"}],
        "removed": [{"layerId": "d"}],
        "changed": [{"layerId": "b", "fields": [{"field": "color"}]}],
        "moved": [{"layerId": "c", "before": 2, "after": 1}],
    }


async def test_a_design_enters_a_filter_and_leaves_it(
    client: httpx.AsyncClient, port: int, stores: Stores, way: str
) -> None:
    ada, account = await signed_in(client, stores)
    item = await create_catalog_item(stores)
    design = await create_design(stores, user_id=account.id)
    filter = {"catalogItem": [gid(item)], "owner": [gid(account)], "name": {"contains": "ING"}}
    async with followed(port, DESIGNS, ada.headers[TOKEN], filter=filter) as events:
        shown = [{"type": "FABRIC", "itemId": gid(item)}]
        await changed(ada, "updateDesign", id=gid(design), expectedVersion=1, name="Evenings")
        await changed(ada, "updateDesign", id=gid(design), expectedVersion=2, layers=shown)
        await changed(ada, "updateDesign", id=gid(design), expectedVersion=3, name="Mornings")
        await changed(ada, "updateDesign", id=gid(design), expectedVersion=4, layers=[])
        await changed(ada, "updateDesign", id=gid(design), expectedVersion=5, layers=shown, name="Night")

        seen = await told(events, 3, "kind", "version", "changedFields")

    assert seen == [
        ("ENTERED", 3, ["version", "updatedAt", "layers", "catalogItems"]),
        ("UPDATED", 4, ["name", "version", "updatedAt"]),
        ("LEFT", 5, ["version", "updatedAt", "layers", "catalogItems"]),
    ]


async def test_designs_that_go_with_their_owner(client: httpx.AsyncClient, port: int, stores: Stores, way: str) -> None:
    """Deleting a user leaves the time of the last change as it was."""
    admin, administrator = await signed_in(client, stores, "admin")
    _, account = await signed_in(client, stores)
    made = datetime(2026, 1, 1, tzinfo=UTC)
    for name in ("One", "Two"):
        await create_design(stores, user_id=account.id, name=name, status="published", created_at=made, updated_at=made)
    delete = "mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { errors { code } } }"
    restore = "mutation ($input: RestoreUserInput!) { restoreUser(input: $input) { errors { code } } }"
    async with followed(port, DESIGNS) as everyone, followed(port, DESIGNS, admin.headers[TOKEN]) as admins:
        await execute(admin, delete, input={"id": gid(account)})
        await execute(admin, restore, input={"id": gid(account)})

        assert await kinds(everyone, 4) == ["DELETED"] * 2 + ["RESTORED"] * 2
        assert await told(admins, 4, "actor") == [({"id": gid(administrator)},)] * 4


async def test_what_another_program_writes_is_told(port: int, stores: Stores, way: str) -> None:
    """As far as anything tells of it: where nobody knows the state before, a viewer hears of what they find now."""
    async with followed(port, DESIGNS) as events:
        made = datetime.now(UTC).replace(microsecond=0)
        id = await insert_design(stores, status="published", version=1, createdAt=made, updatedAt=made)
        assert await told(events, 1, "kind", "actor", "version") == [("CREATED", None, 1)]
        await write(stores, id, name="By Mongoose", layers=[layer_of(None)])
        assert await told(events, 1, "kind", "changedFields", "version") == [
            ("UPDATED", ["name", "version", "updatedAt", "layers"], 2)
        ]
        await write(stores, id, status="draft")
        assert await told(events, 1, "kind", "designId", "design") == [("LEFT", encode_id("Design", id), None)]
        await write(stores, id, status="published")
        assert await kinds(events, 1) == ["ENTERED"]
        if way != READING:
            whole = await designs(stores).collection.find_one({"_id": id})
            assert whole is not None
            await designs(stores).collection.replace_one({"_id": id}, whole | {"name": "Replaced"})
            assert await told(events, 1, "kind", "changedFields") == [("UPDATED", ["name"])]
            await designs(stores).collection.delete_one({"_id": id})
            assert await kinds(events, 1) == ["DELETED"]


async def test_what_has_happened_meanwhile_is_told_as_it_was(
    client: httpx.AsyncClient, port: int, stores: Stores, way: str
) -> None:
    """Each state, though the design has become another one since."""
    ada, account = await signed_in(client, stores)
    id = gid(await create_design(stores, user_id=account.id))
    async with followed(port, DESIGN, ada.headers[TOKEN], id=id) as events:
        await changed(ada, "updateDesign", id=id, expectedVersion=1, name="Seen")
        after = (await events.next())["resumeToken"]
    await changed(ada, "updateDesign", id=id, expectedVersion=2, name="Meanwhile")
    await changed(ada, "updateDesign", id=id, expectedVersion=3, layers=[{"id": "a", "type": "FABRIC"}])
    await changed(ada, "archiveDesign", id=id, expectedVersion=4)
    await changed(ada, "deleteDesign", id=id, expectedVersion=5)

    async with followed(port, DESIGN, ada.headers[TOKEN], id=id, after=after) as events:
        assert await told(events, 4, "kind", "version", "changedFields", "actor", "design") == [
            ("UPDATED", 3, ["name", "version", "updatedAt"], {"id": gid(account)}, None),
            ("UPDATED", 4, ["version", "updatedAt", "layers"], {"id": gid(account)}, None),
            ("UPDATED", 5, ["status", "version", "updatedAt"], {"id": gid(account)}, None),
            ("DELETED", None, [], {"id": gid(account)}, None),
        ]


async def test_when_it_was_published_is_told_as_it_was(
    client: httpx.AsyncClient, port: int, stores: Stores, way: str
) -> None:
    """It has been published again since, so the design itself has another time by now."""
    item = await create_catalog_item(stores)
    ada, account = await signed_in(client, stores)
    id = gid(await create_design(stores, user_id=account.id, layers=[layer_of(item.id)]))
    async with followed(port, DESIGN, ada.headers[TOKEN], id=id) as events:
        await changed(ada, "updateDesign", id=id, expectedVersion=1, name="Seen")
        after = (await events.next())["resumeToken"]
    await changed(ada, "publishDesign", id=id, expectedVersion=2)
    await changed(ada, "updateDesign", id=id, expectedVersion=3, name="Shown")
    await changed(ada, "archiveDesign", id=id, expectedVersion=4)
    await changed(ada, "publishDesign", id=id, expectedVersion=5)

    async with followed(port, DESIGN, ada.headers[TOKEN], id=id, after=after) as events:
        assert await told(events, 4, "changedFields") == [
            (["status", "version", "updatedAt", "publishedAt"],),
            (["name", "version", "updatedAt"],),
            (["status", "version", "updatedAt"],),
            (["status", "version", "updatedAt", "publishedAt"],),
        ]


@pytest.mark.parametrize("images", [True, False])
async def test_a_state_that_may_be_newer_is_not_taken_for_the_one_before(
    client: httpx.AsyncClient, port: int, stores: Stores, images: bool
) -> None:
    """Another program has written twice while nobody followed, and only the second state is there to be read."""
    if not await has_change_streams(stores.database):
        pytest.skip("this server has no change streams, and writes of other programs are read as one")
    await keep_images(stores, images)
    ada, account = await signed_in(client, stores)
    design = await create_design(stores, user_id=account.id)
    async with followed(port, DESIGN, ada.headers[TOKEN], id=gid(design)) as events:
        await changed(ada, "updateDesign", id=gid(design), expectedVersion=1, name="Seen")
        after = (await events.next())["resumeToken"]
    await write(stores, object_id(design), name="Meanwhile")
    await write(stores, object_id(design), status="archived")

    async with followed(port, DESIGN, ada.headers[TOKEN], id=gid(design), after=after) as events:
        assert await told(events, 2, "version", "changedFields") == [
            (3, ["name", "version", "updatedAt"]),
            (4, ["status", "version", "updatedAt"]),
        ]


async def test_a_state_that_nobody_knows_is_not_made_up(
    client: httpx.AsyncClient, port: int, stores: Stores, way: str
) -> None:
    """Another program hides a design, which nobody has seen since this process began to follow."""
    ada, account = await signed_in(client, stores)
    moment = datetime.now(UTC)
    ids = [
        await insert_design(stores, userId=str(account.id), status=status, name=status, createdAt=moment)
        for status in ("published", "draft")
    ]
    async with followed(port, DESIGNS) as everyone, followed(port, DESIGNS, ada.headers[TOKEN]) as own:
        await write(stores, ids[0], status="draft")
        await write(stores, ids[1], name="Another name")
        end = await create_design(stores, status="published")

        hidden = [] if way != IMAGES else [("LEFT", encode_id("Design", ids[0]))]
        expected = [*hidden, ("CREATED", gid(end))]
        assert await told(everyone, len(expected), "kind", "designId") == expected
        # the owner finds it before and after, whatever its status; by reading, nobody knows that it wasn't deleted
        kind = "ENTERED" if way == READING else "UPDATED"
        events = await told(own, 2, "kind", "designId", "diff")
        assert [event[:2] for event in events] == [(kind, encode_id("Design", id)) for id in ids]
        assert [diff is None for *_, diff in events] == [way != IMAGES] * 2


async def test_what_shows_nothing_new_is_not_told(port: int, stores: Stores) -> None:
    if not await has_change_streams(stores.database):
        pytest.skip("this server has no change streams, and what is read is known by its time")
    await keep_images(stores, True)
    design = await create_design(stores, status="published")
    async with followed(port, DESIGNS) as events:
        await designs(stores).collection.update_one({"_id": design.id}, {"$set": {"ours": "alone"}})
        await designs(stores).collection.update_one({"_id": design.id}, {"$set": {"name": "Shown"}})

        assert await told(events, 1, "changedFields") == [(["name"],)]


@pytest.mark.parametrize("after", ["nonsense", "", "WyJhIiwgMV0="])
async def test_what_is_no_token_is_refused(port: int, after: str) -> None:
    async with socket(port) as opened:
        await opened.begin()
        await opened.subscribe("one", DESIGNS, variables={"after": after})
        refused = await opened.receive()

    assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "BAD_USER_INPUT")


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        (DESIGNS, {"filter": {"deleted": True}}, "BAD_USER_INPUT"),
        (DESIGN, {"id": "nonsense"}, "BAD_ID"),
        (DESIGN, {"id": encode_id("User", "0b8f3a52-6a2e-4a55-9d3c-1f1d6c1f7a01")}, "BAD_ID"),
    ],
)
async def test_what_cannot_be_followed_is_refused(port: int, query: str, variables: dict[str, Any], code: str) -> None:
    async with socket(port) as opened:
        await opened.begin()
        await opened.subscribe("one", query, variables=variables)
        refused = await opened.receive()

    assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", code)
