"""GraphQL over WebSocket: `graphql-transport-ws`, rule by rule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import anyio
import asyncpg
import httpx
import pytest
import structlog
from sqlalchemy import update
from starlette.applications import Starlette
from websockets.exceptions import InvalidStatus

from api.accounts.auth import SessionCache
from api.config.settings import Settings
from api.embedded.daemons import free_port
from api.http.sockets import messages
from api.http.sockets.socket import Socket
from api.stores.stores import Stores
from models import Session, User, new_id
from tests.support.applications import listening, running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.users import create_user, users
from tests.support.failures.proxies import through
from tests.support.graphql import gid
from tests.support.requests.sockets import GraphQLSocket, socket, subscribe
from tests.support.signing_in import access_token, open_session, signed_in
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

ITEM = "query ($id: ID!) { catalogItem(id: $id) { name } }"
ME = "{ viewer { email } }"
RENAME = """mutation ($input: UpdateProfileInput!) {
  updateProfile(input: $input) { user { firstName } errors { code } }
}"""
INIT = {"type": "connection_init"}


@pytest.fixture
async def port(app: Starlette, anyio_backend: str) -> AsyncIterator[int]:
    async with listening(app) as port:
        yield port


@pytest.fixture
async def begun(port: int, anyio_backend: str) -> AsyncIterator[GraphQLSocket]:
    """An anonymous socket whose connection is acknowledged."""
    async with socket(port) as begun:
        await begun.begin()
        yield begun


def token_of(client: httpx.AsyncClient) -> str:
    return client.headers["authorization"]


async def test_a_query_is_answered_and_completed(begun: GraphQLSocket, stores: Stores) -> None:
    item = await create_catalog_item(stores, name="Silk")

    await begun.subscribe("a query", ITEM, variables={"id": gid(item)})

    assert begun.connection.subprotocol == "graphql-transport-ws"
    assert await begun.receive() == {
        "id": "a query",
        "type": "next",
        "payload": {"data": {"catalogItem": {"name": "Silk"}}},
    }
    assert await begun.receive() == {"id": "a query", "type": "complete"}


async def test_a_mutation_is_done_for_whom_the_first_message_names(
    port: int, client: httpx.AsyncClient, stores: Stores
) -> None:
    ada, _ = await signed_in(client, stores)

    async with socket(port) as of_ada:
        await of_ada.begin(Authorization=token_of(ada))
        data = await of_ada.execute(RENAME, input={"firstName": "Ada"})

    assert data == {"updateProfile": {"user": {"firstName": "Ada"}, "errors": []}}
    assert [user.first_name for user in await users(stores).find_all()] == ["Ada"]


async def test_the_token_may_come_with_the_handshake(port: int, client: httpx.AsyncClient, stores: Stores) -> None:
    ada, account = await signed_in(client, stores)

    async with socket(port, {"authorization": token_of(ada)}) as of_ada:
        await of_ada.begin()
        assert await of_ada.execute(ME) == {"viewer": {"email": account.email}}


async def test_each_operation_is_a_request_of_the_log(begun: GraphQLSocket, stores: Stores) -> None:
    item = await create_catalog_item(stores, name="Silk")

    with structlog.testing.capture_logs() as logs:
        for _ in range(2):  # nothing is kept from one to the next: both ask the store
            await begun.execute("query Item" + ITEM.removeprefix("query"), id=gid(item))

    lines = [line for line in logs if line["event"] == "request"]
    assert [(line["operation"], line["sql"], line["status"]) for line in lines] == [("Item", 1, 200)] * 2
    assert len({line["socket"] for line in lines}) == 1
    assert len({line["request_id"] for line in lines}) == 2


async def test_operations_answer_in_any_order(begun: GraphQLSocket) -> None:
    await begun.send(*(subscribe(str(number), "{ __typename }") for number in range(50)))

    received = [await begun.receive() for _ in range(100)]

    assert {each["id"] for each in received if each["type"] == "next"} == {str(number) for number in range(50)}
    for number in range(50):
        assert [each["type"] for each in received if each["id"] == str(number)] == ["next", "complete"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": ""}, "BAD_REQUEST"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "subscription { nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": ITEM}, "BAD_VARIABLES"),
        ({"query": "query A { __typename } query B { __typename }"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "{ __typename }", "operationName": "B"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"documentId": "sha256:" + "0" * 64}, "PERSISTED_QUERY_NOT_FOUND"),
        ({"query": "{" + "a: __typename " * 1001 + "}"}, "TOO_COMPLEX"),
    ],
)
async def test_a_refused_operation_is_an_error_and_not_the_end(
    begun: GraphQLSocket, payload: dict[str, Any], code: str
) -> None:
    await begun.send({"id": "1", "type": "subscribe", "payload": payload})

    refused = await begun.receive()

    assert (refused["id"], refused["type"]) == ("1", "error")
    assert [error["extensions"]["code"] for error in refused["payload"]] == [code]
    assert await begun.execute("{ __typename }") == {"__typename": "Query"}  # and no complete before it


async def test_an_error_of_a_field_is_in_a_result(begun: GraphQLSocket) -> None:
    await begun.subscribe("1", "{ users { totalCount } }")

    result, end = await begun.receive(), await begun.receive()

    assert (result["type"], end["type"]) == ("next", "complete")
    assert [error["extensions"]["code"] for error in result["payload"]["errors"]] == ["UNAUTHENTICATED"]


async def test_pings_are_answered_before_and_after_the_first_message(port: int) -> None:
    async with socket(port) as one:
        await one.send({"type": "ping"}, {"type": "pong"}, {"type": "pong", "payload": {"a": 1}})
        assert await one.receive() == {"type": "pong"}
        await one.begin()
        await one.send({"type": "ping", "payload": {"a": 1}})
        assert await one.receive() == {"type": "pong", "payload": {"a": 1}}


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "null",
        "[]",
        b'{"type":"connection_init"}',
        "{}",
        {"type": "start", "id": "1"},
        {"type": 1},
        {"type": "connection_ack"},
        {"type": "next", "id": "1", "payload": {"data": {}}},
        {"type": "error", "id": "1", "payload": []},
        {"type": "ping", "payload": 1},
        {"type": "pong", "payload": []},
        {"type": "connection_init", "payload": "x"},
        {"type": "complete"},
        {"type": "complete", "id": 1},
        {"type": "subscribe", "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "", "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "x" * 256, "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "1"},
        {"type": "subscribe", "id": "1", "payload": {}},
        {"type": "subscribe", "id": "1", "payload": {"query": 1}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "variables": []}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "operationName": 1}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "extensions": 1}},
    ],
)
@pytest.mark.parametrize("begins", [False, True])
async def test_what_is_no_message_ends_the_socket_with_4400(port: int, message: Any, begins: bool) -> None:
    async with socket(port) as one:
        if begins:
            await one.begin()

        await one.send(message)

        code, reason = await one.closed()
        assert code == 4400
        assert reason


async def test_nothing_is_executed_before_the_acknowledgement(port: int) -> None:
    async with socket(port) as one:
        await one.subscribe("1", "{ __typename }")

        assert await one.closed() == (4401, "Unauthorized")


async def test_nor_is_a_second_first_message_taken(port: int) -> None:
    async with socket(port) as at_once, socket(port) as later:
        await at_once.send(INIT, INIT)
        assert await at_once.closed() == (4429, "Too many initialisation requests")
        await later.begin()
        await later.send(INIT)
        assert await later.closed() == (4429, "Too many initialisation requests")


async def test_the_first_message_must_come_in_time(settings: Settings, clean_stores: None) -> None:
    async with running(settings, socket_init_timeout=0.05) as (app, _), listening(app) as port, socket(port) as one:
        assert await one.closed() == (4408, "Connection initialisation timeout")


async def test_another_subprotocol_is_not_spoken(port: int) -> None:
    for others in ((), ("graphql-ws",)):
        async with socket(port, subprotocols=others) as one:
            assert (await one.closed())[0] == 4406
            assert one.connection.subprotocol is None


async def waiting(connection: asyncpg.Connection[asyncpg.Record], statements: int) -> None:
    """Return once so many statements wait for a lock."""
    with anyio.fail_after(30):
        while await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") != statements:
            await pause()


async def test_an_id_is_free_again_once_its_operation_has_ended(
    begun: GraphQLSocket, locks: asyncpg.Connection[asyncpg.Record], stores: Stores
) -> None:
    item = await create_catalog_item(stores, name="Silk")
    asked = subscribe("1", ITEM, variables={"id": gid(item)})
    for _ in range(2):
        await begun.send(asked)
        assert [(await begun.receive())["type"] for _ in range(2)] == ["next", "complete"]

    async with locks.transaction():
        await locks.execute("LOCK TABLE catalog.catalog_items IN ACCESS EXCLUSIVE MODE")
        await begun.send(asked)
        await waiting(locks, 1)
        await begun.send({"id": "1", "type": "complete"}, {"id": "never begun", "type": "complete"})
        await begun.send(subscribe("1", "{ __typename }"))  # the client's word is enough
        assert (await begun.receive())["payload"] == {"data": {"__typename": "Query"}}
        assert (await begun.receive())["type"] == "complete"
        await waiting(locks, 0)  # the query was ended in PostgreSQL, too

        await begun.send(asked, asked)
        assert await begun.closed() == (4409, "Subscriber for 1 already exists")


async def test_a_mutation_is_carried_on_but_not_answered_when_nobody_waits(
    port: int, client: httpx.AsyncClient, stores: Stores, locks: asyncpg.Connection[asyncpg.Record]
) -> None:
    ada, account = await signed_in(client, stores)
    async with socket(port) as of_ada:
        await of_ada.begin(authorization=token_of(ada))
        async with locks.transaction():
            await locks.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", account.id)
            await of_ada.subscribe("1", RENAME, variables={"input": {"firstName": "Ada"}})
            await waiting(locks, 1)
            await of_ada.send({"id": "1", "type": "complete"})
            await of_ada.send({"type": "ping"})
            assert await of_ada.receive() == {"type": "pong"}
        # what comes next is the answer to the next operation
        with anyio.fail_after(30):
            while await of_ada.execute("{ viewer { firstName } }") != {"viewer": {"firstName": "Ada"}}:
                await pause()


async def test_more_operations_than_may_be_under_way_are_refused(
    settings: Settings, clean_stores: None, locks: asyncpg.Connection[asyncpg.Record]
) -> None:
    limits = {"max_socket_operations": 2, "coalescing": False}
    async with running(settings, **limits) as (app, _), listening(app) as port, socket(port) as one:
        await one.begin()
        async with locks.transaction():
            await locks.execute("LOCK TABLE catalog.catalog_items IN ACCESS EXCLUSIVE MODE")
            await one.send(*(subscribe(str(number), "{ catalogItems { nodes { id } } }") for number in range(3)))
            refused = await one.receive()
        answered = [await one.receive() for _ in range(4)]

    assert (refused["id"], refused["type"]) == ("2", "error")
    extensions = refused["payload"][0]["extensions"]
    assert extensions == {"code": "TOO_COMPLEX", "limit": "MAX_SOCKET_OPERATIONS", "maximum": 2, "value": 3}
    assert {each["id"] for each in answered} == {"0", "1"}


async def test_no_more_sockets_than_may_be_open(settings: Settings, clean_stores: None) -> None:
    async with running(settings, max_sockets=1) as (app, _), listening(app) as port:
        async with socket(port) as one:
            await one.begin()
            with pytest.raises(InvalidStatus) as refused:
                async with socket(port):
                    pass
            assert refused.value.response.status_code == 503
        with anyio.fail_after(30):  # until the server has noticed that it is closed
            while True:
                try:
                    async with socket(port) as other:
                        await other.begin()
                        return
                except InvalidStatus:
                    await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("given", ["Bearer x", "Basic x", "", 1, {}])
async def test_a_token_that_is_none_ends_the_socket_with_4403(port: int, given: Any) -> None:
    async with socket(port) as one:
        with structlog.testing.capture_logs() as logs:
            await one.send({"type": "connection_init", "payload": {"authorization": given}})
            code, _ = await one.closed()

    assert code == 4403
    assert [line["kind"] for line in logs if line["event"] == "security"] == ["TOKEN_REFUSED"]


async def test_an_expired_token_ends_the_socket(
    settings: Settings, clean_stores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before it expires, and the timer that does so is set for no later either."""
    delays: dict[int, float] = {}
    close_later = Socket._close_later

    def noted(self: Socket, seconds: float, code: messages.Code, reason: str) -> None:
        delays[code] = seconds
        close_later(self, seconds, code, reason)

    monkeypatch.setattr(Socket, "_close_later", noted)
    async with running(settings, access_token_lifetime=2) as (app, _), listening(app) as port, socket(port) as one:
        stores: Stores = app.state.stores
        account = await create_user(stores)
        token = access_token(app.state.settings, account.id, await open_session(stores, account.id))
        expires = app.state.auth.claims_of(f"Bearer {token}").expires_at
        left = expires - datetime.now(UTC).timestamp()
        await one.begin(authorization=f"Bearer {token}")
        assert await one.execute(ME) == {"viewer": {"email": account.email}}

        code, reason = await one.closed()

        assert (code, reason) == (4403, "The access token has expired: connect anew")
        assert datetime.now(UTC).timestamp() >= expires
        assert delays[messages.Code.FORBIDDEN] <= left


@pytest.mark.parametrize("end", ["session", "account"])
async def test_the_end_of_a_session_is_that_of_its_sockets_wherever_it_was_ended(
    port: int, client: httpx.AsyncClient, stores: Stores, end: str
) -> None:
    """Here by a statement, as another instance would end it. Others' sockets stay."""
    ada, account = await signed_in(client, stores)
    bob, _ = await signed_in(client, stores)
    async with socket(port) as of_ada, socket(port) as of_bob:
        await of_ada.begin(authorization=token_of(ada))
        await of_bob.begin(authorization=token_of(bob))

        statement = (
            update(Session).where(Session.user_id == account.id).values(revoked_at=datetime.now(UTC))
            if end == "session"
            else update(User).where(User.id == account.id).values(is_active=False)
        )
        async with stores.sessions.begin() as transaction:
            await transaction.execute(statement)

        assert await of_ada.closed() == (4403, "The session has ended: sign in anew")
        assert await of_bob.execute("{ __typename }") == {"__typename": "Query"}


async def test_the_first_look_after_the_end_of_a_session_closes_its_sockets(
    port: int, client: httpx.AsyncClient, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And there is one every half second, so that it is done within a second."""
    delays: list[float] = []
    ended_before_looks: list[bool] = []
    looks_until_closed: list[int] = []
    has_ended = False
    sleep, refresh, forbid = asyncio.sleep, SessionCache.refresh, Socket._forbid

    async def slept(seconds: float, *arguments: Any) -> Any:
        task = asyncio.current_task()
        if task is not None and task.get_name() == "sessions of sockets":
            delays.append(seconds)
        return await sleep(seconds, *arguments)

    async def refreshed(self: SessionCache, *arguments: Any) -> Any:
        ended_before_looks.append(has_ended)
        return await refresh(self, *arguments)

    def forbidden(self: Socket) -> None:
        looks_until_closed.append(sum(ended_before_looks))
        forbid(self)

    monkeypatch.setattr(asyncio, "sleep", slept)
    monkeypatch.setattr(SessionCache, "refresh", refreshed)
    monkeypatch.setattr(Socket, "_forbid", forbidden)
    ada, account = await signed_in(client, stores)
    async with socket(port) as one, socket(port) as two:
        for each in (one, two):
            await each.begin(authorization=token_of(ada))
        async with stores.sessions.begin() as transaction:
            await transaction.execute(
                update(Session).where(Session.user_id == account.id).values(revoked_at=datetime.now(UTC))
            )
        has_ended = True

        assert [(await each.closed())[0] for each in (one, two)] == [4403, 4403]

    assert len(looks_until_closed) == 2
    assert max(looks_until_closed) <= 1  # none where it was under way when the session was ended
    assert set(delays) == {0.5}


async def test_a_session_that_nobody_can_look_up_ends_the_socket_with_1013(
    settings: Settings, clean_stores: None
) -> None:
    assert settings.postgres_url is not None
    url = through(settings.postgres_url, free_port())
    async with running(settings, database_url=url) as (app, _), listening(app) as port:
        async with socket(port) as one:
            await one.send(
                {**INIT, "payload": {"authorization": f"Bearer {access_token(settings, new_id(), new_id())}"}}
            )
            code, reason = await one.closed()
        async with socket(port) as anonymous:  # of whom nothing has to be known
            await anonymous.begin()
            assert await anonymous.execute("{ __typename }") == {"__typename": "Query"}

    assert (code, reason) == (1013, "PostgreSQL is not available; try again later.")


async def test_a_bug_ends_the_socket_with_4500(begun: GraphQLSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(id: str, content: bytes) -> bytes:
        raise RuntimeError("a secret")

    monkeypatch.setattr(messages, "next_result", broken)
    with structlog.testing.capture_logs() as logs:
        await begun.subscribe("one", "{ __typename }")
        assert await begun.closed() == (4500, "Internal error")

    assert [str(line["exc_info"]) for line in logs if line["event"] == "internal error"] == ["a secret"]


@pytest.mark.parametrize(
    ("origin", "comes_in"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1:{port}", True),
        ("https://shop.example.com", True),
        ("https://evil.example.com", False),
        ("null", False),
        ("http://localhost.evil.example.com", False),
    ],
)
async def test_pages_of_other_origins_get_no_socket(
    settings: Settings, clean_stores: None, origin: str, comes_in: bool
) -> None:
    origins = "localhost,https://shop.example.com"
    async with running(settings, cors_origins=origins) as (app, _), listening(app) as port:
        headers = {"origin": origin.format(port=port)}
        if comes_in:
            async with socket(port, headers) as one:
                await one.begin()
            return
        with pytest.raises(InvalidStatus) as refused:
            async with socket(port, headers):
                pass
        assert refused.value.response.status_code == 403


async def test_a_name_that_is_not_ours_gets_no_socket(port: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket(port, {"host": "evil.example.com"}):
            pass

    assert refused.value.response.status_code == 421


async def test_other_paths_have_no_sockets(port: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket(port, path="/more"):
            pass

    assert refused.value.response.status_code == 403


async def test_operations_of_a_socket_are_charged(settings: Settings, clean_stores: None) -> None:
    """A document of seven points is run until nothing is left of the quota."""
    app_of = running(settings, rate_limit_address="20/hour")
    async with app_of as (app, _), listening(app) as port, socket(port) as one:
        await one.begin()
        for _ in range(2):
            await one.execute("{ catalogItems(first: 5) { nodes { id } } }")
        await one.subscribe("more", "{ catalogItems(first: 20) { nodes { id } } }")
        refused = await one.receive()

    assert (refused["id"], refused["type"]) == ("more", "error")
    assert [error["extensions"]["code"] for error in refused["payload"]] == ["RATE_LIMITED"]


async def test_answers_wait_for_a_client_that_does_not_read(settings: Settings, clean_stores: None) -> None:
    """And no more is begun meanwhile: what waits is bounded, and comes once it reads."""
    query = "{" + " ".join("a" * 100 + f"{field}: __typename" for field in range(20)) + "}"
    number = 500
    app_of = running(settings, max_socket_queue=1000, max_socket_operations=number)
    async with app_of as (app, _), listening(app) as port, socket(port) as one:
        await one.begin()
        sending = asyncio.create_task(one.send(*(subscribe(str(each), query) for each in range(number))))
        ended = 0
        while ended < number:
            ended += (await one.receive())["type"] == "complete"
        await sending
