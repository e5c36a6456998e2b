"""Observers are told of each statement and command: what it was, who asked for it, and nothing of its values."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import bson
import httpx
import pytest
import structlog
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette

from api.config.settings import Settings
from api.stores.calls import Asker, Call, Calls, Observer, asking
from api.stores.coalescing import Coalescer
from api.stores.mongodb.observation import collection_of, documents_of, shape
from api.stores.postgres.observation import kind_and_table
from api.stores.stores import Stores
from documents import Design
from tests.support.applications import running
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid, sent
from tests.support.signing_in import signed_in
from tests.support.stores.answering import Store, busy, reader, turns
from tests.support.stores.observing import observing

pytestmark = pytest.mark.anyio

LIST = """query Looks { designs(first: 5) {
    nodes { name owner { firstName } avatar { name } layers { catalogItem { name } } } } }"""
ONE = "query One($id: ID!) { design(id: $id) { name owner { firstName } } }"


async def published(stores: Stores, name: str = "Gown") -> Design:
    user = await create_user(stores, first_name="Secretia")
    avatar = await create_avatar(stores, user_id=user.id)
    layers = [layer_of((await create_catalog_item(stores)).id, id="1")]
    return await create_design(
        stores, user_id=user.id, avatar_id=avatar.id, layers=layers, status="published", name=name
    )


async def test_each_call_says_what_it_was_and_who_asked(
    client: httpx.AsyncClient, app: Starlette, stores: Stores
) -> None:
    await published(stores)

    with observing(app.state.stores) as observed, structlog.testing.capture_logs() as logs:
        await execute(client, LIST)

    (line,) = [entry for entry in logs if entry["event"] == "request"]
    told = {
        (call.store, call.kind, call.target, call.rows, call.askers[0].loader, call.askers[0].fields, call.keys)
        for call in observed.of_requests
    }
    assert told == {
        ("MongoDB", "find", "designs", 1, "designs", ("Query.designs",), 1),
        ("PostgreSQL", "SELECT", "shared.users", 1, "user", ("Design.owner",), 1),
        ("PostgreSQL", "SELECT", "avatar.avatars", 1, "avatar", ("Design.avatar",), 1),
        ("PostgreSQL", "SELECT", "catalog.catalog_items", 1, "catalog_item", ("DesignLayer.catalogItem",), 1),
    }
    assert len(observed.of_requests) == line["sql"] + line["mongo"]
    for call in observed.of_requests:
        (asker,) = call.askers
        assert (asker.operation, asker.kind, asker.request_id) == ("Looks", "query", line["request_id"])
        assert asker.root.loader is None
        assert call.seconds > 0
        assert call.error is None
    assert dict.fromkeys(observed.batches) == dict(observed.ends)
    (owner,) = [batch for batch in observed.batches if batch.loader == "user"]
    assert "first_name" in owner.columns
    assert "email" not in owner.columns


async def test_nothing_is_hooked_in_where_nobody_observes(settings: Settings, clean_stores: None) -> None:
    async with running(settings, slow_statement=0.0) as (app, _):
        _is_hooked_in_while_somebody_observes(app.state.stores)


def _is_hooked_in_while_somebody_observes(stores: Stores) -> None:
    mongo: Any = stores.mongo
    engine = stores.engine.sync_engine

    def listeners() -> int:
        return len(engine.dispatch.after_cursor_execute)

    assert stores.statements._run == stores.statements._read
    assert mongo._run_read == mongo.run_directly
    assert listeners() == 0

    with observing(stores) as first, observing(stores):
        assert stores.statements._run != stores.statements._read
        assert mongo._run_read != mongo.run_directly
        assert listeners() == 1
        stores.calls.forget(first)
        assert listeners() == 1

    assert stores.statements._run == stores.statements._read
    assert mongo._run_read == mongo.run_directly
    assert listeners() == 0
    assert all(getattr(each, "observers", ()) == () for each in mongo.options.event_listeners)
    assert stores.coalescer is not None
    assert stores.coalescer._calls is None


async def test_writes_are_told_with_their_rows(client: httpx.AsyncClient, app: Starlette, stores: Stores) -> None:
    ada, _ = await signed_in(client, stores, "brand")

    with observing(app.state.stores) as observed:
        await execute(
            ada, 'mutation Make { createDesign(input: {name: "Hush hush"}) { design { id } errors { code } } }'
        )

    writes = [call for call in observed.of_requests if call.kind == "insert" and call.target == "designs"]
    assert [(call.store, call.rows, call.askers[0].kind) for call in writes] == [("MongoDB", 1, "mutation")]
    assert "Hush" not in "".join(call.text for call in observed.calls)
    assert '"name":"?"' in writes[0].text


@pytest.mark.executed_once
async def test_a_shared_read_has_all_who_asked(settings: Settings, stores: Stores) -> None:
    designs = [await published(stores, f"Gown {number}") for number in range(12)]

    async with running(settings) as (app, client):
        with observing(app.state.stores) as observed, sent(app) as costs:
            await asyncio.gather(*(execute(client, ONE, id=gid(design)) for design in designs))

    calls = observed.of_requests
    assert len(calls) == len(costs.sql) + costs.mongo < 2 * len(designs)
    shared = [call for call in calls if len(call.askers) > 1]
    assert shared
    for call in shared:
        assert len({asker.root.request_id for asker in call.askers}) == len(call.askers)
        assert {asker.loader for asker in call.askers} <= {"design", "user"}
        assert call.keys == len(call.askers)  # each asks for another object
        assert call.askers in observed.shares
    # everybody is named once for each of the two levels
    asked = [asker for call in calls for asker in call.askers]
    assert len(asked) == len(set(map(id, asked))) == 2 * len(designs)


async def test_equal_queries_say_who_is_answered_together(settings: Settings, stores: Stores) -> None:
    design = await published(stores)

    async with running(settings) as (app, client):
        with observing(app.state.stores) as observed:
            await asyncio.gather(*(execute(client, ONE, id=gid(design)) for _ in range(8)))

    (together,) = [askers for askers in observed.shares if askers[0].loader is None]
    assert len({asker.request_id for asker in together}) == len(together) > 1


async def test_failed_statements_are_told(app: Starlette, stores: Stores) -> None:
    with observing(stores) as observed:
        async with stores.engine.connect() as connection:
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT 1 / 0 FROM shared.users"))
            await connection.rollback()
            await connection.execute(text("SELECT id FROM shared.users"))
        with pytest.raises(Exception, match="nothing"):
            await stores.database.command({"nothing": "designs", "name": "Hush"})

    failed, well, command = [call for call in observed.calls if not call.askers and call.kind != "ping"]
    assert (failed.kind, failed.target, failed.rows) == ("SELECT", "shared.users", None)
    assert "division by zero" in str(failed.error)
    assert (well.rows, well.error) == (0, None)
    assert (command.kind, command.target, command.text) == ("nothing", "designs", '{"nothing":"designs","name":"?"}')
    assert str(command.error) == "CommandNotFound"


async def test_an_observer_that_fails_harms_nobody(client: httpx.AsyncClient, app: Starlette, stores: Stores) -> None:
    class Broken(Observer):
        def called(self, call: Call) -> None:
            raise RuntimeError("looked too closely")

    design, broken = await published(stores), Broken()
    app.state.stores.calls.observe(broken)
    try:
        with observing(app.state.stores) as observed, structlog.testing.capture_logs() as logs:
            data = await execute(client, ONE, id=gid(design))
    finally:
        app.state.stores.calls.forget(broken)

    assert data["design"]["name"] == "Gown"
    assert len(observed.of_requests) == 2
    assert {line["observer"] for line in logs if line["event"] == "observer failed"} == {"Broken"}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT users.id FROM shared.users WHERE users.id = $1", ("SELECT", "shared.users")),
        ('INSERT INTO "shared"."users" (id) VALUES ($1)', ("INSERT", "shared.users")),
        ("UPDATE ONLY shared.avatars SET name = 'a DELETE FROM x'", ("UPDATE", "shared.avatars")),
        ("DELETE FROM audit_log WHERE at < $1", ("DELETE", "audit_log")),
        ("WITH found AS (SELECT id FROM shared.users) UPDATE t SET a = 1 FROM found", ("UPDATE", "shared.users")),
        (
            "WITH wanted (id) AS (SELECT unnest($1)) SELECT * FROM wanted JOIN shared.users u ON u.id = wanted.id",
            ("SELECT", "shared.users"),
        ),
        ("SELECT * FROM unnest($1::uuid[]) AS k JOIN LATERAL (SELECT 1 FROM shared.avatars) x ON true",
         ("SELECT", "shared.avatars")),
        ("SELECT set_config('role', $1, true)", ("SELECT", None)),
        ("(SELECT 1) UNION (SELECT 2)", ("SELECT", None)),
        ("", ("", None)),
    ],
)  # fmt: skip
def test_a_statement_has_a_verb_and_a_table(sql: str, told: tuple[str, str | None]) -> None:
    assert kind_and_table(sql) == told


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            {"find": "designs", "filter": {"userId": "u", "tags": {"$in": ["a", "b"]}}, "limit": 3, "$db": "x"},
            '{"find":"designs","filter":{"userId":"?","tags":{"$in":"?"}},"limit":"?"}',
        ),
        (
            {"aggregate": "designs", "pipeline": [{"$match": {"_id": ObjectId()}}, {"$count": "n"}], "cursor": {}},
            '{"aggregate":"designs","pipeline":[{"$match":{"_id":"?"}},{"$count":"?"}],"cursor":{}}',
        ),
        (
            {
                "insert": "designs",
                "ordered": True,
                "documents": [{"name": "Hush", "config": {"mine": {"deep": 1}}}] * 2,
            },
            '{"insert":"designs","ordered":true,"documents":[{"name":"?","config":"?"},"..."]}',
        ),
        (
            {
                "update": "designs",
                "updates": [{"q": {"_id": 1}, "u": {"$set": {"config": {"mine": 1}}}, "multi": False}],
            },
            '{"update":"designs","updates":[{"q":{"_id":"?"},"u":{"$set":{"config":"?"}},"multi":false}]}',
        ),
        ({"getMore": 5, "collection": "designs"}, '{"getMore":"?","collection":"?"}'),
        ({}, '{"":"?"}'),
    ],
)
def test_a_command_is_told_without_its_values(command: dict[str, Any], told: str) -> None:
    assert shape(command) == told


def test_what_has_no_bottom_is_cut() -> None:
    deep: dict[str, Any] = {"$and": "Hush"}
    for _ in range(100):
        deep = {"$and": [deep]}

    assert "Hush" not in shape({"find": "designs", "filter": deep})
    assert len(shape({"find": "designs", "filter": deep})) < 500


def test_a_reply_says_how_many() -> None:
    raw = RawBSONDocument(bson.encode({"cursor": {"firstBatch": [{"a": 1}, {"a": 2}], "id": 0}}))
    assert documents_of(raw) == 2
    assert documents_of({"cursor": {"firstBatch": [{}, {}]}}) == 2
    assert documents_of({"cursor": {"nextBatch": [{}]}}) == 1
    assert documents_of({"n": 4, "ok": 1}) == 4
    assert documents_of({"value": None, "ok": 1}) == 0
    assert documents_of({"value": {"_id": 1}, "ok": 1}) == 1
    assert documents_of({"ok": 1}) is None
    assert collection_of({"getMore": 3, "collection": "designs"}) == "designs"
    assert collection_of({"ping": 1}) is None


async def test_readers_that_nobody_observes_are_counted() -> None:
    """An explained request may join a read of others, who were there before anybody observed."""
    calls, told = Calls(), []

    class Kept(Observer):
        def called(self, call: Call) -> None:
            told.append(call)

    class Telling(Store):
        async def read(self, keys: Sequence[Any]) -> Sequence[str]:
            values = await super().read(keys)
            calls.ended("PostgreSQL", ("SELECT", "t"), lambda: "SELECT", (0.0, 1.0), len(keys), None, "SELECT")
            return values

    coalescer, store, asker = Coalescer(calls), Telling(), Asker("a", loader="user", keys=1)
    calls.observe(Kept())
    first = await busy(coalescer, store)
    others = [reader(coalescer, store, key) for key in (10, 11)]
    token = asking.set((asker,))
    own = reader(coalescer, store, 11)
    asking.reset(token)  # tests have one context
    await turns()
    await store.answer(0, 1)
    await store.answer(2)
    await asyncio.gather(*first, *others, own)

    assert [(call.askers, call.keys, call.readers) for call in told] == [
        ((), None, 1),
        ((), None, 1),
        ((asker,), 2, 3),
    ]
