"""Sessions: how they begin, go on and end."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import httpx
import pytest
import structlog
from sqlalchemy import func, select, text, update

from api.accounts.sessions import GRACE
from api.config.settings import Settings
from api.http.application import create_app
from api.ids import decode_id
from api.stores.stores import Stores
from models import RefreshToken, Session
from tests.support.factories.users import users
from tests.support.graphql import execute, is_empty, respond
from tests.support.mutations.accounts import PASSWORD, mutate, mutation, refused, sign_in, sign_up
from tests.support.servers import Server, environment, serving
from tests.support.signing_in import signed_in, with_token
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

VIEWER = "{ viewer { email } }"
ADA = {"viewer": {"email": "ada@example.com"}}


async def status(client: httpx.AsyncClient, answer: dict[str, Any]) -> int:
    """HTTP's answer to the access token of a payload."""
    response = await with_token(client, answer["accessToken"]).post("/graphql", json={"query": VIEWER})
    return response.status_code


async def count(stores: Stores, statement: Any) -> int:
    async with stores.engine.connect() as connection:
        return int(await connection.scalar(statement))


async def live_sessions(stores: Stores) -> int:
    return await count(stores, select(func.count()).select_from(Session).where(Session.revoked_at.is_(None)))


async def age_uses(stores: Stores, by: timedelta) -> None:
    """Let the refresh tokens that were used have been used earlier."""
    async with stores.engine.begin() as connection:
        await connection.execute(update(RefreshToken).values(used_at=RefreshToken.used_at - by))


async def test_signing_in_begins_a_session(stores: Stores, client: httpx.AsyncClient) -> None:
    first = await sign_up(client)

    second = await sign_in(client, "ADA@example.com")

    assert second["user"] == {"id": first["user"]["id"], "email": "ada@example.com", "role": "USER"}
    assert await execute(with_token(client, second["accessToken"]), VIEWER) == ADA
    assert await execute(with_token(client, first["accessToken"]), VIEWER) == ADA
    ends_in = datetime.fromisoformat(second["expiresAt"]) - datetime.now(UTC)
    assert timedelta(seconds=880) < ends_in <= timedelta(seconds=900)
    assert await live_sessions(stores) == 2


async def test_refresh_tokens_are_stored_hashed(stores: Stores, client: httpx.AsyncClient) -> None:
    answer = await sign_up(client)

    async with stores.engine.connect() as connection:
        hashes = list(await connection.scalars(select(RefreshToken.token_hash)))

    assert hashes == [hashlib.sha256(answer["refreshToken"].encode()).digest()]
    assert len(answer["refreshToken"]) == 43


async def test_a_refresh_token_is_exchanged_once(stores: Stores, client: httpx.AsyncClient) -> None:
    first = await sign_up(client)

    second = await mutate(client, "refreshSession", refreshToken=first["refreshToken"])
    third = await mutate(client, "refreshSession", refreshToken=second["refreshToken"])

    assert len({answer["refreshToken"] for answer in (first, second, third)}) == 3
    assert third["user"] == first["user"]
    assert await execute(with_token(client, third["accessToken"]), VIEWER) == ADA
    assert await live_sessions(stores) == 1


async def test_a_refresh_prolongs_the_session(settings: Settings, stores: Stores, client: httpx.AsyncClient) -> None:
    answer = await sign_up(client)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    async with stores.engine.begin() as connection:
        await connection.execute(update(Session).values(expires_at=soon))

    await mutate(client, "refreshSession", refreshToken=answer["refreshToken"])

    async with stores.engine.connect() as connection:
        ends_in = await connection.scalar(select(Session.expires_at - func.now()))
    assert ends_in is not None
    assert abs(ends_in - timedelta(seconds=settings.refresh_token_lifetime)) < timedelta(minutes=1)


async def test_a_session_ends_at_its_greatest_age_however_often_it_is_refreshed(
    settings: Settings, stores: Stores, client: httpx.AsyncClient
) -> None:
    answer = await sign_up(client)
    nearly = timedelta(seconds=settings.session_max_age) - timedelta(minutes=1)

    async def age(by: timedelta) -> None:
        async with stores.engine.begin() as connection:
            await connection.execute(update(Session).values(created_at=func.now() - by))

    await age(nearly)
    answer = await mutate(client, "refreshSession", refreshToken=answer["refreshToken"])

    async with stores.engine.connect() as connection:
        ends_in = await connection.scalar(select(Session.expires_at - func.now()))
    assert ends_in is not None
    assert timedelta(seconds=30) < ends_in <= timedelta(minutes=1)
    await age(nearly + timedelta(minutes=2))
    assert await refused(client, "refreshSession", refreshToken=answer["refreshToken"]) == [
        ("INVALID_REFRESH_TOKEN", ["refreshToken"])
    ]


async def test_a_refresh_token_that_comes_again_ends_the_session(stores: Stores, client: httpx.AsyncClient) -> None:
    stolen = await sign_up(client)
    other = await sign_in(client)
    newest = await mutate(client, "refreshSession", refreshToken=stolen["refreshToken"])
    assert await status(client, newest) == 200
    await age_uses(stores, GRACE)

    with structlog.testing.capture_logs() as logs:
        errors = await refused(client, "refreshSession", refreshToken=stolen["refreshToken"])

    assert errors == [("INVALID_REFRESH_TOKEN", ["refreshToken"])]
    (said,) = (entry for entry in logs if entry["log_level"] == "warning")
    assert (said["event"], said["kind"]) == ("security", "REFRESH_TOKEN_REUSED")
    assert not {stolen["refreshToken"], newest["refreshToken"]} & {str(value) for value in said.values()}
    # in this process at once: neither token of the family is good any more, other sessions are
    assert await status(client, newest) == 401
    assert await refused(client, "refreshSession", refreshToken=newest["refreshToken"]) == errors
    assert await status(client, other) == 200
    async with stores.engine.connect() as connection:
        reasons = list(await connection.scalars(select(Session.revoked_for).order_by(Session.id)))
    assert reasons == ["reuse", None]


async def test_two_exchanges_at_once_are_no_theft(stores: Stores, client: httpx.AsyncClient) -> None:
    answer = await sign_up(client)
    ask = mutation("refreshSession")
    given = {"refreshToken": answer["refreshToken"]}

    answers = await asyncio.gather(*(execute(client, ask, input=given) for _ in range(8)))

    payloads = [answer["refreshSession"] for answer in answers]
    (won,) = (payload for payload in payloads if payload["accessToken"])
    codes = [error["code"] for payload in payloads for error in payload["errors"]]
    assert codes == ["REFRESH_TOKEN_USED"] * 7
    assert await status(client, won) == 200
    await mutate(client, "refreshSession", refreshToken=won["refreshToken"])


@pytest.mark.parametrize("token", ["", "x", "\0", "é", "x" * 10_000])
async def test_an_unknown_refresh_token_is_refused(client: httpx.AsyncClient, token: str) -> None:
    assert await refused(client, "refreshSession", refreshToken=token) == [("INVALID_REFRESH_TOKEN", ["refreshToken"])]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE shared.users SET is_active = false",
        "UPDATE shared.users SET deleted_at = now()",
        f"UPDATE {Session.__table__} SET expires_at = now()",
        f"UPDATE {Session.__table__} SET revoked_at = now()",
    ],
)
async def test_a_session_that_has_ended_is_not_refreshed(
    stores: Stores, client: httpx.AsyncClient, change: str
) -> None:
    answer = await sign_up(client)
    async with stores.engine.begin() as connection:
        await connection.execute(text(change))

    errors = await refused(client, "refreshSession", refreshToken=answer["refreshToken"])

    assert errors == [("INVALID_REFRESH_TOKEN", ["refreshToken"])]
    unused = select(func.count()).select_from(RefreshToken).where(RefreshToken.used_at.is_(None))
    assert await count(stores, unused) == 1


async def test_signing_out_ends_this_session(stores: Stores, client: httpx.AsyncClient) -> None:
    first, second = await sign_up(client), await sign_in(client)
    assert await status(client, first) == 200

    assert await mutate(with_token(client, first["accessToken"]), "signOut") == {"ended": 1}

    assert await status(client, first) == 401
    assert await refused(client, "refreshSession", refreshToken=first["refreshToken"]) == [
        ("INVALID_REFRESH_TOKEN", ["refreshToken"])
    ]
    assert await status(client, second) == 200


async def test_signing_out_everywhere_ends_all_sessions(stores: Stores, client: httpx.AsyncClient) -> None:
    first, second = await sign_up(client), await sign_in(client)
    bystander, _ = await signed_in(client, stores)
    assert await status(client, second) == 200

    assert await mutate(with_token(client, first["accessToken"]), "signOut", everywhere=True) == {"ended": 2}

    assert [await status(client, answer) for answer in (first, second)] == [401, 401]
    assert (await bystander.post("/graphql", json={"query": VIEWER})).status_code == 200


async def test_the_refresh_token_alone_signs_out(stores: Stores, client: httpx.AsyncClient) -> None:
    first, second = await sign_up(client), await sign_in(client)
    assert (await status(client, first), await status(client, second)) == (200, 200)

    assert await mutate(client, "signOut", refreshToken=first["refreshToken"]) == {"ended": 1}

    assert (await status(client, first), await status(client, second)) == (401, 200)
    async with stores.engine.connect() as connection:
        why = await connection.scalars(select(Session.revoked_for).where(Session.revoked_at.is_not(None)))
        assert list(why) == ["sign_out"]
    # nothing is left to end, and that is no error
    assert await mutate(client, "signOut", refreshToken=first["refreshToken"]) == {"ended": 0}
    assert await status(client, second) == 200


async def test_the_refresh_token_alone_signs_out_everywhere(client: httpx.AsyncClient) -> None:
    first, second = await sign_up(client), await sign_in(client)
    stranger = await sign_up(client, email="eve@example.com")

    assert await mutate(client, "signOut", refreshToken=first["refreshToken"], everywhere=True) == {"ended": 2}

    assert [await status(client, each) for each in (first, second, stranger)] == [401, 401, 200]


async def test_a_refresh_token_that_was_used_ends_the_session_of_its_successors(client: httpx.AsyncClient) -> None:
    first = await sign_up(client)
    second = await mutate(client, "refreshSession", refreshToken=first["refreshToken"])

    assert await mutate(client, "signOut", refreshToken=first["refreshToken"]) == {"ended": 1}

    assert await status(client, second) == 401
    assert await refused(client, "refreshSession", refreshToken=second["refreshToken"]) == [
        ("INVALID_REFRESH_TOKEN", ["refreshToken"])
    ]


async def test_the_given_refresh_token_is_what_ends(client: httpx.AsyncClient) -> None:
    mine, other = await sign_up(client), await sign_in(client)

    asked = with_token(client, mine["accessToken"])
    assert await mutate(asked, "signOut", refreshToken=other["refreshToken"]) == {"ended": 1}

    assert (await status(client, mine), await status(client, other)) == (200, 401)


@pytest.mark.parametrize("token", ["", "x", "\0", "x" * 10_000])
async def test_a_refresh_token_of_nobody_ends_nothing(client: httpx.AsyncClient, token: str) -> None:
    mine = await sign_up(client)
    asked = with_token(client, mine["accessToken"])

    for who in (client, asked):
        assert await refused(who, "signOut", refreshToken=token) == [("INVALID_REFRESH_TOKEN", ["refreshToken"])]

    assert await status(client, mine) == 200


async def test_nobody_can_not_sign_out(client: httpx.AsyncClient) -> None:
    body = await respond(client, mutation("signOut"), input={})

    assert is_empty(body)
    assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAUTHENTICATED"]


async def test_sessions_that_ended_by_themselves_are_swept_away(stores: Stores, client: httpx.AsyncClient) -> None:
    await sign_up(client)
    async with stores.engine.begin() as connection:
        await connection.execute(update(Session).values(expires_at=func.now() - timedelta(seconds=1)))

    await sign_in(client)

    assert await count(stores, select(func.count()).select_from(Session)) == 1
    assert await count(stores, select(func.count()).select_from(RefreshToken)) == 1


async def test_refresh_tokens_used_long_ago_are_forgotten(
    settings: Settings, stores: Stores, client: httpx.AsyncClient
) -> None:
    answer = await sign_up(client)
    answer = await mutate(client, "refreshSession", refreshToken=answer["refreshToken"])
    await age_uses(stores, timedelta(seconds=settings.refresh_token_lifetime))

    await mutate(client, "refreshSession", refreshToken=answer["refreshToken"])

    assert await count(stores, select(func.count()).select_from(RefreshToken)) == 2


async def test_a_deactivation_while_somebody_signs_in_ends_the_new_session_too(
    stores: Stores, client: httpx.AsyncClient
) -> None:
    answer = await sign_up(client)
    admin, _ = await signed_in(client, stores, role="admin")

    async def sign_in_again() -> None:
        await respond(client, mutation("signIn"), input={"email": "ada@example.com", "password": PASSWORD})

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(sign_in_again)
        group.start_soon(lambda: mutate(admin, "deactivateUser", id=answer["user"]["id"]))

    user = await users(stores).find_one(users(stores).model.email == "ada@example.com")
    assert user is not None
    assert not user.is_active
    theirs = select(func.count()).select_from(Session).where(Session.user_id == user.id, Session.revoked_at.is_(None))
    assert await count(stores, theirs) == 0


async def test_refreshing_while_all_sessions_end_does_not_deadlock(stores: Stores, client: httpx.AsyncClient) -> None:
    answers = [await sign_up(client)] + [await sign_in(client) for _ in range(3)]
    mine = with_token(client, answers[0]["accessToken"])

    async def refresh(answer: dict[str, Any]) -> None:
        body = await respond(client, mutation("refreshSession"), input={"refreshToken": answer["refreshToken"]})
        assert "errors" not in body

    async with anyio.create_task_group() as group:
        for answer in answers[1:]:
            group.start_soon(refresh, answer)
        group.start_soon(
            lambda: mutate(mine, "changePassword", currentPassword=PASSWORD, newPassword="another password")
        )

    assert await live_sessions(stores) == 1


async def test_a_session_is_good_on_every_instance(settings: Settings, client: httpx.AsyncClient) -> None:
    answer = await sign_up(client)
    other = create_app(settings)
    async with other.router.lifespan_context(other):
        elsewhere = httpx.AsyncClient(transport=httpx.ASGITransport(app=other), base_url="http://127.0.0.1:8001")
        assert await execute(with_token(elsewhere, answer["accessToken"]), VIEWER) == ADA
        await mutate(elsewhere, "refreshSession", refreshToken=answer["refreshToken"])

        # ended here, it ends there within a second
        await mutate(with_token(client, answer["accessToken"]), "signOut")
        with anyio.fail_after(2):
            while await status(elsewhere, answer) != 401:
                await pause()


async def test_the_actor_of_a_sign_up_is_the_account(stores: Stores, client: httpx.AsyncClient) -> None:
    from models import AuditEntry

    answer = await sign_up(client)

    async with stores.engine.connect() as connection:
        entries = (
            await connection.execute(select(AuditEntry.operation, AuditEntry.actor_id, AuditEntry.record_id))
        ).all()
    assert [entry.operation for entry in entries] == ["INSERT"]
    assert entries[0].actor_id == entries[0].record_id
    assert isinstance(entries[0].actor_id, UUID)
    assert answer["user"]["email"] == "ada@example.com"


async def test_accounts_work_behind_row_level_security(settings: Settings, clean_stores: None) -> None:
    walled = create_app(settings.model_copy(update={"row_level_security": True}))
    async with walled.router.lifespan_context(walled):
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=walled), base_url="http://127.0.0.1:8000")
        ada = await sign_up(client)
        admin, _ = await signed_in(client, walled.state.stores, role="admin")
        mine = with_token(client, ada["accessToken"])

        answer = await sign_in(client)
        assert answer["user"] == ada["user"]
        ada = await mutate(client, "refreshSession", refreshToken=ada["refreshToken"])
        await mutate(mine, "updateProfile", email="augusta@example.com", currentPassword=PASSWORD)
        await mutate(mine, "changePassword", currentPassword=PASSWORD, newPassword="another password")
        assert await status(client, answer) == 401
        assert await execute(mine, VIEWER) == {"viewer": {"email": "augusta@example.com"}}
        await mutate(admin, "setUserRole", id=ada["user"]["id"], role="BRAND")
        await mutate(mine, "signOut", everywhere=True)
        await mutate(admin, "deactivateUser", id=ada["user"]["id"])
        await mutate(admin, "reactivateUser", id=ada["user"]["id"])
        again = await sign_in(client, "augusta@example.com", "another password")
        assert again["user"] == {"id": ada["user"]["id"], "email": "augusta@example.com", "role": "BRAND"}


def test_nothing_secret_is_logged(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    variables = environment(settings, LOG_LEVEL="debug")
    with serving("serve", "--port", "0", folder=tmp_path, variables=variables) as server:
        _use_every_secret(server)


def _use_every_secret(server: Server) -> None:
    secrets = [PASSWORD, "a password that is wrong", "the password after it"]

    def ask(name: str, token: str | None = None, **given: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        body = {"query": mutation(name), "variables": {"input": given}}
        answer = httpx.post(f"{server.url}/graphql", json=body, headers=headers, timeout=30).json()
        payload: dict[str, Any] = answer["data"][name] if answer.get("data") else {}
        secrets.extend(payload.get(field) or "" for field in ("accessToken", "refreshToken"))
        return payload

    signed_up = ask("signUp", email="ada@example.com", password=PASSWORD)
    ask("signUp", email="ada@example.com", password=PASSWORD)
    ask("signIn", email="ada@example.com", password="a password that is wrong")
    refreshed = ask("refreshSession", refreshToken=signed_up["refreshToken"])
    ask("changePassword", refreshed["accessToken"], currentPassword=PASSWORD, newPassword="the password after it")
    ask("signOut", refreshed["accessToken"] + "x")
    ask("signUp", email="bob@example.com", password=PASSWORD, role="ADMIN")
    ask("signOut", refreshed["accessToken"])

    assert server.stop() == 0
    output = server.text()
    user_id = decode_id(refreshed["user"]["id"])[1]
    assert output.count("request ") >= 8, output
    assert len([secret for secret in secrets if secret]) == 3 + 2 * 2
    assert [secret for secret in secrets if secret and secret in output] == []
    assert f"viewer={user_id}" in output
