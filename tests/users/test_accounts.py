"""Accounts: who may have one, what they say of themselves, and what admins do with them."""

from __future__ import annotations

import asyncio
import unicodedata
from typing import Any

import anyio
import httpx
import pytest
import structlog
from sqlalchemy import func, select

from api.accounts.passwords import Passwords
from api.config.settings import Settings
from api.stores.stores import Stores
from models import Session, User
from tests.support.factories.avatars import create_avatar
from tests.support.factories.users import create_user, users
from tests.support.graphql import execute, gid, is_empty, respond
from tests.support.mutations.accounts import PASSWORD, mutate, mutation, refused, sign_in, sign_up
from tests.support.signing_in import client_of, signed_in, with_token
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

VIEWER = "{ viewer { email role updatedAt } }"


async def stored(stores: Stores, user: User | str) -> User:
    """An account as it is stored, by its email where it isn't given."""
    where = User.email == user if isinstance(user, str) else User.id == user.id
    found = await users(stores).find_one(where, include_deleted=True)
    assert found is not None
    return found


async def how_many(stores: Stores) -> int:
    return await users(stores).count(include_deleted=True)


async def eventually(client: httpx.AsyncClient, status: int) -> None:
    """Return once requests are answered with this status, which has to be within a second (and a little)."""
    with anyio.fail_after(2):
        while (await client.post("/graphql", json={"query": VIEWER})).status_code != status:
            await pause()


async def code_of(client: httpx.AsyncClient, query: str, **variables: Any) -> str:
    """The code of the one top-level error of an operation that gave no data."""
    body = await respond(client, query, **variables)
    assert is_empty(body)
    (error,) = body["errors"]
    code: str = error["extensions"]["code"]
    return code


async def test_who_signs_up_is_signed_in_and_an_ordinary_user(stores: Stores, client: httpx.AsyncClient) -> None:
    ask = mutation("signUp").replace("user { id email role }", "user { email firstName lastName role emailVerified }")
    given = {"email": " Ada@Example.com ", "password": PASSWORD, "firstName": " Ada ", "lastName": None}

    answer = (await execute(client, ask, input=given))["signUp"]

    assert answer["errors"] == []
    assert answer["user"] == {
        "email": "Ada@Example.com",
        "firstName": "Ada",
        "lastName": None,
        "role": "USER",
        "emailVerified": False,
    }
    assert (await execute(with_token(client, answer["accessToken"]), VIEWER))["viewer"]["email"] == "Ada@Example.com"
    ada = await stored(stores, "Ada@Example.com")
    assert ada.password_hash.startswith("$argon2id$")


@pytest.mark.parametrize(
    "email", ["ada@example.com", "ada@localhost", "ada+b@a.test", "jos\u00e9@b\u00fccher.example", "o'neil@x"]
)
async def test_addresses_of_tests_and_local_networks_are_addresses(client: httpx.AsyncClient, email: str) -> None:
    await sign_up(client, email)
    await sign_in(client, unicodedata.normalize("NFD", email.upper()))


@pytest.mark.parametrize(
    "stored", [" ada@x", "Ada@X ", "<a,b>@x", "a\u200bda@x.", "Jos\u00e9@x", "Jose\u0301@x", "İda@x", "Σας@x"]
)
async def test_accounts_of_before_go_on_signing_in(
    settings: Settings, stores: Stores, client: httpx.AsyncClient, stored: str
) -> None:
    """Addresses that the original service let pass, with their case, form and blanks or without."""
    hashed = await Passwords(settings).hash(PASSWORD)
    await create_user(stores, email=stored, password_hash=hashed)

    for typed in (stored, stored.strip(), stored.upper(), stored.lower(), unicodedata.normalize("NFC", stored)):
        await sign_in(client, typed)
        assert await refused(client, "signIn", email=typed, password="wrong") == [("INVALID_CREDENTIALS", None)]


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@Example.COM", " ada@example.com"])
async def test_an_email_is_taken_whatever_its_case(stores: Stores, client: httpx.AsyncClient, email: str) -> None:
    await sign_up(client)

    assert await refused(client, "signUp", email=email, password=PASSWORD) == [("EMAIL_TAKEN", ["email"])]
    assert await how_many(stores) == 1


async def test_the_email_of_a_deleted_account_stays_taken(stores: Stores, client: httpx.AsyncClient) -> None:
    user = await create_user(stores)
    await users(stores).soft_delete(user.id)

    assert await refused(client, "signUp", email=user.email, password=PASSWORD) == [("EMAIL_TAKEN", ["email"])]


async def test_of_two_who_take_an_email_at_once_one_gets_it(stores: Stores, client: httpx.AsyncClient) -> None:
    given = {"email": "ada@example.com", "password": PASSWORD}

    answers = await asyncio.gather(*(execute(client, mutation("signUp"), input=given) for _ in range(5)))

    codes = sorted(error["code"] for answer in answers for error in answer["signUp"]["errors"])
    assert codes == ["EMAIL_TAKEN"] * 4
    assert await how_many(stores) == 1
    async with stores.engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(Session)) == 1


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"email": ""}, "email"),
        ({"email": "ada"}, "email"),
        ({"email": "ada@"}, "email"),
        ({"email": "@example.com"}, "email"),
        ({"email": "a b@example.com"}, "email"),
        ({"email": "a@b@example.com"}, "email"),
        ({"email": "a\0@example.com"}, "email"),
        ({"email": f"{'a' * 64}@{'.'.join(['b' * 63] * 2)}.{'c' * 62}"}, "email"),
        ({"email": f"{'a' * 65}@example.com"}, "email"),
        ({"email": "ada@example.com."}, "email"),
        ({"email": "a,b@example.com"}, "email"),
        ({"email": "<ada@example.com>"}, "email"),
        ({"email": "Ada <ada@example.com>"}, "email"),
        ({"email": '"a b"@example.com'}, "email"),
        ({"email": "ad\u200ba@example.com"}, "email"),
        ({"email": "ada@exam\u00adple.com"}, "email"),
        ({"email": "\u202eada@example.com"}, "email"),
        ({"email": "a" + "\u0301\u0316" * 35_000 + "@example.com"}, "email"),
        ({"password": ""}, "password"),
        ({"password": "1234567"}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"password": "1234\0005678"}, "password"),
        ({"firstName": " "}, "firstName"),
        ({"firstName": "x" * 101}, "firstName"),
        ({"lastName": "a\0b"}, "lastName"),
        ({"lastName": "a\nb"}, "lastName"),
        ({"lastName": "a\u202eb"}, "lastName"),
        ({"lastName": "a\u2066b"}, "lastName"),
        ({"lastName": "a\u200fb"}, "lastName"),
        ({"lastName": "a\u0085b"}, "lastName"),
        ({"password": "\u0301\u0316" * 35_000}, "password"),
    ],
)
async def test_what_is_wrong_with_a_sign_up_is_named(
    stores: Stores, client: httpx.AsyncClient, wrong: dict[str, str], path: str
) -> None:
    given = {"email": "ada@example.com", "password": PASSWORD} | wrong

    assert await refused(client, "signUp", **given) == [("INVALID", [path])]
    assert await how_many(stores) == 0


async def test_everything_that_is_wrong_is_named_at_once(client: httpx.AsyncClient) -> None:
    assert await refused(client, "signUp", email="x", password="x", firstName="", lastName="") == [
        ("INVALID", [path]) for path in ("email", "password", "firstName", "lastName")
    ]


async def test_the_longest_of_everything_fits(client: httpx.AsyncClient) -> None:
    email = f"{'a' * 64}@{'.'.join(['b' * 63] * 2)}.{'c' * 61}"

    await sign_up(client, email, password="x" * 256, firstName="é" * 100)

    await sign_in(client, email, "x" * 256)


async def test_a_role_can_not_be_signed_up_for(client: httpx.AsyncClient) -> None:
    body = await client.post(
        "/graphql",
        json={
            "query": mutation("signUp"),
            "variables": {"input": {"email": "a@b", "password": PASSWORD, "role": "ADMIN"}},
        },
    )

    assert [error["extensions"]["code"] for error in body.json()["errors"]] == ["BAD_VARIABLES"]


async def test_wrong_credentials_are_answered_alike(stores: Stores, client: httpx.AsyncClient) -> None:
    for email in ("ada@example.com", "inactive@example.com", "deleted@example.com"):
        await sign_up(client, email)
    await users(stores).update((await stored(stores, "inactive@example.com")).id, {"is_active": False})
    await users(stores).soft_delete((await stored(stores, "deleted@example.com")).id)
    await create_user(stores, email="unusable@example.com")

    attempts = [
        ("ada@example.com", "wrong password"),
        ("ada@example.com", PASSWORD.upper()),
        ("ada@example.com", ""),
        ("ada@example.com", "x" * 100_000),
        ("nobody@example.com", PASSWORD),
        ("inactive@example.com", PASSWORD),
        ("deleted@example.com", PASSWORD),
        ("unusable@example.com", "none"),
        ("", PASSWORD),
        ("\0", PASSWORD),
        ("x" * 100_000, PASSWORD),
        ("ada%", PASSWORD),
    ]
    answers = [
        await execute(client, mutation("signIn"), input={"email": email, "password": password})
        for email, password in attempts
    ]

    wrong = {
        "__typename": "InvalidInput",
        "code": "INVALID_CREDENTIALS",
        "message": "The email or the password is wrong.",
        "path": None,
    }
    nothing = {"accessToken": None, "refreshToken": None, "expiresAt": None, "user": None, "errors": [wrong]}
    assert [answer["signIn"] for answer in answers] == [nothing] * len(attempts)


async def test_the_viewer_is_who_is_signed_in(stores: Stores, client: httpx.AsyncClient) -> None:
    mine, user = await signed_in(client, stores, role="premium")

    answer = await execute(mine, "{ viewer { id email role isActive createdBy { id } } }")

    assert answer == {
        "viewer": {"id": gid(user), "email": user.email, "role": "PREMIUM", "isActive": True, "createdBy": None}
    }
    assert await execute(client, "{ viewer { id } }") == {"viewer": None}


async def test_a_profile_changes_by_what_is_given(stores: Stores, client: httpx.AsyncClient) -> None:
    mine, user = await signed_in(client, stores, first_name="Ada", last_name="Lovelace", email_verified=True)

    answer = await mutate(mine, "updateProfile", firstName=" Augusta ")
    assert (answer["user"]["firstName"], answer["user"]["lastName"]) == ("Augusta", "Lovelace")
    answer = await mutate(mine, "updateProfile", lastName=None)
    assert (answer["user"]["firstName"], answer["user"]["lastName"]) == ("Augusta", None)

    now = await stored(stores, user)
    assert (now.first_name, now.last_name, now.email, now.email_verified) == ("Augusta", None, user.email, True)
    assert now.updated_by == user.id


async def test_a_profile_without_changes_stays(stores: Stores, client: httpx.AsyncClient) -> None:
    mine, user = await signed_in(client, stores)

    await mutate(mine, "updateProfile")

    assert (await stored(stores, user)).updated_at == user.updated_at


async def test_a_profile_that_has_changed_meanwhile_is_not_overwritten(
    stores: Stores, client: httpx.AsyncClient
) -> None:
    mine, user = await signed_in(client, stores)
    known = (await execute(mine, VIEWER))["viewer"]["updatedAt"]
    javascript = user.updated_at.isoformat(timespec="milliseconds")

    answer = await mutate(mine, "updateProfile", firstName="A", expectedUpdatedAt=javascript)
    assert answer["user"]["firstName"] == "A"
    payload = (await execute(mine, mutation("updateProfile"), input={"firstName": "B", "expectedUpdatedAt": known}))[
        "updateProfile"
    ]

    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("STALE", ["expectedUpdatedAt"])]
    assert payload["user"]["firstName"] == "A"
    assert (await stored(stores, user)).first_name == "A"


async def test_another_email_needs_the_password(stores: Stores, client: httpx.AsyncClient) -> None:
    mine = with_token(client, (await sign_up(client))["accessToken"])
    ada = await stored(stores, "ada@example.com")
    await users(stores).update(ada.id, {"email_verified": True})
    await sign_up(client, "bob@example.com")
    given: dict[str, Any] = {"email": "augusta@example.com", "firstName": "Augusta"}

    assert await refused(mine, "updateProfile", **given) == [("INVALID", ["currentPassword"])]
    assert await refused(mine, "updateProfile", **given, currentPassword="wrong password") == [
        ("INVALID_CREDENTIALS", ["currentPassword"])
    ]
    assert await refused(mine, "updateProfile", email="BOB@example.com", currentPassword=PASSWORD) == [
        ("EMAIL_TAKEN", ["email"])
    ]
    assert await refused(mine, "updateProfile", email="augusta", currentPassword=PASSWORD) == [("INVALID", ["email"])]
    unchanged = await stored(stores, ada)
    assert (unchanged.email, unchanged.first_name, unchanged.email_verified) == ("ada@example.com", None, True)

    await mutate(mine, "updateProfile", **given, currentPassword=PASSWORD)
    changed = await stored(stores, ada)
    assert (changed.email, changed.first_name, changed.email_verified) == ("augusta@example.com", "Augusta", False)
    await sign_in(client, "augusta@example.com")


async def test_the_same_email_stays_confirmed(stores: Stores, client: httpx.AsyncClient) -> None:
    mine = with_token(client, (await sign_up(client, "José@example.com"))["accessToken"])
    ada = await users(stores).update((await stored(stores, "José@example.com")).id, {"email_verified": True})
    assert ada is not None
    composed, decomposed, other = "José@example.com", "JOSE\u0301@Example.com", "Jose@example.com"

    # as it is: no change, whatever the form of the accent, and so no password is asked for
    for email in (composed, unicodedata.normalize("NFD", composed), f" {composed} "):
        await mutate(mine, "updateProfile", email=email)
    same = await stored(stores, ada)
    assert (same.email, same.email_verified, same.updated_at) == (composed, True, ada.updated_at)
    with structlog.testing.capture_logs() as logs:
        await mutate(mine, "updateProfile", email=composed, firstName="José", currentPassword=PASSWORD)
    assert [entry for entry in logs if entry.get("kind") == "EMAIL_CHANGED"] == []

    # another spelling is a change of the text, not of the address
    assert await refused(mine, "updateProfile", email=decomposed) == [("INVALID", ["currentPassword"])]
    with structlog.testing.capture_logs() as logs:
        await mutate(mine, "updateProfile", email=decomposed, currentPassword=PASSWORD)
    spelled = await stored(stores, ada)
    assert (spelled.email, spelled.email_verified) == ("JOSÉ@Example.com", True)
    assert [entry["kind"] for entry in logs if entry["event"] == "security"] == ["EMAIL_CHANGED"]

    await mutate(mine, "updateProfile", email=other, currentPassword=PASSWORD)
    changed = await stored(stores, ada)
    assert (changed.email, changed.email_verified) == (other, False)
    # and the way back to what was confirmed once is one to an address that isn't
    await mutate(mine, "updateProfile", email=composed, currentPassword=PASSWORD)
    assert (await stored(stores, ada)).email_verified is False


async def test_a_new_password_ends_the_other_sessions(
    stores: Stores, client: httpx.AsyncClient, elsewhere: httpx.AsyncClient
) -> None:
    this, other = await sign_up(client), await sign_in(client)
    mine, there = with_token(client, this["accessToken"]), with_token(elsewhere, other["accessToken"])
    await eventually(there, 200)

    answer = await mutate(mine, "changePassword", currentPassword=PASSWORD, newPassword="another password")

    assert answer["user"]["email"] == "ada@example.com"
    await eventually(there, 401)
    assert (await mine.post("/graphql", json={"query": VIEWER})).status_code == 200
    assert await refused(client, "signIn", email="ada@example.com", password=PASSWORD) == [
        ("INVALID_CREDENTIALS", None)
    ]
    assert await refused(client, "refreshSession", refreshToken=other["refreshToken"]) == [
        ("INVALID_REFRESH_TOKEN", ["refreshToken"])
    ]
    await mutate(client, "refreshSession", refreshToken=this["refreshToken"])
    await sign_in(client, password="another password")


async def test_a_password_changes_only_for_who_knows_it(stores: Stores, client: httpx.AsyncClient) -> None:
    this, other = await sign_up(client), await sign_in(client)
    mine = with_token(client, this["accessToken"])
    before = (await stored(stores, "ada@example.com")).password_hash

    wrong = {"currentPassword": "wrong password", "newPassword": "another password"}
    assert await refused(mine, "changePassword", **wrong) == [("INVALID_CREDENTIALS", ["currentPassword"])]
    short = {"currentPassword": PASSWORD, "newPassword": "short"}
    assert await refused(mine, "changePassword", **short) == [("INVALID", ["newPassword"])]

    assert (await stored(stores, "ada@example.com")).password_hash == before
    await mutate(client, "refreshSession", refreshToken=other["refreshToken"])


async def test_an_admin_gives_roles(
    stores: Stores, client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, settings: Settings
) -> None:
    admin, boss = await signed_in(client, stores, role="admin")
    mine, user = await signed_in(client, stores)
    there = await client_of(elsewhere, stores, user, settings=settings)
    assert (await execute(there, VIEWER))["viewer"]["role"] == "USER"
    await execute(mine, VIEWER)

    answer = await mutate(admin, "setUserRole", id=gid(user), role="BRAND")

    assert answer["user"]["role"] == "BRAND"
    now = await stored(stores, user)
    assert (now.role, now.updated_by) == ("brand", boss.id)
    # in this process at once, in others within a second
    assert (await execute(mine, VIEWER))["viewer"]["role"] == "BRAND"
    admin_only = "{ users { totalCount } }"
    assert await code_of(mine, admin_only) == "FORBIDDEN"
    await mutate(admin, "setUserRole", id=gid(user), role="ADMIN")
    assert await execute(mine, admin_only) == {"users": {"totalCount": 2}}
    with anyio.fail_after(2):
        while "errors" in (await respond(there, admin_only)):
            await pause()


async def test_an_admin_deactivates_and_reactivates(
    stores: Stores, client: httpx.AsyncClient, elsewhere: httpx.AsyncClient
) -> None:
    admin, _ = await signed_in(client, stores, role="admin")
    answer = await sign_up(client)
    here, there = (with_token(each, answer["accessToken"]) for each in (client, elsewhere))
    for each in (here, there):
        await eventually(each, 200)

    changed = await mutate(admin, "deactivateUser", id=answer["user"]["id"])

    assert changed["user"]["isActive"] is False
    assert (await here.post("/graphql", json={"query": VIEWER})).status_code == 401
    await eventually(there, 401)
    assert await refused(client, "signIn", email="ada@example.com", password=PASSWORD) == [
        ("INVALID_CREDENTIALS", None)
    ]
    await mutate(admin, "deactivateUser", id=answer["user"]["id"])  # again is no error

    changed = await mutate(admin, "reactivateUser", id=answer["user"]["id"])
    assert changed["user"]["isActive"] is True
    assert await refused(client, "refreshSession", refreshToken=answer["refreshToken"]) == [
        ("INVALID_REFRESH_TOKEN", ["refreshToken"])
    ]
    await sign_in(client)


ADMINISTRATION = [
    ("setUserRole", {"role": "PREMIUM"}),
    ("deactivateUser", {}),
    ("reactivateUser", {}),
]


@pytest.mark.parametrize(("name", "given"), ADMINISTRATION)
@pytest.mark.parametrize("role", ["user", "premium", "brand"])
async def test_only_admins_administer(
    stores: Stores, client: httpx.AsyncClient, name: str, given: dict[str, str], role: str
) -> None:
    mine, me = await signed_in(client, stores, role=role)
    other = await create_user(stores)

    for target in (me, other):
        body = await respond(mine, mutation(name), input={"id": gid(target)} | given)
        assert [error["extensions"]["code"] for error in body["errors"]] == ["FORBIDDEN"]
        assert (await stored(stores, target)).updated_at == target.updated_at
    body = await respond(client, mutation(name), input={"id": gid(other)} | given)
    assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAUTHENTICATED"]


@pytest.mark.parametrize(("name", "given"), ADMINISTRATION)
async def test_accounts_that_are_not_there_are_not_found(
    stores: Stores, client: httpx.AsyncClient, name: str, given: dict[str, str]
) -> None:
    admin, _ = await signed_in(client, stores, role="admin")
    deleted = await create_user(stores)
    await users(stores).soft_delete(deleted.id)

    assert await refused(admin, name, id=gid(deleted), **given) == [("NOT_FOUND", ["id"])]
    for id in ("", "x", gid(await create_avatar(stores, user_id=deleted.id))):
        assert await refused(admin, name, id=id, **given) == [("INVALID", ["id"])]


async def test_the_last_active_admin_stays(stores: Stores, client: httpx.AsyncClient) -> None:
    admin, me = await signed_in(client, stores, role="admin")
    await create_user(stores, role="admin", is_active=False)
    await users(stores).soft_delete((await create_user(stores, role="admin")).id)

    assert await refused(admin, "setUserRole", id=gid(me), role="USER") == [("LAST_ADMIN", ["id"])]
    assert await refused(admin, "deactivateUser", id=gid(me)) == [("LAST_ADMIN", ["id"])]
    await mutate(admin, "setUserRole", id=gid(me), role="ADMIN")

    now = await stored(stores, me)
    assert (now.role, now.is_active) == ("admin", True)
    await create_user(stores, role="admin")
    await mutate(admin, "setUserRole", id=gid(me), role="USER")
    assert (await stored(stores, me)).role == "user"


async def test_of_two_admins_who_dismiss_each_other_one_stays(stores: Stores, client: httpx.AsyncClient) -> None:
    (ours, one), (theirs, other) = [await signed_in(client, stores, role="admin") for _ in range(2)]

    async def ask(mine: httpx.AsyncClient, name: str, **given: str) -> dict[str, Any]:
        response = await mine.post("/graphql", json={"query": mutation(name), "variables": {"input": given}})
        answer: dict[str, Any] = response.json()  # 401 for whoever comes when they are dismissed already
        return answer

    answers = await asyncio.gather(
        ask(ours, "deactivateUser", id=gid(other)), ask(theirs, "setUserRole", id=gid(one), role="USER")
    )

    assert sum("errors" in answer or bool(next(iter(answer["data"].values()))["errors"]) for answer in answers) == 1
    admins = [await stored(stores, each) for each in (one, other)]
    assert [(each.role, each.is_active) for each in admins].count(("admin", True)) == 1


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("signOut", {}),
        ("updateProfile", {"firstName": "X"}),
        ("changePassword", {"currentPassword": "x", "newPassword": "x"}),
    ],
)
async def test_nobody_has_no_account_to_change(client: httpx.AsyncClient, name: str, given: dict[str, str]) -> None:
    assert await code_of(client, mutation(name), input=given) == "UNAUTHENTICATED"
