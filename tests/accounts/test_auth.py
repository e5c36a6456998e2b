"""Who a request is from: access tokens, and the sessions behind them."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr
from sqlalchemy import text
from starlette.applications import Starlette

from api.accounts.auth import FRESH
from api.accounts.tokens import ALGORITHM, TYPE, AccessTokens, InvalidToken, development_secret, key_id
from api.config.settings import ConfigurationError, Settings
from api.http.application import create_app
from api.stores.stores import Stores
from models import Session, new_id
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user, users
from tests.support.graphql import execute, gid, sent
from tests.support.servers import CLOSED
from tests.support.signing_in import access_token, client_of, open_session, signed_in, with_token

pytestmark = pytest.mark.anyio

VIEWER = "{ viewer { email role } }"
NOT_VALID = "The access token is not valid, or no longer: refresh the session, or sign in."
REFUSED = {"errors": [{"message": NOT_VALID, "extensions": {"code": "INVALID_ACCESS_TOKEN"}}]}
EXPIRED = {
    "errors": [
        {
            "message": "The access token has expired: refresh the session.",
            "extensions": {"code": "ACCESS_TOKEN_EXPIRED"},
        }
    ]
}
SECOND = timedelta(seconds=1)


async def ask(client: httpx.AsyncClient, query: str = VIEWER) -> httpx.Response:
    return await client.post("/graphql", json={"query": query})


async def assert_refused(client: httpx.AsyncClient) -> None:
    response = await ask(client)
    assert (response.status_code, response.json()) == (401, REFUSED)


def forged(settings: Settings, claims: dict[str, Any], header: dict[str, Any], secret: str | None = None) -> str:
    """A token of these claims, by our key unless another is given."""
    assert settings.auth_secret is not None
    own = settings.auth_secret.get_secret_value()
    header = {"alg": ALGORITHM, "kid": key_id(own), "typ": TYPE} | header
    key = OctKey.import_key(secret or own)
    algorithms = [header["alg"]]
    return jwt.encode(header, claims, key, algorithms=algorithms, default_type=None)


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


async def test_without_a_header_nobody_is_signed_in_and_nothing_is_asked(
    app: Starlette, client: httpx.AsyncClient
) -> None:
    with sent(app) as statements:
        assert await execute(client, VIEWER) == {"viewer": None}

    assert statements.counts == (0, 0)


async def test_a_token_says_who_asks(stores: Stores, client: httpx.AsyncClient) -> None:
    mine, user = await signed_in(client, stores, role="brand")

    assert await execute(mine, VIEWER) == {"viewer": {"email": user.email, "role": "BRAND"}}
    assert await execute(client, "query ($id: ID!) { user(id: $id) { email } }", id=gid(user)) == {"user": None}


async def test_a_token_has_the_claims_that_are_promised(settings: Settings) -> None:
    user_id, session_id = new_id(), new_id()

    token, expires_at = AccessTokens(settings).issue(user_id, session_id)

    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    assert settings.auth_secret is not None
    assert header == {"alg": "HS256", "kid": key_id(settings.auth_secret.get_secret_value()), "typ": "at+jwt"}
    assert claims == {
        "iss": "fashion-wallet",
        "aud": "fashion-wallet",
        "sub": str(user_id),
        "sid": str(session_id),
        "iat": claims["iat"],
        "exp": claims["iat"] + 900,
    }
    assert abs(claims["iat"] - time.time()) < 60
    assert expires_at == datetime.fromtimestamp(claims["exp"], UTC)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YWRhOmFkYQ==", "Bearer x", "Bearer a.b.c", "Bearer ..", f"Bearer {'x' * 100_000}"],
)
@pytest.mark.parametrize("media_type", ["application/json", "application/graphql-response+json"])
async def test_a_header_that_is_no_token_is_refused(client: httpx.AsyncClient, header: str, media_type: str) -> None:
    headers = {"authorization": header, "accept": media_type}

    response = await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)

    assert (response.status_code, response.json()) == (401, REFUSED)
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert response.headers["x-request-id"]


async def test_forged_tokens_are_refused(settings: Settings, stores: Stores, client: httpx.AsyncClient) -> None:
    user, other = await create_user(stores), await create_user(stores)
    session_id = await open_session(stores, user.id)
    now = int(time.time())
    good = {
        "iss": "fashion-wallet",
        "aud": "fashion-wallet",
        "sub": str(user.id),
        "sid": str(session_id),
        "iat": now,
        "exp": now + 900,
    }
    good_token = forged(settings, good, {})
    assert (await ask(with_token(client, good_token))).json() == {
        "data": {"viewer": {"email": user.email, "role": "USER"}}
    }
    # another instance's clock may be ahead
    ahead = forged(settings, good | {"iat": now + 30}, {})
    assert (await ask(with_token(client, ahead))).status_code == 200

    header, payload, signature = good_token.split(".")
    bad = {
        "alg none": f"{encoded({'alg': 'none', 'typ': TYPE})}.{payload}.",
        "alg none, signed": f"{encoded({'alg': 'none', 'typ': TYPE})}.{payload}.{signature}",
        "another algorithm": forged(settings, good, {"alg": "HS512"}),
        "another key under our id": forged(settings, good, {}, secret="another secret of 32 bytes and some more"),
        "an unknown key id": forged(settings, good, {"kid": "0123456789abcdef"}),
        "no key id": f"{encoded({'alg': 'HS256', 'typ': TYPE})}.{payload}.{signature}",
        "another type": forged(settings, good, {"typ": "JWT"}),
        "other claims under the signature": f"{header}.{encoded(good | {'sub': str(other.id)})}.{signature}",
        "no signature": f"{header}.{payload}.",
        "claims that are no object": f"{header}.{base64.urlsafe_b64encode(b'[]').decode()}.{signature}",
        "expired, by another key": forged(settings, good | {"exp": now - 1}, {}, secret="another secret " * 3),
        "expired, of another issuer": forged(settings, good | {"exp": now - 1, "iss": "somebody"}, {}),
        "no end": forged(settings, {name: value for name, value in good.items() if name != "exp"}, {}),
        "an end that is no number": forged(settings, good | {"exp": "never"}, {}),
        "another issuer": forged(settings, good | {"iss": "somebody"}, {}),
        "another audience": forged(settings, good | {"aud": "somebody"}, {}),
        "no session": forged(settings, {name: value for name, value in good.items() if name != "sid"}, {}),
        "a session that is no id": forged(settings, good | {"sid": "1"}, {}),
        "a session that is a list": forged(settings, good | {"sid": [str(session_id)]}, {}),
        "a session that is unknown": forged(settings, good | {"sid": str(new_id())}, {}),
        "somebody else's session": forged(settings, good | {"sub": str(other.id)}, {}),
    }
    answers = {what: await ask(with_token(client, token)) for what, token in bad.items()}

    assert {what: (answer.status_code, answer.json()) for what, answer in answers.items()} == dict.fromkeys(
        bad, (401, REFUSED)
    )
    expired = await ask(with_token(client, forged(settings, good | {"exp": now - 1}, {})))
    assert (expired.status_code, expired.json()) == (401, EXPIRED)
    assert expired.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_sessions_that_have_ended_and_accounts_that_may_not_are_refused(
    settings: Settings, stores: Stores, client: httpx.AsyncClient
) -> None:
    user = await create_user(stores)
    now = datetime.now(UTC)
    revoked = await open_session(stores, user.id, revoked_at=now, revoked_for="sign_out")
    ended = await open_session(stores, user.id, expires_at=now - SECOND)
    inactive, _ = await signed_in(client, stores, is_active=False)
    deleted, _ = await signed_in(client, stores, deleted_at=now)

    await assert_refused(with_token(client, access_token(settings, user.id, revoked)))
    await assert_refused(with_token(client, access_token(settings, user.id, ended)))
    await assert_refused(inactive)
    await assert_refused(deleted)


async def test_two_keys_verify_while_they_are_rotated(settings: Settings, stores: Stores) -> None:
    user = await create_user(stores)
    session_id = await open_session(stores, user.id)
    new = SecretStr("the next secret of the tests, with 32 bytes")
    rotated = settings.model_copy(update={"auth_secret": new, "auth_secret_previous": settings.auth_secret})
    done = settings.model_copy(update={"auth_secret": new})
    old_token, new_token = (access_token(each, user.id, session_id) for each in (settings, rotated))

    claims = AccessTokens(settings).verify(old_token)
    assert (claims.user_id, claims.session_id) == (user.id, session_id)
    assert AccessTokens(rotated).verify(old_token) == claims
    assert AccessTokens(rotated).verify(new_token) == claims
    assert AccessTokens(done).verify(new_token) == claims
    for tokens, token in ((AccessTokens(done), old_token), (AccessTokens(settings), new_token)):
        with pytest.raises(InvalidToken):
            tokens.verify(token)


async def test_reading_costs_as_much_as_for_nobody_once_the_session_is_known(
    app: Starlette, stores: Stores, client: httpx.AsyncClient
) -> None:
    mine, user = await signed_in(client, stores)
    item, avatar = await create_catalog_item(stores), await create_avatar(stores, user_id=user.id)
    for _ in range(3):
        layers = [layer_of(item.id)]
        await create_design(stores, user_id=user.id, avatar_id=avatar.id, layers=layers, status="published")
    page = "{ designs { nodes { owner { firstName } avatar { name } layers { catalogItem { name } } } } }"

    with sent(app) as anonymous:
        await execute(client, page)
    with sent(app) as cold:
        await execute(mine, page)
    with sent(app) as warm:
        await execute(mine, page)

    assert anonymous.counts == (1, 3)
    assert cold.counts == (1, 4)
    assert warm.counts == (1, 3)


async def test_requests_that_arrive_together_share_one_look_at_the_session(
    app: Starlette, stores: Stores, client: httpx.AsyncClient
) -> None:
    mine, _ = await signed_in(client, stores)

    with sent(app) as statements:
        answers = await asyncio.gather(*(ask(mine, "{ __typename }") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert statements.counts == (0, 1)


async def test_a_request_that_is_cancelled_takes_no_other_along(stores: Stores, client: httpx.AsyncClient) -> None:
    mine, _ = await signed_in(client, stores)
    first, second = (asyncio.create_task(ask(mine, "{ __typename }")) for _ in range(2))
    await anyio.lowlevel.checkpoint()

    first.cancel()

    assert (await second).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "viewer"),
    [
        ("UPDATE shared.users SET is_active = false", 401, None),
        ("UPDATE shared.users SET deleted_at = now()", 401, None),
        ("UPDATE shared.users SET role = 'brand'", 200, "BRAND"),
        ("UPDATE {sessions} SET revoked_at = now()", 401, None),
    ],
)
async def test_a_change_takes_effect_within_a_second(
    stores: Stores, elsewhere: httpx.AsyncClient, settings: Settings, change: str, status: int, viewer: str | None
) -> None:
    mine = await client_of(elsewhere, stores, await create_user(stores), settings=settings)
    assert (await ask(mine)).status_code == 200
    async with stores.engine.begin() as connection:
        await connection.execute(text(change.format(sessions=str(Session.__table__))))
    changed = time.monotonic()

    # asking all the time doesn't keep the old answer alive
    asked = changed
    while asked <= changed + FRESH:
        asked = time.monotonic()
        answer = await ask(mine)

    assert answer.status_code == status
    if viewer is not None:
        assert answer.json()["data"]["viewer"]["role"] == viewer


async def test_without_postgresql_a_token_can_not_be_believed(settings: Settings, client: httpx.AsyncClient) -> None:
    down = settings.model_copy(update={"database_url": SecretStr(f"postgresql://u:p@127.0.0.1:{CLOSED}/x")})
    app = create_app(down)
    async with app.router.lifespan_context(app):
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8000")
        response = await ask(with_token(client, access_token(settings, new_id(), new_id())), "{ __typename }")
        anonymous = await ask(client, "{ __typename }")

    assert response.status_code == 503
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["STORE_UNAVAILABLE"]
    assert anonymous.json() == {"data": {"__typename": "Query"}}


async def test_an_account_that_is_active_again_is_believed_again(stores: Stores, client: httpx.AsyncClient) -> None:
    mine, user = await signed_in(client, stores, is_active=False)
    await assert_refused(mine)
    await users(stores).update(user.id, {"is_active": True})

    with anyio.fail_after(5):
        while (await ask(mine)).status_code != 200:
            await anyio.lowlevel.checkpoint()


def test_workers_agree_on_the_secret_of_development(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = tmp_path / "data" / "auth-secret"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: development_secret(path), range(8)))

    assert secrets == {path.read_text()}
    assert len(path.read_text()) == 43
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["auth-secret"]
    settings = Settings(_env_file=None, data_dir=path.parent, auth_secret=None)
    token = access_token(settings, new_id(), new_id())
    assert AccessTokens(settings).verify(token)


def test_a_secret_of_development_that_was_cut_off_is_named(tmp_path: Path) -> None:
    (tmp_path / "auth-secret").write_text("short")

    with pytest.raises(ConfigurationError, match=f"^{tmp_path / 'auth-secret'} is no secret of 32 bytes: delete it"):
        AccessTokens(Settings(_env_file=None, data_dir=tmp_path))


def test_a_remembered_token_ends_in_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = AccessTokens(settings)
    token, ends_at = tokens.issue(new_id(), new_id())
    claims = tokens.verify(token)
    assert tokens.verify(token) is claims  # remembered

    monkeypatch.setattr("time.time", lambda: ends_at.timestamp())

    for _ in range(2):
        with pytest.raises(InvalidToken):
            tokens.verify(token)


def test_only_so_many_tokens_are_remembered(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.accounts.tokens.REMEMBERED", 2)
    tokens = AccessTokens(settings)
    issued = [tokens.issue(new_id(), new_id())[0] for _ in range(4)]
    known = [tokens.verify(token) for token in issued]

    assert [tokens.verify(token) is claims for token, claims in zip(issued[2:], known[2:], strict=True)] == [True, True]
    assert tokens.verify(issued[0]) == known[0]
    assert tokens.verify(issued[0]) is not known[0]
