"""What people change about their avatars, and what they can't."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import select
from starlette.applications import Starlette

from api.ids import encode_id
from api.stores.stores import Stores
from models import AuditEntry, Avatar, User, new_id
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.users import create_user, users
from tests.support.graphql import error_of, execute, gid, respond, sent
from tests.support.mutations.objects import NOT_FOUND, Mutations, invalid
from tests.support.signing_in import signed_in
from tests.support.stores.distributed import lock_waits
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

MUTATIONS = Mutations(
    "avatar",
    """id name gender measurements { height weight chest waist hips shoulderWidth } modelUrl thumbnailUrl isDefault
    owner { id }""",
)
mutation, mutate, change, refused = MUTATIONS.document, MUTATIONS.payload, MUTATIONS.changed, MUTATIONS.refused


async def stored(stores: Stores, avatar: Avatar) -> dict[str, Any]:
    """All columns of an avatar as they are now."""
    statement = select(*Avatar.__table__.c).where(Avatar.id == avatar.id)
    return dict((await avatars(stores).read_statement(statement))[0]._mapping)


async def count(stores: Stores) -> int:
    return await avatars(stores).count(include_deleted=True)


async def defaults_of(stores: Stores, user: User) -> list[str]:
    """The names of the user's default avatars."""
    found = await avatars(stores).find_all((Avatar.user_id == user.id) & Avatar.is_default)
    return [avatar.name for avatar in found]


async def test_an_avatar_is_created_with_everything(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    given = {
        "name": "  Standing ",
        "gender": "FEMALE",
        "measurements": {"height": 170.5, "shoulderWidth": 40, "hips": None},
        "modelUrl": "https://example.com/a.glb",
        "thumbnailUrl": "http://example.com/a.png?size=1",
    }

    # when
    avatar = await change(mine, "createAvatar", **given)

    # then
    assert avatar == {
        "id": avatar["id"],
        "name": "Standing",
        "gender": "FEMALE",
        "measurements": {
            **{"height": 170.5, "weight": None, "chest": None},
            **{"waist": None, "hips": None, "shoulderWidth": 40},
        },
        "modelUrl": "https://example.com/a.glb",
        "thumbnailUrl": "http://example.com/a.png?size=1",
        "isDefault": True,
        "owner": {"id": gid(user)},
    }
    (row,) = await avatars(stores).find_all()
    assert gid(row) == avatar["id"]
    assert row.measurements == {"height": 170.5, "shoulderWidth": 40}
    assert (row.user_id, row.created_by, row.updated_by) == (user.id, user.id, user.id)


async def test_an_avatar_is_created_with_a_name_only(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores)

    avatar = await change(mine, "createAvatar", name="Standing")

    assert (avatar["gender"], avatar["modelUrl"], avatar["thumbnailUrl"]) == ("UNISEX", None, None)
    (row,) = await avatars(stores).find_all()
    assert row.measurements == {}


@pytest.mark.parametrize(
    ("before", "asked", "defaults"),
    [
        (None, None, ["New"]),
        (None, False, []),
        (None, True, ["New"]),
        (False, None, ["New"]),
        (True, None, ["Old"]),
        (True, False, ["Old"]),
        (True, True, ["New"]),
    ],
)
async def test_which_new_avatar_is_the_default(
    client: httpx.AsyncClient, stores: Stores, before: bool | None, asked: bool | None, defaults: list[str]
) -> None:
    # given: no avatar yet, one that isn't the default, or one that is
    mine, user = await signed_in(client, stores)
    if before is not None:
        await create_avatar(stores, user_id=user.id, name="Old", is_default=before)

    # when
    avatar = await change(mine, "createAvatar", name="New", isDefault=asked)

    # then
    assert avatar["isDefault"] == ("New" in defaults)
    assert await defaults_of(stores, user) == defaults


async def test_admins_create_for_anyone_and_others_for_themselves(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    owner = await create_user(stores)
    admin, actor = await signed_in(client, stores, "admin")

    # when
    avatar = await change(admin, "createAvatar", name="Standing", userId=gid(owner))

    # then
    assert avatar["owner"] == {"id": gid(owner)}
    (row,) = await avatars(stores).find_all()
    assert (row.user_id, row.created_by, row.updated_by) == (owner.id, actor.id, actor.id)

    for role in ("user", "premium", "brand"):
        mine, user = await signed_in(client, stores, role)
        own = await change(mine, "createAvatar", name="Standing", userId=gid(user))
        assert own["owner"] == {"id": gid(user)}
        before = await count(stores)
        for other in (gid(owner), "rubbish", gid(row)):
            given = {"name": "Standing", "userId": other}
            assert await error_of(mine, mutation("createAvatar"), input=given) == (
                "FORBIDDEN",
                "Your account may not do this.",
            )
        assert await count(stores) == before


async def test_an_avatar_needs_a_live_owner(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    admin, _ = await signed_in(client, stores, "admin")
    gone = await create_user(stores)
    await users(stores).soft_delete(gone.id)

    # when, then
    for id in (gid(gone), encode_id("User", new_id())):
        assert await refused(admin, "createAvatar", name="Standing", userId=id) == [
            ("NotFoundError", "NOT_FOUND", ["userId"])
        ]
    for id in ("rubbish", encode_id("Avatar", gone.id), ""):
        assert await refused(admin, "createAvatar", name="Standing", userId=id) == invalid("userId")
    assert await count(stores) == 0


async def test_nobody_changes_avatars_without_signing_in(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    avatar = await create_avatar(stores)
    before = await stored(stores, avatar)

    # when, then
    for name, given in [
        ("createAvatar", {"name": ""}),
        ("updateAvatar", {"id": gid(avatar), "name": "Mine"}),
        ("setDefaultAvatar", {"id": gid(avatar)}),
        ("deleteAvatar", {"id": gid(avatar)}),
        ("restoreAvatar", {"id": gid(avatar)}),
    ]:
        assert await error_of(client, mutation(name), input=given) == ("UNAUTHENTICATED", "Sign in first.")
    assert await stored(stores, avatar) == before
    assert await count(stores) == 1


WRONG = {
    "name": " ",
    "measurements": {"height": 0, "weight": -1, "shoulderWidth": -0.5, "chest": 1},
    "modelUrl": "javascript:alert(1)",
    "thumbnailUrl": "https://example.com/" + "a" * 2048,
}
ALL_WRONG = invalid("name", "measurements.height", "measurements.weight", "measurements.shoulderWidth") + invalid(
    "modelUrl", "thumbnailUrl"
)


async def test_measurements_are_those_of_a_body(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)
    # what is stored may lie beyond, and stays
    avatar = await create_avatar(stores, user_id=user.id, measurements={"height": 1e308})
    longest = {"height": 300, "weight": 1000, "chest": 500, "waist": 500, "hips": 500, "shoulderWidth": 200}
    paths = invalid(*(f"measurements.{name}" for name in longest))
    for beyond in ({name: most + 0.1 for name, most in longest.items()}, dict.fromkeys(longest, 1e308)):
        assert await refused(mine, "createAvatar", name="Giant", measurements=beyond) == paths
        assert await refused(mine, "updateAvatar", id=gid(avatar), measurements=beyond) == paths
    await change(mine, "updateAvatar", id=gid(avatar), measurements={"weight": 0.5})
    assert (await stored(stores, avatar))["measurements"] == {"height": 1e308, "weight": 0.5}
    await change(mine, "updateAvatar", id=gid(avatar), measurements=longest)
    assert (await stored(stores, avatar))["measurements"] == longest


async def test_every_failure_of_an_input_is_told_at_once(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id)
    before = await stored(stores, avatar)

    # when, then
    assert await refused(mine, "createAvatar", **WRONG) == ALL_WRONG
    rubbish = {"id": "rubbish"}
    found = await refused(mine, "updateAvatar", **WRONG, **rubbish)
    assert sorted(found, key=str) == sorted(ALL_WRONG + invalid("id"), key=str)
    assert await refused(mine, "deleteAvatar", **rubbish) == invalid("id")
    assert await stored(stores, avatar) == before
    assert await count(stores) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("name", ""),
        ("name", "a" * 256),
        ("name", "a\0b"),
        ("gender", None),
        ("modelUrl", ""),
        ("modelUrl", "example.com/a.glb"),
        ("modelUrl", "ftp://example.com/a.glb"),
        ("modelUrl", "https://"),
        ("modelUrl", "https://exam ple.com"),
        ("modelUrl", "https://example.com/\0"),
        ("modelUrl", "https://example.com/\n"),
        ("modelUrl", "http://["),
    ],
)
async def test_what_a_field_does_not_take(client: httpx.AsyncClient, stores: Stores, field: str, value: Any) -> None:
    # given
    mine, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id)
    before = await stored(stores, avatar)

    # when, then
    assert await refused(mine, "updateAvatar", **{"id": gid(avatar), "thumbnailUrl": None, field: value}) == invalid(
        field
    )
    assert await stored(stores, avatar) == before


@pytest.mark.parametrize(
    "given",
    [
        {"id": None},
        {},
        {"name": 5},
        {"gender": "male"},
        {"measurements": {"height": "tall"}},
        {"measurements": {"girth": 5}},
        {"measurements": [1]},
        {"isDefault": True},
        {"expectedUpdatedAt": "yesterday"},
        {"expectedUpdatedAt": "2026-01-31T12:00:00"},
        {"expectedUpdatedAt": "0001-01-01T00:00:00+14:00"},
    ],
)
async def test_what_the_schema_does_not_take(client: httpx.AsyncClient, stores: Stores, given: dict[str, Any]) -> None:
    # given
    mine, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id)
    before = await stored(stores, avatar)

    # when
    with_id = {"id": gid(avatar), **given} if given else {}
    body = await respond(mine, mutation("updateAvatar"), input=with_id)

    # then
    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_VARIABLES"]
    assert await stored(stores, avatar) == before


async def test_an_update_changes_what_is_given_and_leaves_the_rest(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    admin, actor = await signed_in(client, stores, "admin")
    avatar = await create_avatar(
        stores,
        gender="male",
        measurements={"height": 180, "weight": 80},
        model_url="https://example.com/a.glb",
        thumbnail_url="https://example.com/a.png",
    )
    before = await stored(stores, avatar)

    # when
    changed = await change(
        admin, "updateAvatar", id=gid(avatar), name="Sitting", measurements={"height": 179.5}, modelUrl=None
    )

    # then
    assert (changed["name"], changed["gender"], changed["modelUrl"]) == ("Sitting", "MALE", None)
    assert changed["measurements"]["height"] == 179.5
    assert changed["measurements"]["weight"] == 80
    after = await stored(stores, avatar)
    assert after["updated_at"] > before["updated_at"]
    assert after == before | {
        "name": "Sitting",
        "measurements": {"height": 179.5, "weight": 80},
        "model_url": None,
        "updated_by": actor.id,
        "updated_at": after["updated_at"],
    }


async def test_measurements_that_are_left_out_stay_and_null_removes(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)
    all_of_them = {"height": 180, "weight": 80, "chest": 100, "waist": 85, "hips": 98, "shoulderWidth": 45}
    avatar = await create_avatar(stores, user_id=user.id, measurements=all_of_them)
    changes: list[tuple[Any, Any]] = [
        ({"height": 170}, all_of_them | {"height": 170}),
        ({"height": None, "waist": 84.5}, {**all_of_them, "waist": 84.5, "height": None}),
        ({}, {**all_of_them, "waist": 84.5, "height": None}),
        (dict.fromkeys(("weight", "chest", "shoulderWidth")), {"waist": 84.5, "hips": 98}),
        (None, {}),
        ({"height": 170}, {"height": 170}),
    ]
    for given, expected in changes:
        shown = (await change(mine, "updateAvatar", id=gid(avatar), measurements=given))["measurements"]

        kept = {name: value for name, value in expected.items() if value is not None}
        assert (await stored(stores, avatar))["measurements"] == kept
        assert {name: value for name, value in shown.items() if value is not None} == kept


async def test_an_update_of_nothing_writes_nothing(app: Starlette, client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id)
    before = await stored(stores, avatar)

    # when
    with sent(app) as costs:
        unchanged = await change(mine, "updateAvatar", id=gid(avatar))

    # then
    assert unchanged["name"] == "Standing"
    assert [statement for statement in costs.sql if "UPDATE" in statement] == []
    assert await stored(stores, avatar) == before


@pytest.mark.parametrize("name", ["updateAvatar", "setDefaultAvatar", "deleteAvatar"])
async def test_what_is_not_there_for_the_viewer_is_not_found(
    client: httpx.AsyncClient, stores: Stores, name: str
) -> None:
    # given: one of somebody else, a deleted one, none, and an id of another type
    mine, user = await signed_in(client, stores)
    foreign, deleted = await create_avatar(stores), await create_avatar(stores, user_id=user.id)
    await avatars(stores).soft_delete(deleted.id)
    before = [await stored(stores, foreign), await stored(stores, deleted)]
    given = {"name": "Mine"} if name == "updateAvatar" else {}

    # when, then
    for id in (gid(foreign), gid(deleted), encode_id("Avatar", new_id())):
        assert await refused(mine, name, id=id, **given) == NOT_FOUND
        assert await refused(mine, name, id=id) == NOT_FOUND
    item = await create_catalog_item(stores)
    for id in (gid(item), gid(user), "rubbish", ""):
        assert await refused(mine, name, id=id, **given) == invalid("id")
    assert [await stored(stores, foreign), await stored(stores, deleted)] == before


@pytest.mark.parametrize("role", ["user", "premium", "brand", "admin"])
async def test_everyone_changes_their_own_and_admins_change_all(
    client: httpx.AsyncClient, stores: Stores, role: str
) -> None:
    mine, user = await signed_in(client, stores, role)
    avatar = await create_avatar(stores, **({} if role == "admin" else {"user_id": user.id}))

    assert (await change(mine, "updateAvatar", id=gid(avatar), name="Sitting"))["name"] == "Sitting"
    assert (await change(mine, "setDefaultAvatar", id=gid(avatar)))["isDefault"] is True
    assert (await change(mine, "deleteAvatar", id=gid(avatar)))["name"] == "Sitting"
    assert (await stored(stores, avatar))["deleted_at"] is not None
    assert (await change(mine, "restoreAvatar", id=gid(avatar)))["isDefault"] is True
    after = await stored(stores, avatar)
    assert (after["deleted_at"], after["updated_by"]) == (None, user.id)


CONFLICT = """
mutation ($input: UpdateAvatarInput!) {
  updateAvatar(input: $input) { avatar { id name updatedAt } errors { __typename code message path } }
}
"""
STALE = {
    "__typename": "ConflictError",
    "code": "STALE",
    "message": "The avatar has changed since it was read.",
    "path": ["expectedUpdatedAt"],
}


async def test_a_stale_update_changes_nothing_and_shows_the_avatar(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id)
    old = (await execute(mine, "query ($id: ID!) { avatar(id: $id) { updatedAt } }", id=gid(avatar)))["avatar"]
    changed = await change(mine, "updateAvatar", id=gid(avatar), name="Changed")
    before = await stored(stores, avatar)

    # when, then
    expected = {"id": gid(avatar), "expectedUpdatedAt": old["updatedAt"]}
    for given in ({"name": "Late"}, {}):
        answer = (await execute(mine, CONFLICT, input=expected | given))["updateAvatar"]
        assert answer["errors"] == [STALE]
        assert answer["avatar"]["name"] == "Changed"
        assert datetime.fromisoformat(answer["avatar"]["updatedAt"]) == before["updated_at"]
    payload = await mutate(mine, "deleteAvatar", **expected)
    assert (payload["avatar"], payload["errors"]) == (changed, [STALE])
    assert await stored(stores, avatar) == before


async def test_the_expected_time_may_be_whole_or_cut_to_milliseconds(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id)

    async def update(shift: timedelta = timedelta(), *, spec: str = "microseconds") -> list[dict[str, Any]]:
        moment = (await stored(stores, avatar))["updated_at"] + shift
        given = {"id": gid(avatar), "name": "Sitting", "expectedUpdatedAt": moment.isoformat(timespec=spec)}
        errors: list[dict[str, Any]] = (await execute(mine, CONFLICT, input=given))["updateAvatar"]["errors"]
        return errors

    # when, then
    assert await update() == []
    assert await update(spec="milliseconds") == []
    assert await update(timedelta(milliseconds=1), spec="milliseconds") == [STALE]
    assert await update(timedelta(milliseconds=-1), spec="milliseconds") == [STALE]
    before = await stored(stores, avatar)
    in_zurich = before["updated_at"] + timedelta(hours=2)
    given = {"id": gid(avatar), "name": "Lying", "expectedUpdatedAt": in_zurich.isoformat().replace("+00:00", "+02:00")}
    assert (await execute(mine, CONFLICT, input=given))["updateAvatar"]["errors"] == []
    assert (await stored(stores, avatar))["name"] == "Lying"


async def test_of_many_updates_that_expect_the_same_one_succeeds(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id)
    moment = (await stored(stores, avatar))["updated_at"].isoformat(timespec="milliseconds")

    # when
    answers = await asyncio.gather(
        *(mutate(mine, "updateAvatar", id=gid(avatar), name=f"Name {n}", expectedUpdatedAt=moment) for n in range(10))
    )

    # then
    won = [answer["avatar"]["name"] for answer in answers if not answer["errors"]]
    assert len(won) == 1
    assert [answer["errors"] for answer in answers if answer["errors"]] == [[STALE]] * 9
    assert {answer["avatar"]["name"] for answer in answers} == set(won)
    assert (await stored(stores, avatar))["name"] == won[0]


async def test_the_default_switches(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    other = await create_avatar(stores, name="Theirs", is_default=True)
    old = await create_avatar(stores, user_id=user.id, name="Old", is_default=True)
    new = await create_avatar(stores, user_id=user.id, name="New")

    # when
    changed = await change(mine, "setDefaultAvatar", id=gid(new))

    # then
    assert (changed["name"], changed["isDefault"]) == ("New", True)
    assert await defaults_of(stores, user) == ["New"]
    assert (await stored(stores, old))["updated_by"] == user.id
    assert (await stored(stores, other))["is_default"] is True

    # when: once more
    before = await stored(stores, new)
    assert (await change(mine, "setDefaultAvatar", id=gid(new)))["isDefault"] is True

    # then: nothing was written
    assert await stored(stores, new) == before


async def test_many_switches_at_once_leave_one_default(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    mines = [await create_avatar(stores, user_id=user.id, name=f"Avatar {n}") for n in range(10)]

    # when: with creations that want to be the default too
    switches = [change(mine, "setDefaultAvatar", id=gid(avatar)) for avatar in mines]
    creations = [change(mine, "createAvatar", name="New", isDefault=True) for _ in range(3)]
    answers = await asyncio.gather(*switches, *creations)

    # then: every one was the default when it was done
    assert [answer["isDefault"] for answer in answers] == [True] * 13
    assert len(await defaults_of(stores, user)) == 1


async def test_of_many_first_avatars_one_is_the_default(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)

    answers = await asyncio.gather(*(change(mine, "createAvatar", name=f"Avatar {n}") for n in range(10)))

    assert [answer["name"] for answer in answers if answer["isDefault"]] == await defaults_of(stores, user)
    assert await count(stores) == 10


async def test_deletions_and_switches_at_once_leave_one_default(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    mines = [await create_avatar(stores, user_id=user.id, name=f"Avatar {n}", is_default=n == 0) for n in range(10)]

    # when: those with an even number go, those with an odd one are made the default
    await asyncio.gather(
        *(change(mine, "setDefaultAvatar" if n % 2 else "deleteAvatar", id=gid(mines[n])) for n in range(10))
    )

    # then
    assert len(await defaults_of(stores, user)) == 1
    assert await avatars(stores).count() == 5


async def test_of_two_deletions_at_once_one_finds_nothing(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id, is_default=True)
    other = await create_avatar(stores, user_id=user.id, name="Other")

    payloads = await asyncio.gather(*(mutate(mine, "deleteAvatar", id=gid(avatar)) for _ in range(5)))

    codes = sorted(error["code"] for payload in payloads for error in payload["errors"])
    assert codes == ["NOT_FOUND"] * 4
    assert await defaults_of(stores, user) == ["Other"]
    assert (await stored(stores, other))["deleted_at"] is None


async def test_the_newest_other_avatar_inherits_the_default(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    await create_avatar(stores, user_id=user.id, name="Oldest")
    await create_avatar(stores, user_id=user.id, name="Newest")
    gone = await create_avatar(stores, user_id=user.id, name="Gone")
    await avatars(stores).soft_delete(gone.id)
    await create_avatar(stores, name="Theirs")
    default = await create_avatar(stores, user_id=user.id, name="Default", is_default=True)

    # when, then
    assert (await change(mine, "deleteAvatar", id=gid(default)))["isDefault"] is False
    assert await defaults_of(stores, user) == ["Newest"]

    # when: one that isn't the default is deleted
    oldest = await avatars(stores).find_one(Avatar.name == "Oldest")
    assert oldest is not None
    await change(mine, "deleteAvatar", id=gid(oldest))

    # then
    assert await defaults_of(stores, user) == ["Newest"]

    # when: a restored one comes while there is a default
    assert (await change(mine, "restoreAvatar", id=gid(default)))["isDefault"] is False

    # then
    assert await defaults_of(stores, user) == ["Newest"]


async def test_the_last_avatar_is_the_default_again_when_it_comes_back(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    # given
    mine, user = await signed_in(client, stores)
    avatar = await create_avatar(stores, user_id=user.id, is_default=True)

    # when, then
    await change(mine, "deleteAvatar", id=gid(avatar))
    assert await defaults_of(stores, user) == []
    assert (await change(mine, "restoreAvatar", id=gid(avatar)))["isDefault"] is True
    assert await defaults_of(stores, user) == ["Standing"]


async def test_many_restorations_at_once_leave_one_default(client: httpx.AsyncClient, stores: Stores) -> None:
    # given: as an older service may have left them, each of them still marked as the default
    mine, user = await signed_in(client, stores)
    mines = []
    for n in range(8):
        avatar = await create_avatar(stores, user_id=user.id, name=f"Avatar {n}", is_default=True)
        await avatars(stores).soft_delete(avatar.id)
        mines.append(avatar)

    # when
    answers = await asyncio.gather(*(change(mine, "restoreAvatar", id=gid(avatar)) for avatar in mines))

    # then
    assert [answer["name"] for answer in answers if answer["isDefault"]] == await defaults_of(stores, user)
    assert await avatars(stores).count() == 8


async def test_only_deleted_avatars_of_the_viewer_are_restored(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    live, foreign = await create_avatar(stores, user_id=user.id), await create_avatar(stores)
    await avatars(stores).soft_delete(foreign.id)
    before = [await stored(stores, live), await stored(stores, foreign)]

    # when, then
    for id in (gid(live), gid(foreign), encode_id("Avatar", new_id())):
        assert await refused(mine, "restoreAvatar", id=id) == NOT_FOUND
    assert await refused(mine, "restoreAvatar", id=gid(user)) == invalid("id")
    assert [await stored(stores, live), await stored(stores, foreign)] == before


async def test_avatars_of_deleted_owners_stay_deleted(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    admin, _ = await signed_in(client, stores, "admin")
    owner = await create_user(stores)
    avatar = await create_avatar(stores, user_id=owner.id)
    await avatars(stores).soft_delete(avatar.id)
    await users(stores).soft_delete(owner.id)
    before = await stored(stores, avatar)

    # when, then
    assert await refused(admin, "restoreAvatar", id=gid(avatar)) == [("ConflictError", "OWNER_DELETED", ["id"])]
    assert await stored(stores, avatar) == before
    await users(stores).restore(owner.id)
    assert (await change(admin, "restoreAvatar", id=gid(avatar)))["owner"] == {"id": gid(owner)}


async def test_an_update_does_not_wait_for_the_deletion_of_its_owner(
    client: httpx.AsyncClient, stores: Stores, locks: asyncpg.Connection[asyncpg.Record]
) -> None:
    # given: a deletion that is held up by another transaction at the first of two avatars
    mine, user = await signed_in(client, stores)
    admin, _ = await signed_in(client, stores, "admin")
    first = await create_avatar(stores, user_id=user.id, name="First")
    second = await create_avatar(stores, user_id=user.id, name="Second")
    query = "mutation ($id: ID!) { deleteUser(input: {id: $id}) { errors { code } } }"
    async with stores.sessions.begin() as blocker:
        await blocker.execute(
            select(Avatar.id).where(Avatar.id == first.id, Avatar.user_id == user.id).with_for_update()
        )
        deletion = asyncio.create_task(execute(admin, query, id=gid(user)))
        async with asyncio.timeout(10):
            while not await lock_waits(locks):
                assert not deletion.done()
                await pause()

            # when: the owner, who is there until the deletion is done, changes the second
            changed = await change(mine, "updateAvatar", id=gid(second), name="Changed")

    # then: neither waits for the other in a circle
    assert changed["name"] == "Changed"
    assert await deletion == {"deleteUser": {"errors": []}}
    after = await stored(stores, second)
    assert after["name"] == "Changed"
    assert after["deleted_at"] is not None


async def test_later_fields_of_an_operation_see_what_earlier_ones_did(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    # given
    mine, user = await signed_in(client, stores)
    first = await create_avatar(stores, user_id=user.id, name="First", is_default=True)
    second = await create_avatar(stores, user_id=user.id, name="Second")
    owner = "owner { defaultAvatar { name } avatars { totalCount nodes { name isDefault } } }"
    query = f"""
    mutation ($first: ID!, $second: ID!) {{
      a: updateAvatar(input: {{id: $first, name: "Changed"}}) {{ avatar {{ name {owner} }} }}
      b: setDefaultAvatar(input: {{id: $second}}) {{ avatar {{ {owner} }} }}
      c: deleteAvatar(input: {{id: $second}}) {{ avatar {{ {owner} }} }}
      d: setDefaultAvatar(input: {{id: $second}}) {{ avatar {{ name }} errors {{ code }} }}
      e: createAvatar(input: {{name: "Third", isDefault: true}}) {{ avatar {{ {owner} }} }}
      f: restoreAvatar(input: {{id: $second}}) {{ avatar {{ {owner} }} }}
    }}
    """

    # when
    answer = await execute(mine, query, first=gid(first), second=gid(second))

    # then
    def seen(field: str) -> tuple[str, dict[str, bool]]:
        owner = answer[field]["avatar"]["owner"]
        assert owner["avatars"]["totalCount"] == len(owner["avatars"]["nodes"])
        return owner["defaultAvatar"]["name"], {node["name"]: node["isDefault"] for node in owner["avatars"]["nodes"]}

    assert seen("a") == ("Changed", {"Changed": True, "Second": False})
    assert seen("b") == ("Second", {"Changed": False, "Second": True})
    assert seen("c") == ("Changed", {"Changed": True})
    assert answer["d"] == {"avatar": None, "errors": [{"code": "NOT_FOUND"}]}
    assert seen("e") == ("Third", {"Changed": False, "Third": True})
    assert seen("f") == ("Third", {"Changed": False, "Second": False, "Third": True})


async def test_the_statements_of_each_mutation(app: Starlette, client: httpx.AsyncClient, stores: Stores) -> None:
    # given: as many other avatars as there may be
    mine, user = await signed_in(client, stores)
    for n in range(20):
        await create_avatar(stores, user_id=user.id, name=f"Other {n}")
    named = Mutations("avatar", "name", "code")
    await execute(mine, "{ viewer { id } }")  # now the account is known for a second

    async def cost(name: str, /, **given: Any) -> int:
        with sent(app) as costs:
            assert (await named.payload(mine, name, **given))["errors"] == []
        assert costs.mongo == 0
        return len([statement for statement in costs.sql if "account_sessions" not in statement])

    # when: the first says who acts
    costs = [await cost("createAvatar", name="New", isDefault=True)]
    new = await avatars(stores).find_one(Avatar.name == "New")
    other = await avatars(stores).find_one(Avatar.name == "Other 0")
    assert new is not None
    assert other is not None
    costs.append(await cost("updateAvatar", id=gid(new), name="Newer"))
    costs.append(await cost("setDefaultAvatar", id=gid(other)))
    costs.append(await cost("deleteAvatar", id=gid(other)))
    costs.append(await cost("restoreAvatar", id=gid(other)))

    # then: where avatars are distributed, their rows are locked and the log is written by statements of their own
    assert costs == ([6, 5, 11, 12, 6] if stores.distribution.is_distributed else [4, 2, 5, 6, 3])


async def test_a_change_is_logged_with_who_did_it(client: httpx.AsyncClient, stores: Stores) -> None:
    # given
    mine, user = await signed_in(client, stores)
    avatar = await change(mine, "createAvatar", name="Standing")

    # when
    response = await mine.post(
        "/graphql",
        json={"query": mutation("updateAvatar"), "variables": {"input": {"id": avatar["id"], "name": "Sitting"}}},
    )

    # then
    statement = select(AuditEntry).where(AuditEntry.table_name == "avatar.avatars").order_by(AuditEntry.at)
    async with stores.sessions() as session:
        entries = list(await session.scalars(statement))
    assert [entry.operation for entry in entries] == ["INSERT", "UPDATE"]
    assert [entry.actor_id for entry in entries] == [user.id, user.id]
    assert entries[1].request_id == response.headers["x-request-id"]
    assert entries[1].old_values is not None
    assert entries[1].new_values is not None
    assert (entries[1].old_values["name"], entries[1].new_values["name"]) == ("Standing", "Sitting")
