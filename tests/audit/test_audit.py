"""The audit log: what the triggers write, and the one list that admins read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from bson import ObjectId
from sqlalchemy import text
from starlette.applications import Starlette

import models
from api.accounts.auth import Auth
from api.config.settings import Settings
from api.fields.context import Context
from api.ids import encode_id
from api.rights.viewer import Viewer
from api.schema import DOMAINS
from api.stores.stores import Stores
from api.writing.write_block import write_block
from documents.last_change import first_change
from models import new_id
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, insert_design
from tests.support.factories.users import create_user, users
from tests.support.graphql import error_of, execute, gid, is_empty, sent
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

ENTRY = "id at kind operation recordId oldValues newValues actorId requestId version"
PAGE = f"""
query ($first: Int, $after: String, $last: Int, $before: String, $filter: AuditLogFilter) {{
  auditLog(first: $first, after: $after, last: $last, before: $before, filter: $filter) {{
    nodes {{ {ENTRY} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
  }}
}}
"""
COUNT = "query ($filter: AuditLogFilter) { auditLog(filter: $filter) { totalCount } }"
SECRET = "$argon2id$a-hash"


async def run(stores: Stores, statement: str, **parameters: Any) -> list[Any]:
    """The rows that raw SQL returns (none where it returns none), committed."""
    async with stores.sessions.begin() as session:
        result = await session.execute(text(statement), parameters)
        return list(result.all()) if result.returns_rows else []  # type: ignore[attr-defined]


async def log(stores: Stores) -> list[Any]:
    """All rows of the log, the oldest first."""
    return await run(stores, "SELECT * FROM audit.audit_log ORDER BY at, id")


CREATED = {
    "shared.users": "INSERT INTO shared.users (id, email, password_hash) VALUES (:id, 'a@b.c', :secret)",
    "avatar.avatars": "INSERT INTO avatar.avatars (id, user_id, name) SELECT :id, id, :secret FROM shared.users",
    "catalog.catalog_items": "INSERT INTO catalog.catalog_items (id, name, type) VALUES (:id, :secret, 'fabric')",
}


WRITTEN_BY_HAND = pytest.mark.undistributed(
    "who changes distributed avatars by hand is refused: tests/stores/distribution/test_audit_log.py"
)


@pytest.mark.parametrize(
    "table", [pytest.param(name, marks=WRITTEN_BY_HAND if name == "avatar.avatars" else ()) for name in CREATED]
)
async def test_every_kind_of_change_is_written_for_raw_sql_too(stores: Stores, table: str) -> None:
    # given
    if table == "avatar.avatars":
        await create_user(stores)
    await run(stores, "DELETE FROM audit.audit_log")
    id, column = new_id(), "first_name" if table == "shared.users" else "name"

    # when
    await run(stores, CREATED[table], id=id, secret="x")
    await run(stores, f"UPDATE {table} SET {column} = 'Eve'")
    await run(stores, f"UPDATE {table} SET deleted_at = now()")
    await run(stores, f"DELETE FROM {table}")

    # then
    entries = await log(stores)
    assert [entry.operation for entry in entries] == ["INSERT", "UPDATE", "UPDATE", "DELETE"]
    assert {(entry.table_name, entry.record_id) for entry in entries} == {(table, id)}
    assert {(entry.actor_id, entry.request_id) for entry in entries} == {(None, None)}
    shown = {column.name for column in models.Base.metadata.tables[table].columns} - {"password_hash"}
    created, renamed, deleted, removed = entries
    assert created.old_values is None
    assert set(created.new_values) == shown
    assert created.new_values["id"] == str(id)
    assert renamed.old_values == created.new_values
    assert renamed.new_values[column] == "Eve"
    assert (deleted.old_values["deleted_at"], removed.new_values) == (None, None)
    assert deleted.new_values["deleted_at"] is not None
    assert removed.old_values == deleted.new_values


async def test_a_change_of_nothing_leaves_no_entry(stores: Stores) -> None:
    user = await create_user(stores)
    await run(stores, "UPDATE shared.users SET first_name = first_name")
    await run(stores, "UPDATE shared.users SET updated_at = now() + interval '1 day'")
    assert [(entry.operation, entry.record_id) for entry in await log(stores)] == [("INSERT", user.id)]


async def test_a_change_of_password_shows_without_the_password(stores: Stores) -> None:
    await create_user(stores, password_hash="first " + SECRET)
    await run(stores, "UPDATE shared.users SET password_hash = :secret", secret=SECRET)
    await run(stores, "DELETE FROM shared.users")
    entries = await log(stores)
    assert [entry.operation for entry in entries] == ["INSERT", "UPDATE", "DELETE"]
    assert entries[1].new_values["password_changed"] is True
    assert "password_changed" not in entries[1].old_values
    written = orjson.dumps([list(entry) for entry in entries], default=str).decode()
    assert SECRET not in written
    assert "password_hash" not in written


async def test_columns_of_an_adopted_table_stay_out(stores: Stores) -> None:
    await run(stores, 'ALTER TABLE shared.users ADD "resetToken" text')
    try:
        user = await create_user(stores)
        await run(stores, "UPDATE shared.users SET \"resetToken\" = 'secret'")
        [entry] = await log(stores)
        assert (entry.operation, entry.record_id) == ("INSERT", user.id)
        assert "resetToken" not in entry.new_values
    finally:
        await run(stores, 'ALTER TABLE shared.users DROP "resetToken"')


async def test_every_row_of_one_statement_has_its_entry(stores: Stores) -> None:
    owner = await create_user(stores)
    first, second = await create_avatar(stores, user_id=owner.id), await create_avatar(stores, user_id=owner.id)
    await run(stores, "DELETE FROM audit.audit_log")
    await run(stores, "DELETE FROM shared.users")  # takes the avatars along
    assert {(entry.operation, entry.record_id) for entry in await log(stores)} == {
        ("DELETE", owner.id),
        ("DELETE", first.id),
        ("DELETE", second.id),
    }


async def test_what_is_rolled_back_leaves_no_entry(stores: Stores) -> None:
    async with stores.sessions() as session:
        await session.execute(text("INSERT INTO shared.users (email, password_hash) VALUES ('a@b.c', 'x')"))
        await session.rollback()
    assert await log(stores) == []


async def test_a_write_block_says_who_and_by_which_request(stores: Stores, settings: Settings) -> None:
    admin = await create_user(stores, role="admin")
    await run(stores, "DELETE FROM audit.audit_log")
    context = Context(stores, settings, "request-7", DOMAINS, Auth(settings), Viewer(admin.id, "admin"))
    async with write_block(context) as session:
        await users(stores).within(session).update(admin.id, {"first_name": "Eve"})
    [entry] = await log(stores)
    assert (entry.actor_id, entry.request_id) == (admin.id, "request-7")
    # and nothing of it stays with the connection
    await users(stores).update(admin.id, {"first_name": "Ada"})
    assert [(e.actor_id, e.request_id) for e in await log(stores)][1:] == [(None, None)]


async def test_nobody_can_forge_an_entry_by_a_trigger_of_their_own(stores: Stores) -> None:
    await run(stores, "CREATE ROLE forger")
    try:
        async with stores.sessions.begin() as session:
            await session.execute(text("SET LOCAL ROLE forger"))
            await session.execute(text("CREATE TEMP TABLE users (id uuid)"))
            with pytest.raises(Exception, match=r"permission denied for (schema audit|function record_change)"):
                await session.execute(
                    text("CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION audit.record_change()")
                )
    finally:
        await run(stores, "DROP ROLE forger")


# the list that admins read


async def insert_revision(stores: Stores, design_id: ObjectId, version: int, at: datetime, **values: Any) -> None:
    written = {"number": 0, "operation": "INSERT" if version == 1 else "UPDATE"}
    revision: dict[str, Any] = {"designId": design_id, "version": version, "at": at, **written}
    revision |= {"name": f"v{version}", "layers": []}
    await stores.database["design_revisions"].insert_one(revision | values)


async def populate(stores: Stores) -> dict[str, Any]:
    """Changes in both stores, several of them at the same moment; who made them, and of what."""
    actor = await create_user(stores)
    await run(stores, "DELETE FROM audit.audit_log")
    item = await create_catalog_item(stores)
    avatar = await create_avatar(stores, user_id=actor.id)
    await avatars(stores).update(avatar.id, {"name": "Other"})
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for number, row in enumerate(await log(stores)):  # within one millisecond of each other, and of the versions
        at = moment + timedelta(microseconds=500 * number)
        await run(
            stores,
            "UPDATE audit.audit_log SET at = :at, actor_id = :actor, request_id = 'sql' WHERE id = :id",
            at=at,
            actor=actor.id,
            id=row.id,
        )
    designs = []
    for number in range(3):
        at = moment + timedelta(milliseconds=number)
        change = first_change(number + 1, at, str(actor.id), "doc")
        id = await insert_design(stores, name=f"v{number + 1}", version=number + 1, updatedAt=at, change=change)
        designs.append(id)
        for version in range(1, number + 1):
            await insert_revision(stores, id, version, moment, actorId=str(actor.id), requestId=f"doc {version}")
    return {"actor": actor, "item": item, "avatar": avatar, "designs": designs, "moment": moment}


@pytest.fixture
async def admin(client: httpx.AsyncClient, app: Starlette) -> httpx.AsyncClient:
    """A client of an admin, whose own account is not in the log."""
    mine, _ = await signed_in(client, app.state.stores, "admin")
    await run(app.state.stores, "DELETE FROM audit.audit_log")
    return mine


async def everything(client: httpx.AsyncClient, **arguments: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await execute(client, PAGE, first=100, **arguments))["auditLog"]["nodes"]
    return found


async def test_both_stores_are_one_list_the_newest_first(admin: httpx.AsyncClient, app: Starlette) -> None:
    # given
    stores: Stores = app.state.stores
    made = await populate(stores)
    first, second, third = made["designs"]

    # when
    entries = await everything(admin)

    # then
    actor = gid(made["actor"])
    assert [(entry["at"][17:-6], entry["kind"], entry["operation"], entry["version"]) for entry in entries] == [
        ("00.002000", "DESIGN", "UPDATE", 3),
        *([("00.001000", "DESIGN", "UPDATE", 2), ("00.001000", "AVATAR", "UPDATE", None)]),
        ("00.000500", "AVATAR", "INSERT", None),
        ("00", "DESIGN", "UPDATE", 2),
        ("00", "DESIGN", "INSERT", 1),
        ("00", "DESIGN", "INSERT", 1),
        ("00", "DESIGN", "INSERT", 1),
        ("00", "CATALOG_ITEM", "INSERT", None),
    ]
    ids = [encode_id("Design", id) for id in (third, second, third, third, second, first)]
    assert [entry["recordId"] for entry in entries if entry["kind"] == "DESIGN"] == ids
    assert {entry["actorId"] for entry in entries} == {actor}
    assert entries[0]["newValues"] == {"name": "v3", "status": "draft"}
    assert entries[0]["oldValues"] == {"name": "v2", "layers": []}
    assert entries[0]["requestId"] == "doc"
    assert entries[4]["requestId"] == "doc 2"
    assert entries[2]["oldValues"]["name"] == "Standing"
    assert entries[2]["newValues"]["name"] == "Other"
    assert entries[2]["recordId"] == gid(made["avatar"])
    assert len({entry["id"] for entry in entries}) == 9


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 9, 10])
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
async def test_pages_put_together_are_the_list(
    admin: httpx.AsyncClient, app: Starlette, size: int, backwards: bool
) -> None:
    # given
    await populate(app.state.stores)
    whole = await everything(admin)
    assert len(whole) == 9

    # when
    pages: list[list[dict[str, Any]]] = []
    cursor, more = None, True
    while more:
        arguments = {"last": size, "before": cursor} if backwards else {"first": size, "after": cursor}
        found = (await execute(admin, PAGE, **arguments))["auditLog"]
        pages.append(found["nodes"])
        info = found["pageInfo"]
        cursor = info["startCursor" if backwards else "endCursor"]
        more = info["hasPreviousPage" if backwards else "hasNextPage"]
        assert len(pages) < 20

    # then
    assert [len(page) for page in pages] == [size] * (9 // size) + ([9 % size] if 9 % size else [])
    assert [entry for page in (reversed(pages) if backwards else pages) for entry in page] == whole


async def test_a_version_keeps_its_place_when_it_is_replaced(admin: httpx.AsyncClient, app: Starlette) -> None:
    # given
    stores: Stores = app.state.stores
    made = await populate(stores)
    design = made["designs"][2]
    before = await everything(admin)
    page = (await execute(admin, PAGE, first=1))["auditLog"]
    assert page["nodes"][0]["recordId"] == encode_id("Design", design)

    # when: version 3 becomes a revision, and is in both collections for a moment
    at = made["moment"] + timedelta(milliseconds=2)
    await insert_revision(stores, design, 3, at, actorId=str(made["actor"].id), requestId="doc")
    assert [entry["id"] for entry in await everything(admin)] == [entry["id"] for entry in before]
    later = at + timedelta(seconds=1)
    change = first_change(4, later, None, None)
    await stores.database.designs.update_one(
        {"_id": design}, {"$set": {"version": 4, "updatedAt": later, "change": change}}
    )

    # then
    rest = await everything(admin, after=page["pageInfo"]["endCursor"])
    assert [entry["id"] for entry in page["nodes"] + rest] == [entry["id"] for entry in before]
    assert (await execute(admin, PAGE, first=1))["auditLog"]["nodes"][0]["version"] == 4


FILTERS: list[tuple[str, int]] = [
    ("{}", 9),
    ("{kind: DESIGN}", 6),
    ("{kind: [AVATAR, CATALOG_ITEM]}", 3),
    ("{kind: USER}", 0),
    ("{not: {kind: DESIGN}}", 3),
    ("{operation: INSERT}", 5),
    ("{operation: UPDATE}", 4),
    ("{operation: DELETE}", 0),
    ("{operation: [INSERT, UPDATE]}", 9),
    ("{kind: DESIGN, operation: UPDATE}", 3),
    ("{not: {operation: UPDATE}}", 5),
    ("{record: $avatar}", 2),
    ("{record: $design}", 3),
    ("{record: [$avatar, $design]}", 5),
    ("{not: {record: $design}}", 6),
    ("{actor: $actor}", 9),
    ("{actor: $nobody}", 0),
    ("{or: [{actor: $nobody}, {kind: AVATAR}]}", 2),
    ('{requestId: ["sql", "doc 2"]}', 4),
    ('{at: {gte: "2026-01-01T12:00:00.001Z"}}', 3),
    ('{at: {gt: "2026-01-01T12:00:00.001Z"}}', 1),
    ('{at: {lt: "2026-01-01T12:00:00.0005Z"}}', 5),
    ('{at: {lte: "2026-01-01T12:00:00.0005Z"}}', 6),
    ('{at: {gt: "2026-01-01T12:00:00.0002Z"}}', 4),
    ('{not: {at: {gt: "2026-01-01T12:00:00.0002Z"}}}', 5),
    ("{and: [{kind: DESIGN}, {kind: AVATAR}]}", 0),
]


@pytest.mark.parametrize(("filter", "expected"), FILTERS, ids=[filter for filter, _ in FILTERS])
async def test_filters(admin: httpx.AsyncClient, app: Starlette, filter: str, expected: int) -> None:
    made = await populate(app.state.stores)
    ids = {
        "actor": gid(made["actor"]),
        "nobody": encode_id("User", new_id()),
        "avatar": gid(made["avatar"]),
        "design": encode_id("Design", made["designs"][2]),
    }
    for name, id in ids.items():
        filter = filter.replace(f"${name}", f'"{id}"')
    query = f"{{ auditLog(first: 50, filter: {filter}) {{ totalCount nodes {{ id }} }} }}"
    found = (await execute(admin, query))["auditLog"]
    assert (len(found["nodes"]), found["totalCount"]) == (expected, expected)


async def test_records_and_actors_are_resolved(admin: httpx.AsyncClient, app: Starlette) -> None:
    stores: Stores = app.state.stores
    made = await populate(stores)
    await run(stores, "DELETE FROM catalog.catalog_items")
    query = """{ auditLog(filter: {not: {operation: UPDATE}}) { nodes {
      kind actor { email } record { id ... on Avatar { name } ... on Design { name } } } } }"""
    with sent(app) as counted:
        nodes = (await execute(admin, query))["auditLog"]["nodes"]
    found = {(node["kind"], (node["record"] or {}).get("name")) for node in nodes}
    assert found == {("AVATAR", "Other"), ("DESIGN", "v1"), ("DESIGN", "v2"), ("DESIGN", "v3"), ("CATALOG_ITEM", None)}
    assert [node["actor"] for node in nodes if node["actor"]] == [{"email": made["actor"].email}] * 5
    # the three lists, actors, and one command or statement for each type of record, whatever the number
    assert counted.mongo == 3
    assert len(counted.sql) <= 1 + 1 + 2 + 1


async def test_it_costs_what_is_asked_for(admin: httpx.AsyncClient, app: Starlette) -> None:
    await populate(app.state.stores)
    await execute(admin, COUNT)
    with sent(app) as listed:
        await execute(admin, "{ auditLog { nodes { id } } }")
    with sent(app) as counted:
        await execute(admin, COUNT)
    with sent(app) as filtered:
        await execute(admin, "{ auditLog(filter: {kind: AVATAR}) { nodes { id } } }")
    assert listed.counts == (2, 1)
    assert counted.counts == (2, 1)
    assert filtered.counts == (0, 1)
    assert "old_values" not in listed.sql[0]


@pytest.mark.parametrize("role", ["user", "premium", "brand"])
async def test_others_are_forbidden(client: httpx.AsyncClient, app: Starlette, role: str) -> None:
    mine, _ = await signed_in(client, app.state.stores, role)
    assert (await error_of_denied(mine, PAGE)) == "FORBIDDEN"


async def test_nobody_is_unauthenticated(client: httpx.AsyncClient) -> None:
    assert (await error_of_denied(client, PAGE)) == "UNAUTHENTICATED"


async def error_of_denied(client: httpx.AsyncClient, query: str) -> str:
    body = (await client.post("/graphql", json={"query": query})).json()
    assert is_empty(body)
    [error] = body["errors"]
    code: str = error["extensions"]["code"]
    return code


async def test_bad_cursors_and_ids_are_refused(admin: httpx.AsyncClient, app: Starlette) -> None:
    await populate(app.state.stores)
    cursor = (await execute(admin, PAGE, first=1))["auditLog"]["pageInfo"]["endCursor"]
    assert await error_of(admin, PAGE, after="x") == ("BAD_CURSOR", "This is not a valid cursor.")
    code, message = await error_of(admin, PAGE, after=cursor, filter={"kind": "DESIGN"})
    assert (code, message[:34]) == ("BAD_CURSOR", "The cursor was made in another lis")
    assert (await error_of(admin, PAGE, filter={"record": "x"})) == ("BAD_ID", "This is not a valid id.")
    avatar = gid(await create_avatar(app.state.stores))
    assert (await error_of(admin, PAGE, filter={"actor": avatar}))[0] == "BAD_ID"
    assert (await error_of(admin, PAGE, first=101))[0] == "BAD_USER_INPUT"


async def test_a_design_of_today_is_in_the_list(admin: httpx.AsyncClient, app: Starlette) -> None:
    design = await create_design(app.state.stores, name="Evening")
    [entry] = await everything(admin)
    assert (entry["recordId"], entry["operation"], entry["version"]) == (encode_id("Design", design.id), "INSERT", 1)
    assert entry["newValues"]["name"] == "Evening"
    assert (entry["oldValues"], entry["actorId"], entry["requestId"]) == (None, None, None)


async def test_a_change_through_the_api_shows_with_its_request(admin: httpx.AsyncClient, app: Starlette) -> None:
    stores: Stores = app.state.stores
    user = await create_user(stores)
    mutation = """mutation ($id: ID!) {
      deactivateUser(input: {id: $id}) { user { isActive } errors { code } } }"""
    response = await admin.post("/graphql", json={"query": mutation, "variables": {"id": gid(user)}})
    assert response.json()["data"]["deactivateUser"]["errors"] == []
    query = "{ auditLog(first: 1) { nodes { operation newValues requestId actor { role } record { id } } } }"
    [entry] = (await execute(admin, query))["auditLog"]["nodes"]
    assert entry["newValues"]["is_active"] is False
    assert entry["requestId"] == response.headers["x-request-id"]
    assert (entry["operation"], entry["actor"], entry["record"]) == ("UPDATE", {"role": "ADMIN"}, {"id": gid(user)})
