"""Security events: each is a line of its own, with account, address and code, and without a secret."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import structlog

from api.config.settings import Settings
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.factories.users import create_user, users
from tests.support.graphql import gid, respond
from tests.support.mutations.accounts import PASSWORD, mutate, mutation, refused, sign_in, sign_up
from tests.support.signing_in import signed_in, with_token

pytestmark = pytest.mark.anyio


def security(logs: Any) -> list[dict[str, Any]]:
    return [dict(entry) for entry in logs if entry["event"] == "security"]


async def test_the_life_of_an_account(client: httpx.AsyncClient, stores: Stores) -> None:
    admin, root = await signed_in(client, stores, role="admin")
    with structlog.testing.capture_logs() as logs:
        tokens = await sign_up(client)
        await refused(client, "signIn", email=" ADA@example.com", password="not the password")
        await sign_in(client)
        mine = with_token(client, tokens["accessToken"])
        await mutate(mine, "changePassword", currentPassword=PASSWORD, newPassword="another password of hers")
        await refused(mine, "changePassword", currentPassword=PASSWORD, newPassword="another password of hers")
        changed = {"email": "grace@example.com", "currentPassword": "another password of hers"}
        await mutate(mine, "updateProfile", **changed)
        [ada] = await users(stores).find_all(where=users(stores).model.email == "grace@example.com")
        await respond(mine, mutation("setUserRole"), input={"id": gid(ada), "role": "ADMIN"})
        await mutate(mine, "signOut", everywhere=True)
        await mutate(admin, "setUserRole", id=gid(ada), role="PREMIUM")
        await mutate(admin, "deactivateUser", id=gid(ada))
        await mutate(admin, "reactivateUser", id=gid(ada))
        await with_token(client, "nonsense").post("/graphql", json={"query": "{ __typename }"})

    lines = security(logs)
    of_ada = str(ada.id)
    assert [(line["kind"], line["account"], line["actor"], line["code"], line["log_level"]) for line in lines] == [
        ("SIGNED_UP", of_ada, None, None, "info"),
        ("SIGN_IN_FAILED", of_ada, None, "INVALID_CREDENTIALS", "warning"),
        ("SIGNED_IN", of_ada, None, None, "info"),
        ("PASSWORD_CHANGED", of_ada, of_ada, None, "info"),
        ("SIGN_IN_FAILED", of_ada, of_ada, "INVALID_CREDENTIALS", "warning"),
        ("EMAIL_CHANGED", of_ada, of_ada, None, "info"),
        ("ACCESS_REFUSED", of_ada, of_ada, "FORBIDDEN", "warning"),
        ("SIGNED_OUT", of_ada, of_ada, None, "info"),
        ("ROLE_CHANGED", of_ada, str(root.id), None, "info"),
        ("DEACTIVATED", of_ada, str(root.id), None, "info"),
        ("REACTIVATED", of_ada, str(root.id), None, "info"),
        ("TOKEN_REFUSED", None, None, "INVALID_ACCESS_TOKEN", "warning"),
    ]
    assert {line["address"] for line in lines} == {"127.0.0.1"}
    assert all(line["request_id"] for line in lines)
    assert lines[8]["role"] == "premium"
    # an account's name is the same whatever its case, and isn't told
    assert lines[0]["name"] == lines[1]["name"] == lines[2]["name"] != lines[5]["name"]
    said = str(lines)
    for secret in (
        PASSWORD,
        "another password",
        "not the password",
        "ada@",
        "grace@",
        tokens["accessToken"],
        "nonsense",
    ):
        assert secret not in said


async def test_a_sign_in_that_fails_can_be_found_whether_or_not_there_is_an_account(client: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as logs:
        await refused(client, "signIn", email="nobody@example.com", password="a secret of theirs")

    [line] = security(logs)
    assert (line["kind"], line["account"], line["code"]) == ("SIGN_IN_FAILED", None, "INVALID_CREDENTIALS")
    assert len(line["name"]) == 16


async def test_a_lock_out_is_told_and_addresses_are_hashed_where_the_setting_says_so(
    settings: Settings, clean_stores: None
) -> None:
    changes = {"sign_in_limit_account": "1/hour", "security_log_addresses": "hashed"}
    async with running(settings, **changes) as (app, client):
        await create_user(app.state.stores, email="ada@example.com")
        with structlog.testing.capture_logs() as logs:
            await refused(client, "signIn", email="ada@example.com", password="a secret of theirs")
            await respond(client, mutation("signIn"), input={"email": "Ada@example.com", "password": "another"})

    failed, limited = security(logs)
    assert (limited["kind"], limited["code"], limited["name"]) == ("SIGN_IN_LIMITED", "RATE_LIMITED", failed["name"])
    assert failed["address"] == limited["address"] != "127.0.0.1"
    assert len(failed["address"]) == 16


async def test_a_deletion_is_told(client: httpx.AsyncClient, stores: Stores) -> None:
    admin, root = await signed_in(client, stores, role="admin")
    user = await create_user(stores)
    with structlog.testing.capture_logs() as logs:
        for name in ("deleteUser", "restoreUser"):
            query = f"mutation ($id: ID!) {{ {name}(input: {{ id: $id }}) {{ errors {{ code }} }} }}"
            assert "errors" not in await respond(admin, query, id=gid(user))

    assert [(line["kind"], line["account"], line["actor"]) for line in security(logs)] == [
        ("DELETED", str(user.id), str(root.id)),
        ("RESTORED", str(user.id), str(root.id)),
    ]
