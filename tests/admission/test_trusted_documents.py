"""Documents by identifier: the register, hashes of clients, and the modes off, log and enforce."""

from __future__ import annotations

import hashlib
import socket
from typing import Any

import httpx
import pytest
import structlog
from anyio import lowlevel
from pydantic import SecretStr

from api.admission.trusted import register, store
from api.admission.trusted.clients import ClientDocuments
from api.admission.trusted.identifiers import identifier_of
from api.admission.trusted.store import Entry
from api.config.settings import Settings
from api.stores.stores import Stores, open_stores
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import sent
from tests.support.signing_in import signed_in
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

NAMES = "query Names { catalogItems { nodes { name } } }"
COUNT = "query Count($first: Int) { catalogItems(first: $first) { totalCount } }"
TYPENAME = "{ __typename }"
NOT_FOUND = {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
NOT_TRUSTED = {
    "message": "Only registered documents are run here, and this is none of them.",
    "extensions": {"code": "DOCUMENT_NOT_TRUSTED"},
}


def hash_of(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


def persisted(document: str, **more: Any) -> dict[str, Any]:
    """A request of Apollo's client for a document by its hash."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_of(document)}}, **more}


async def add(stores: Stores, *documents: str, identifier: str | None = None) -> None:
    """Register documents under their hashes, or one under an identifier."""
    entries = [Entry(identifier or identifier_of(document), document, "") for document in documents]
    async with stores.sessions.begin() as transaction:
        await store.add(transaction, entries)


async def post(client: httpx.AsyncClient, **body: Any) -> tuple[int, Any]:
    """Status and body of a request."""
    response = await client.post("/graphql", json=body)
    return response.status_code, response.json()


async def get(client: httpx.AsyncClient, **parameters: str) -> tuple[int, Any]:
    """Status and body of a request by GET."""
    response = await client.get("/graphql", params=parameters, headers={"accept": "application/json"})
    return response.status_code, response.json()


def test_the_identifier_is_that_of_the_specification() -> None:
    document = "query ($id: ID!) {\n  user(id: $id) {\n    name\n  }\n}"

    assert identifier_of(document) == "sha256:7dba4bd717b41f10434822356a93c32b1fb4907b983e854300ad839f84cdcd6e"


@pytest.mark.parametrize("mode", ["off", "log", "enforce"])
async def test_a_registered_document_runs_by_its_identifier(settings: Settings, stores: Stores, mode: str) -> None:
    await create_catalog_item(stores, name="Silk")
    await add(stores, NAMES, COUNT)
    await add(stores, NAMES, identifier="b8e0a1d4c0ffee00b8e0a1d4c0ffee00")  # MD5, as of Relay's manifests
    names = {"data": {"catalogItems": {"nodes": [{"name": "Silk"}]}}}

    async with running(settings, trusted_documents=mode) as (_, client):
        for identifier in (identifier_of(NAMES), hash_of(NAMES), "b8e0a1d4c0ffee00b8e0a1d4c0ffee00"):
            assert await post(client, documentId=identifier) == (200, names)
            assert await get(client, documentId=identifier) == (200, names)
        assert await post(client, **persisted(NAMES)) == (200, names)
        counted = await post(client, documentId=identifier_of(COUNT), variables={"first": 101}, operationName="Count")
        assert counted[1]["errors"][0]["path"] == ["catalogItems"]
        # the text of a registered document is as good as its identifier
        assert await post(client, query=NAMES) == (200, names)
        assert await post(client, query=NAMES, **persisted(NAMES)) == (200, names)


async def test_a_document_that_is_known_costs_no_statement(
    settings: Settings, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "CHECKED", 600.0)  # the machine may be busy
    await add(stores, TYPENAME)
    async with running(settings, trusted_documents="enforce") as (app, client):
        with sent(app) as first:
            assert await post(client, documentId=identifier_of(TYPENAME)) == (200, {"data": {"__typename": "Query"}})
        with sent(app) as later:
            for body in ({"documentId": identifier_of(TYPENAME)}, {"query": TYPENAME}, persisted(TYPENAME)):
                assert await post(client, **body) == (200, {"data": {"__typename": "Query"}})
    assert first.counts == (0, 1)
    assert later.counts == (0, 0)


async def test_an_unknown_identifier_is_not_found(
    settings: Settings, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "MISSED", 600.0)  # the machine may be busy
    async with running(settings) as (app, client):
        with sent(app) as counted:
            for body in ({"documentId": identifier_of(NAMES)}, persisted(NAMES)):
                # application/json is what Apollo's clients of old expect with 200
                assert await post(client, **body) == (200, {"errors": [NOT_FOUND]})
                modern = await client.post(
                    "/graphql", json=body, headers={"accept": "application/graphql-response+json"}
                )
                assert (modern.status_code, modern.json()) == (404, {"errors": [NOT_FOUND]})
    assert counted.counts == (0, 1)  # it is looked up once in that time


async def test_a_registration_and_a_removal_are_seen_without_a_restart(
    settings: Settings, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def until(client: httpx.AsyncClient, expected: tuple[int, Any]) -> None:
        while await post(client, documentId=identifier_of(TYPENAME)) != expected:
            await pause()  # a client without a socket leaves no time for what runs in the background

    monkeypatch.setattr(register, "CHECKED", 0.05)
    monkeypatch.setattr(register, "MISSED", 0.05)
    missing, there = (200, {"errors": [NOT_FOUND]}), (200, {"data": {"__typename": "Query"}})
    async with running(settings, trusted_documents="enforce") as (_, client):
        assert await post(client, documentId=identifier_of(TYPENAME)) == missing
        await add(stores, TYPENAME)
        await until(client, there)
        async with stores.sessions.begin() as transaction:
            assert await store.remove(transaction, [identifier_of(TYPENAME)]) == {identifier_of(TYPENAME)}
        await until(client, missing)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"documentId": 1}, "documentId must be a text."),
        ({"documentId": identifier_of(NAMES), "query": NAMES}, "Send documentId or query, not both."),
        ({"extensions": {"persistedQuery": 1}}, "persistedQuery must be an object of version 1."),
        ({"extensions": {"persistedQuery": {"version": 2}}}, "persistedQuery must be an object of version 1."),
        (
            {"extensions": {"persistedQuery": {"version": 1}}},
            "persistedQuery must have a sha256Hash of 64 hexadecimal digits.",
        ),
        (
            {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "b8e0a1d4c0ffee00b8e0a1d4c0ffee00"}}},
            "persistedQuery must have a sha256Hash of 64 hexadecimal digits.",
        ),
        (persisted(NAMES, query=COUNT), "sha256Hash is not the hash of query."),
    ],
)
async def test_what_names_no_document_is_refused(client: httpx.AsyncClient, body: Any, message: str) -> None:
    error = {"message": message, "extensions": {"code": "BAD_REQUEST"}}
    assert await post(client, **body) == (400, {"errors": [error]})
    assert await post(client, **persisted(NAMES)) == (200, {"errors": [NOT_FOUND]})  # nothing was kept


@pytest.mark.parametrize(
    "identifier", ["sha256:", "sha256:" + "g" * 64, "md5:" + "0" * 32, "a b", "a" * 201, "x-:a", "é"]
)
async def test_an_identifier_has_a_form(client: httpx.AsyncClient, identifier: str) -> None:
    status, body = await post(client, documentId=identifier)

    assert (status, body["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")
    assert body["errors"][0]["message"].startswith("A document's identifier is sha256: with 64 hexadecimal digits")


async def test_a_client_registers_by_query_and_hash(client: httpx.AsyncClient) -> None:
    there = (200, {"data": {"__typename": "Query"}})
    assert await post(client, **persisted(TYPENAME)) == (200, {"errors": [NOT_FOUND]})
    assert await post(client, query=TYPENAME, **persisted(TYPENAME)) == there
    assert await post(client, **persisted(TYPENAME)) == there
    by_get = f'{{"persistedQuery":{{"version":1,"sha256Hash":"{hash_of(TYPENAME)}"}}}}'
    assert await get(client, extensions=by_get) == there
    # the hash of a client is no document of the operator's
    assert await post(client, documentId=identifier_of(TYPENAME)) == (200, {"errors": [NOT_FOUND]})


async def test_without_room_clients_are_told_to_send_texts(settings: Settings, clean_stores: None) -> None:
    async with running(settings, client_documents_size=0) as (_, client):
        assert (await post(client, query=TYPENAME, **persisted(TYPENAME)))[0] == 200
        status, body = await post(client, **persisted(TYPENAME))
    error = {"message": "PersistedQueryNotSupported", "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"}}
    assert (status, body) == (200, {"errors": [error]})


def test_what_clients_register_is_bounded_in_bytes() -> None:
    kept = ClientDocuments(10)
    kept.keep("a", "aaaa")
    kept.keep("b", "ééé")  # 6 bytes
    assert kept.find("a") == "aaaa"
    kept.keep("c", "c")  # b was not asked for longest
    assert [kept.find(name) for name in "abc"] == ["aaaa", None, "c"]
    kept.keep("d", "d" * 11)
    assert [kept.find(name) for name in "acd"] == ["aaaa", "c", None]
    kept.keep("e", "e" * 10)
    assert [kept.find(name) for name in "ace"] == [None, None, "e" * 10]
    assert len(kept) == 1


async def test_enforced_only_registered_documents_run(settings: Settings, stores: Stores) -> None:
    await add(stores, NAMES)
    change = "mutation { signOut { errors { code } } }"
    async with running(settings, trusted_documents="enforce") as (_, client):
        for query in (TYPENAME, NAMES + " ", change):
            assert await post(client, query=query) == (403, {"errors": [NOT_TRUSTED]})
            assert await post(client, query=query, **persisted(query)) == (403, {"errors": [NOT_TRUSTED]})
            # and that has registered nothing
            assert await post(client, **persisted(query)) == (200, {"errors": [NOT_FOUND]})
        assert await get(client, query=TYPENAME) == (403, {"errors": [NOT_TRUSTED]})
        assert (await post(client, query=NAMES))[0] == 200


async def test_the_mode_log_names_each_document_once_and_runs_it(settings: Settings, stores: Stores) -> None:
    await add(stores, NAMES)
    async with running(settings, trusted_documents="log") as (_, client):
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):
                assert (await post(client, query=NAMES))[0] == 200
                assert (await post(client, query=COUNT))[1] == {"data": {"catalogItems": {"totalCount": 0}}}
                assert (await post(client, query=TYPENAME, **persisted(TYPENAME)))[0] == 200
                assert (await post(client, **persisted(TYPENAME)))[0] == 200
    assert [entry for entry in logs if entry["event"] != "request"] == [
        {
            "event": "untrusted document",
            "log_level": "warning",
            "identifier": identifier_of(COUNT),
            "operations": "Count",
        },
        {
            "event": "untrusted document",
            "log_level": "warning",
            "identifier": identifier_of(TYPENAME),
            "operations": "",
        },
    ]


async def test_a_batch_has_its_documents_each(settings: Settings, stores: Stores) -> None:
    await add(stores, TYPENAME)
    batch = [{"documentId": identifier_of(TYPENAME)}, {"query": COUNT}, persisted(COUNT)]
    async with running(settings, trusted_documents="enforce") as (_, client):
        response = await client.post("/graphql", json=batch)
    assert response.json() == [
        {"data": {"__typename": "Query"}},
        {"errors": [NOT_TRUSTED]},
        {"errors": [NOT_FOUND]},
    ]


async def test_a_registered_mutation_is_for_post(settings: Settings, stores: Stores) -> None:
    change = "mutation { signOut { errors { code } } }"
    await add(stores, change)
    async with running(settings, trusted_documents="enforce") as (_, client):
        status, body = await get(client, documentId=identifier_of(change))
        assert (status, body["errors"][0]["message"]) == (405, "Mutations are sent with POST.")
        assert (await post(client, documentId=identifier_of(change)))[0] == 200


async def test_while_postgresql_is_away_what_is_known_runs(
    settings: Settings, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "CHECKED", -1.0)  # with every request
    await add(stores, TYPENAME)
    there = (200, {"data": {"__typename": "Query"}})
    async with running(settings, trusted_documents="enforce") as (app, client):
        assert await post(client, documentId=identifier_of(TYPENAME)) == there
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # nobody listens there
            url = f"postgresql://postgres@127.0.0.1:{closed.getsockname()[1]}/nowhere"
            away = settings.model_copy(update={"database_url": SecretStr(url)})
            async with open_stores(away) as app.state.stores:
                for _ in range(3):
                    assert await post(client, documentId=identifier_of(TYPENAME)) == there
                    await lowlevel.checkpoint()
                status, body = await post(client, query=NAMES)
        assert (status, body["errors"][0]["extensions"]["code"]) == (503, "STORE_UNAVAILABLE")
        app.state.stores = stores
        assert await post(client, query=NAMES) == (403, {"errors": [NOT_TRUSTED]})
        assert await post(client, documentId=identifier_of(TYPENAME)) == there


async def test_a_mutation_by_identifier_runs_once_for_a_key(settings: Settings, stores: Stores) -> None:
    change = 'mutation { updateProfile(input: {firstName: "Ada"}) { user { firstName } } }'
    await add(stores, change)
    async with running(settings, trusted_documents="enforce") as (_, client):
        me, _ = await signed_in(client, stores, settings=settings)
        body, headers = {"documentId": identifier_of(change)}, {"idempotency-key": "a-key"}
        first = await me.post("/graphql", json=body, headers=headers)
        again = await me.post("/graphql", json=body, headers=headers)
    assert first.json() == {"data": {"updateProfile": {"user": {"firstName": "Ada"}}}}
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
