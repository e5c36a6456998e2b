"""The header `Idempotency-Key`: a mutation runs once, whatever the client sends how often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette

from api.accounts.sessions import GRACE
from api.config.settings import Settings
from api.errors import AppError, Conflict, StoreUnavailable
from api.idempotency.keys import MOST_ANONYMOUS, told_to_clients
from api.stores.stores import Stores
from models import AuditEntry, IdempotencyKey, RefreshToken, Session, User
from tests.support.factories.designs import create_design, designs
from tests.support.factories.users import users
from tests.support.graphql import gid, sent
from tests.support.mutations.accounts import PASSWORD, mutation, sign_up
from tests.support.mutations.designs import query as design_mutation
from tests.support.requests.idempotency_keys import let_lapse, lose_answers, send
from tests.support.signing_in import client_of, signed_in, with_token
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

CREATE_DESIGN = design_mutation("createDesign")
UPDATE = mutation("updateProfile")


def code_of(response: httpx.Response) -> str:
    (error,) = response.json()["errors"]
    code: str = error["extensions"]["code"]
    return code


async def keys_of(stores: Stores) -> list[Any]:
    async with stores.engine.connect() as connection:
        statement = select(IdempotencyKey.key, IdempotencyKey.response, IdempotencyKey.written_at)
        return list(await connection.execute(statement))


async def count(stores: Stores, model: Any) -> int:
    async with stores.engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(model)) or 0)


async def waiting(connection: asyncpg.Connection[asyncpg.Record], number: int) -> None:
    """Return once this many statements wait for a lock."""
    with anyio.fail_after(30):
        while await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < number:
            await pause()


async def let_expire(stores: Stores, lifetime: int) -> None:
    """Make all keys older than their lifetime."""
    async with stores.sessions.begin() as session:
        now = await session.scalar(select(func.now()))  # which shards are not asked for
        assert now is not None
        await session.execute(update(IdempotencyKey).values(created_at=now - timedelta(seconds=lifetime)))


async def test_a_second_request_gets_the_first_answer(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores)
    before = await count(stores, AuditEntry)

    first = await send(mine, UPDATE, "rename-1", input={"firstName": "Grace"})
    second = await send(mine, UPDATE, "rename-1", input={"firstName": "Grace"})

    assert first.json()["data"]["updateProfile"]["user"]["firstName"] == "Grace"
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert await count(stores, AuditEntry) == before + 1


async def test_the_order_of_variables_does_not_matter(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores)
    await send(mine, UPDATE, "k", input={"firstName": "Grace", "lastName": "Hopper"})

    again = await send(mine, UPDATE, "k", input={"lastName": "Hopper", "firstName": "Grace"})

    assert again.headers["idempotency-replayed"] == "true"


async def test_twenty_requests_at_once_create_one_design(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores)

    answers = await asyncio.gather(*(send(mine, CREATE_DESIGN, "one", input={"name": "Evening"}) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert [answer.headers.get("idempotency-replayed") for answer in answers].count(None) == 1
    (design,) = await designs(stores).find_all()
    assert answers[0].json()["data"]["createDesign"]["design"]["name"] == design.name == "Evening"


@pytest.mark.parametrize(
    "other",
    [
        {"query": UPDATE, "variables": {"input": {"firstName": "Mary"}}},
        {"query": UPDATE + " ", "variables": {"input": {"firstName": "Grace"}}},
        {"query": UPDATE.replace("mutation", "mutation Other"), "variables": {"input": {"firstName": "Grace"}}},
    ],
)
async def test_another_request_with_the_key_is_refused(
    client: httpx.AsyncClient, stores: Stores, other: dict[str, Any]
) -> None:
    mine, user = await signed_in(client, stores)
    await send(mine, UPDATE, "k", input={"firstName": "Grace"})

    answer = await mine.post("/graphql", json=other, headers={"idempotency-key": "k"})

    assert (answer.status_code, code_of(answer)) == (422, "IDEMPOTENCY_KEY_REUSED")
    stored = await users(stores).find_by_id(user.id)
    assert stored is not None
    assert stored.first_name == "Grace"


async def test_a_key_belongs_to_its_account(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores)
    theirs, _ = await signed_in(client, stores)

    await send(mine, CREATE_DESIGN, "k", input={"name": "Mine"})
    answer = await send(theirs, CREATE_DESIGN, "k", input={"name": "Theirs"})

    assert answer.json()["data"]["createDesign"]["design"]["name"] == "Theirs"
    assert await designs(stores).count() == 2


@pytest.mark.parametrize("keys", [("",), ("two words",), ("caf\xe9",), ("k" * 256,), ("a", "b")])
async def test_a_key_that_is_none(client: httpx.AsyncClient, stores: Stores, keys: tuple[str, ...]) -> None:
    mine, _ = await signed_in(client, stores)

    answer = await send(mine, CREATE_DESIGN, *keys, input={"name": "Evening"})

    assert (answer.status_code, code_of(answer)) == (400, "BAD_IDEMPOTENCY_KEY")
    assert await designs(stores).count() == 0
    assert await keys_of(stores) == []


async def test_the_longest_key(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores)
    await send(mine, CREATE_DESIGN, "~" * 255, input={"name": "Evening"})
    assert [row.key for row in await keys_of(stores)] == ["~" * 255]


async def test_queries_have_no_use_for_it(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores)
    for _ in range(2):
        answer = await send(mine, "{ viewer { email } }", "k")
        assert answer.json() == {"data": {"viewer": {"email": user.email}}}
    answer = await mine.get("/graphql", params={"query": "{ viewer { email } }"}, headers={"idempotency-key": ""})
    assert answer.status_code == 200
    assert await keys_of(stores) == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("mutation { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("mutation {", "GRAPHQL_PARSE_FAILED"),
        ("mutation A { __typename } mutation B { __typename }", "OPERATION_RESOLUTION_FAILURE"),
    ],
)
async def test_what_is_not_executed_is_not_remembered(
    client: httpx.AsyncClient, stores: Stores, query: str, code: str
) -> None:
    mine, _ = await signed_in(client, stores)
    answer = await send(mine, query, "k")
    assert code_of(answer) == code
    assert await keys_of(stores) == []


async def test_an_answer_with_errors_of_the_client_is_remembered(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores)
    first = await send(mine, UPDATE, "k", input={"firstName": " "})
    second = await send(mine, UPDATE, "k", input={"firstName": " "})
    assert first.json()["data"]["updateProfile"]["errors"][0]["code"] == "INVALID"
    assert second.content == first.content
    assert second.headers["idempotency-replayed"] == "true"


async def test_tokens_and_passwords_are_not_stored_in_clear(client: httpx.AsyncClient, stores: Stores) -> None:
    given = {"email": "ada@example.com", "password": PASSWORD}
    first = await send(client, mutation("signUp"), "up", input=given)
    second = await send(client, mutation("signUp"), "up", input=given)

    tokens = first.json()["data"]["signUp"]
    assert second.json()["data"]["signUp"] == tokens
    assert await count(stores, User) == 1
    assert await count(stores, Session) == 1
    (row,) = await keys_of(stores)
    assert set(row.response) == {"status", "sealed"}
    kept = json.dumps(row.response)
    for secret in (tokens["accessToken"], tokens["refreshToken"], PASSWORD, "ada@example.com"):
        assert secret not in kept


async def test_a_rotated_secret_still_opens_answers(app: Starlette, client: httpx.AsyncClient, stores: Stores) -> None:
    from api.http.application import create_app

    settings: Settings = app.state.settings
    mine, user = await signed_in(client, stores)
    first = await send(mine, UPDATE, "k", input={"firstName": "Grace"})

    secrets = {
        "auth_secret": SecretStr("another secret, of 32 bytes or more"),
        "auth_secret_previous": settings.auth_secret,
    }
    rotated = create_app(settings.model_copy(update=secrets))
    async with rotated.router.lifespan_context(rotated):
        transport = httpx.ASGITransport(app=rotated)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as other:
            theirs = await client_of(other, stores, user)
            second = await send(theirs, UPDATE, "k", input={"firstName": "Grace"})

    assert second.content == first.content
    assert second.headers["idempotency-replayed"] == "true"


async def test_after_its_lifetime_a_key_is_as_good_as_new(
    client: httpx.AsyncClient, app: Starlette, stores: Stores
) -> None:
    mine, _ = await signed_in(client, stores)
    await send(mine, CREATE_DESIGN, "k", input={"name": "First"})
    await send(mine, CREATE_DESIGN, "old", input={"name": "First"})
    await let_expire(stores, app.state.settings.idempotency_key_lifetime)

    answer = await send(mine, CREATE_DESIGN, "k", input={"name": "Second"})

    assert answer.json()["data"]["createDesign"]["design"]["name"] == "Second"
    assert sorted(design.name for design in await designs(stores).find_all()) == ["First", "First", "Second"]
    # the other one was swept away
    assert [row.key for row in await keys_of(stores)] == ["k"]


@pytest.fixture
async def hasty(app: Starlette, stores: Stores) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another instance, whose statements end after a moment."""
    from api.http.application import create_app

    instance = create_app(app.state.settings.model_copy(update={"statement_timeout": 0.2}))
    async with instance.router.lifespan_context(instance):
        transport = httpx.ASGITransport(app=instance)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client


async def test_a_store_that_fails_leaves_the_key_for_another_try(
    hasty: httpx.AsyncClient, stores: Stores, locks: asyncpg.Connection[asyncpg.Record]
) -> None:
    mine, user = await signed_in(hasty, stores)
    async with locks.transaction():
        await locks.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", user.id)
        first = await send(mine, UPDATE, "k", input={"firstName": "Grace"})

    second = await send(mine, UPDATE, "k", input={"firstName": "Grace"})

    assert code_of(first) == "TIMEOUT"
    assert second.json()["data"]["updateProfile"]["user"]["firstName"] == "Grace"
    assert "idempotency-replayed" not in second.headers


async def test_a_failure_after_the_write_is_the_answer(
    hasty: httpx.AsyncClient, stores: Stores, locks: asyncpg.Connection[asyncpg.Record]
) -> None:
    update_and_read = """
        mutation ($input: UpdateProfileInput!) {
          updateProfile(input: $input) { user { firstName avatars { nodes { id } } } }
        }"""
    mine, _ = await signed_in(hasty, stores)
    before = await count(stores, AuditEntry)
    async with locks.transaction():
        await locks.execute("LOCK TABLE avatar.avatars IN ACCESS EXCLUSIVE MODE")
        first = await send(mine, update_and_read, "k", input={"firstName": "Grace"})

    second = await send(mine, update_and_read, "k", input={"firstName": "Grace"})

    assert code_of(first) == "TIMEOUT"
    assert second.content == first.content
    assert second.headers["idempotency-replayed"] == "true"
    assert await count(stores, AuditEntry) == before + 1


async def test_what_takes_long_is_not_run_by_another(
    client: httpx.AsyncClient,
    stores: Stores,
    locks: asyncpg.Connection[asyncpg.Record],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.idempotency.keys.PATIENCE", 0.1)
    mine, user = await signed_in(client, stores)
    before = await count(stores, AuditEntry)
    async with asyncio.TaskGroup() as tasks, locks.transaction():
        await locks.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", user.id)
        first = tasks.create_task(send(mine, UPDATE, "k", input={"firstName": "Grace"}))
        await waiting(locks, 1)
        second = await send(mine, UPDATE, "k", input={"firstName": "Grace"})
        assert (second.status_code, code_of(second)) == (409, "IDEMPOTENCY_IN_PROGRESS")

    third = await send(mine, UPDATE, "k", input={"firstName": "Grace"})
    assert first.result().json()["data"]["updateProfile"]["errors"] == []
    assert third.content == first.result().content
    assert await count(stores, AuditEntry) == before + 1


async def test_a_claim_that_lapsed_can_no_longer_write(
    client: httpx.AsyncClient, stores: Stores, locks: asyncpg.Connection[asyncpg.Record]
) -> None:
    mine, user = await signed_in(client, stores)
    before = await count(stores, AuditEntry)
    async with asyncio.TaskGroup() as tasks, locks.transaction():
        await locks.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", user.id)
        first = tasks.create_task(send(mine, UPDATE, "k", input={"firstName": "Grace"}))
        await waiting(locks, 1)
        await let_lapse(stores)
        second = tasks.create_task(send(mine, UPDATE, "k", input={"firstName": "Grace"}))
        await waiting(locks, 2)

    assert code_of(first.result()) == "IDEMPOTENCY_IN_PROGRESS"
    assert second.result().json()["data"]["updateProfile"]["user"]["firstName"] == "Grace"
    assert await count(stores, AuditEntry) == before + 1
    third = await send(mine, UPDATE, "k", input={"firstName": "Grace"})
    assert third.content == second.result().content


async def test_a_claim_is_renewed_while_it_runs(
    client: httpx.AsyncClient,
    stores: Stores,
    locks: asyncpg.Connection[asyncpg.Record],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.idempotency.claims._RENEWAL", 0.01)
    mine, user = await signed_in(client, stores)
    async with asyncio.TaskGroup() as tasks, locks.transaction():
        await locks.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", user.id)
        tasks.create_task(send(mine, UPDATE, "k", input={"firstName": "Grace"}))
        await waiting(locks, 1)
        await let_lapse(stores)
        with anyio.fail_after(10):
            while not await locks.fetchval("SELECT locked_until > now() + '1s' FROM shared.idempotency_keys"):
                await pause()


async def test_a_write_whose_answer_is_lost_is_not_repeated(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores)
    await send(mine, UPDATE, "k", input={"firstName": "Grace"})
    await lose_answers(stores)
    before = await count(stores, AuditEntry)

    answer = await send(mine, UPDATE, "k", input={"firstName": "Grace"})

    assert (answer.status_code, code_of(answer)) == (409, "IDEMPOTENCY_INTERRUPTED")
    assert await count(stores, AuditEntry) == before


@pytest.mark.parametrize("name", ["createDesign", "duplicateDesign"])
async def test_a_design_whose_answer_is_lost_is_found_again(
    client: httpx.AsyncClient, stores: Stores, name: str
) -> None:
    mine, user = await signed_in(client, stores)
    given = {"name": "Evening"} if name == "createDesign" else {"id": gid(await create_design(stores, user_id=user.id))}
    first = await send(mine, design_mutation(name), "k", input=given)
    await lose_answers(stores)
    before = await designs(stores).count()

    second = await send(mine, design_mutation(name), "k", input=given)

    assert second.content == first.content
    assert "idempotency-replayed" not in second.headers
    assert await designs(stores).count() == before


async def test_two_designs_of_one_request_are_two(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores)
    both = """mutation { a: createDesign(input: {name: "A"}) { design { name } }
                         b: createDesign(input: {name: "B"}) { design { name } } }"""
    await send(mine, both, "k")
    await lose_answers(stores)
    await send(mine, both, "k")
    assert sorted(design.name for design in await designs(stores).find_all()) == ["A", "B"]


async def test_what_a_key_costs(client: httpx.AsyncClient, app: Starlette, stores: Stores) -> None:
    mine, _ = await signed_in(client, stores)
    await send(mine, UPDATE, input={"firstName": "Ada"})
    with sent(app) as without:
        await send(mine, UPDATE, input={"firstName": "Grace"})
    with sent(app) as with_key:
        await send(mine, UPDATE, "k", input={"firstName": "Mary"})
    with sent(app) as again:
        await send(mine, UPDATE, "k", input={"firstName": "Mary"})

    assert [statement for statement in without.sql if "idempotency" in statement] == []
    # the claim, the mark in the transaction, the answer, the sweep
    assert len(with_key.sql) == len(without.sql) + 4
    # the claim that fails, the answer
    assert len(again.sql) == 2


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (asyncpg.DeadlockDetectedError("deadlock detected"), Conflict),
        (asyncpg.CannotConnectNowError("starting up"), StoreUnavailable),
    ],
)
def test_what_comes_in_the_way_of_a_claim_is_told(cause: Exception, expected: type[AppError]) -> None:
    with pytest.raises(expected), told_to_clients():
        raise DBAPIError("INSERT", None, cause) from cause


def test_a_bug_around_a_claim_stays_one() -> None:
    with pytest.raises(KeyError), told_to_clients():
        raise KeyError


async def test_a_refresh_token_that_is_replayed_was_copied(client: httpx.AsyncClient, stores: Stores) -> None:
    tokens = await sign_up(client)
    given = {"input": {"refreshToken": tokens["refreshToken"]}}
    refresh = mutation("refreshSession")

    first = await send(client, refresh, "again", **given)
    second = await send(client, refresh, "again", **given)
    async with stores.sessions.begin() as session:
        await session.execute(update(RefreshToken).values(used_at=RefreshToken.used_at - GRACE))
    third = await send(client, refresh, "again", **given)

    assert first.json()["data"]["refreshSession"]["errors"] == []
    assert [error["code"] for error in second.json()["data"]["refreshSession"]["errors"]] == ["REFRESH_TOKEN_USED"]
    assert [error["code"] for error in third.json()["data"]["refreshSession"]["errors"]] == ["INVALID_REFRESH_TOKEN"]
    assert "idempotency-replayed" not in third.headers
    assert await keys_of(stores) == []
    newest = with_token(client, first.json()["data"]["refreshSession"]["accessToken"])
    assert (await newest.post("/graphql", json={"query": "{ viewer { id } }"})).status_code == 401


@pytest.mark.parametrize("fragments", [False, True])
async def test_what_is_replayed_and_what_is_not_do_not_go_together(
    client: httpx.AsyncClient, stores: Stores, fragments: bool
) -> None:
    both = "refreshSession(input: { refreshToken: $token }) { errors { code } } signOut(input: {}) { ended }"
    query = f"mutation ($token: String!) {{ {both} }}"
    if fragments:
        query = f"mutation ($token: String!) {{ ... on Mutation {{ ...both }} }} fragment both on Mutation {{ {both} }}"
    tokens = await sign_up(client)

    refused = await send(client, query, "again", token=tokens["refreshToken"])

    assert (refused.status_code, code_of(refused)) == (400, "BAD_IDEMPOTENCY_KEY")
    refreshed = await send(client, mutation("refreshSession"), input={"refreshToken": tokens["refreshToken"]})
    assert refreshed.json()["data"]["refreshSession"]["errors"] == []


async def test_whoever_is_not_signed_in_has_few_keys(client: httpx.AsyncClient, stores: Stores) -> None:
    sign_in = mutation("signIn")
    wrong = {"email": "nobody@example.com", "password": "wrong password"}
    async with stores.sessions.begin() as session:
        for number in range(MOST_ANONYMOUS - 1):
            values = {"actor": "address:127.0.0.1", "key": f"k{number}", "fingerprint": b"", "locked_until": func.now()}
            await session.execute(insert(IdempotencyKey).values(values))

    last = await send(client, sign_in, "last", input=wrong)
    again = await send(client, sign_in, "last", input=wrong)
    beyond = await send(client, sign_in, "one-more", input=wrong)

    assert last.json()["data"]["signIn"]["errors"] != []
    assert again.headers["idempotency-replayed"] == "true"
    assert (beyond.status_code, code_of(beyond)) == (429, "RATE_LIMITED")
    assert await count(stores, IdempotencyKey) == MOST_ANONYMOUS
    mine, _ = await signed_in(client, stores)
    assert (await send(mine, UPDATE, "one-more", input={"firstName": "Grace"})).status_code == 200
    await let_expire(stores, 86_400)
    assert (await send(client, sign_in, "one-more", input=wrong)).status_code == 200
