"""The second wall: the API is the same behind it, and a statement without its predicate reaches nothing foreign."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette

from api.accounts.auth import Auth
from api.config.settings import ConfigurationError, Settings
from api.fields.context import Context
from api.http.application import create_app
from api.ids import encode_id
from api.rights.identity import identity_of
from api.rights.viewer import ANONYMOUS, Viewer
from api.schema import DOMAINS
from api.stores.postgres.row_level_security import ROLE, Identity
from api.stores.stores import Stores, open_stores
from models import Base, User
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid, respond, sent
from tests.support.signing_in import client_of, signed_in, with_token
from tests.support.stores.distributed import UNRECORDED

pytestmark = pytest.mark.anyio


@pytest.fixture
async def walled(settings: Settings, clean_stores: None, anyio_backend: str) -> AsyncIterator[Starlette]:
    """The application with row-level security."""
    app = create_app(settings.model_copy(update={"row_level_security": True}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def stores(walled: Starlette) -> Stores:
    """The stores of that application, as the connected user."""
    stores: Stores = walled.state.stores
    return stores


@pytest.fixture
def client(walled: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=walled)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


def acting_as(stores: Stores, user: User | None, role: str | None = None) -> Stores:
    """The stores as a request of this account has them."""
    return stores.acting_as(Identity(str(user.id) if user else "", role or (user.role if user else ""), "request"))


async def run(stores: Stores, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """The rows that the statement returns (none where it returns none), committed."""
    async with stores.sessions.begin() as session:
        if stores.distribution.is_distributed:
            await session.execute(text(UNRECORDED))
        result = await session.execute(text(statement), parameters)
        return [tuple(row) for row in result.all()] if result.returns_rows else []  # type: ignore[attr-defined]


EVERYTHING = """
query ($user: ID!, $avatar: ID!, $design: ID!) {
  user(id: $user) { email firstName avatars { nodes { name } } }
  avatar(id: $avatar) { name measurements { height } owner { firstName email } }
  design(id: $design) { name owner { firstName email } avatar { name measurements { height } } }
  designs { totalCount nodes { name owner { firstName } avatar { name } layers { catalogItem { name } } } }
  catalogItems { totalCount nodes { name } }
}
"""
LISTS = ["{ users { totalCount nodes { email } } }", "{ avatars { totalCount nodes { name } } }"]


@pytest.mark.parametrize("viewer", ["owner", "stranger", "admin", "anonymous"])
async def test_reads_are_the_same_with_and_without_it(
    walled: Starlette, client: httpx.AsyncClient, stores: Stores, settings: Settings, viewer: str
) -> None:
    # given
    owner = await create_user(stores, first_name="Ada")
    avatar = await create_avatar(stores, user_id=owner.id, name="Standing", measurements={"height": 170})
    item = await create_catalog_item(stores, name="Silk")
    published = await create_design(
        stores, user_id=owner.id, avatar_id=avatar.id, status="published", layers=[layer_of(item.id)]
    )
    await create_design(stores, user_id=owner.id, avatar_id=avatar.id, name="Draft")
    ids = {"user": gid(owner), "avatar": gid(avatar), "design": gid(published)}
    account = None
    if viewer == "owner":
        account = owner
    elif viewer != "anonymous":
        account = await create_user(stores, role="admin" if viewer == "admin" else "user")

    # when
    bodies = []
    for on in (True, False):
        app = create_app(settings.model_copy(update={"row_level_security": on}))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            plain = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
            signed = plain if account is None else await client_of(plain, app.state.stores, account)
            bodies.append([await respond(signed, EVERYTHING, **ids)] + [await respond(signed, q) for q in LISTS])

    # then
    for error in (error for bodies_of in bodies for body in bodies_of for error in body.get("errors", ())):
        error["extensions"].pop("requestId", None)
    assert bodies[0] == bodies[1]
    seen = bodies[0][0]["data"]
    assert seen["design"]["owner"]["firstName"] == "Ada"
    assert seen["design"]["avatar"]["name"] == "Standing"
    knows = viewer in ("owner", "admin")
    assert seen["design"]["owner"]["email"] == (owner.email if knows else None)
    assert seen["designs"]["totalCount"] == (2 if knows else 1)


async def test_one_statement_says_who_acts_before_each_read(
    walled: Starlette, client: httpx.AsyncClient, stores: Stores
) -> None:
    mine, user = await signed_in(client, stores)
    query = "query ($id: ID!) { user(id: $id) { email } }"
    await execute(mine, query, id=gid(user))  # its session is remembered for a second
    with sent(walled) as counted:
        await execute(mine, query, id=gid(user))
    assert len(counted.sql) == 2
    first = "SELECT shared.act_as(" if stores.distribution.is_distributed else "SELECT set_config('role'"
    assert counted.sql[0].startswith(first)


async def mutate(client: httpx.AsyncClient, name: str, selection: str, /, **values: Any) -> dict[str, Any]:
    """The payload of a mutation that was carried out."""
    kind = f"{name[0].upper()}{name[1:]}Input"
    query = f"mutation ($input: {kind}!) {{ {name}(input: $input) {{ {selection} errors {{ code path }} }} }}"
    payload: dict[str, Any] = (await execute(client, query, input=values))[name]
    assert payload["errors"] == []
    return payload


async def test_accounts_and_what_is_theirs_are_written_as_without_it(client: httpx.AsyncClient, stores: Stores) -> None:
    password = "correct horse battery"
    await mutate(client, "signUp", "user { id }", email="eve@example.com", password=password)
    signed = await mutate(client, "signIn", "accessToken refreshToken", email="eve@example.com", password=password)
    signed = await mutate(client, "refreshSession", "accessToken", refreshToken=signed["refreshToken"])
    mine = with_token(client, signed["accessToken"])
    profile = await mutate(mine, "updateProfile", "user { firstName }", firstName="Eve")
    assert profile["user"] == {"firstName": "Eve"}
    avatar = await mutate(mine, "createAvatar", "avatar { id isDefault }", name="Standing")
    id = avatar["avatar"]["id"]
    renamed = await mutate(mine, "updateAvatar", "avatar { name }", id=id, name="Sitting")
    assert renamed["avatar"] == {"name": "Sitting"}
    design = await mutate(mine, "createDesign", "design { avatar { name } }", name="Evening", avatarId=id)
    assert design["design"] == {"avatar": {"name": "Sitting"}}
    await mutate(mine, "deleteAvatar", "avatar { id }", id=id)
    await mutate(mine, "restoreAvatar", "avatar { id }", id=id)
    await mutate(mine, "changePassword", "user { id }", currentPassword=password, newPassword=password + "!")

    admin, _ = await signed_in(client, stores, "admin")
    [(eve,)] = await run(stores, "SELECT id FROM shared.users WHERE email = 'eve@example.com'")
    user = encode_id("User", eve)
    assert (await mutate(admin, "setUserRole", "user { role }", id=user, role="BRAND"))["user"] == {"role": "BRAND"}
    await mutate(admin, "deleteUser", "user { id }", id=user)
    assert await run(stores, "SELECT count(*) FROM avatar.avatars WHERE deleted_at IS NULL") == [(0,)]
    await mutate(admin, "restoreUser", "user { id }", id=user)
    assert await run(stores, "SELECT name FROM avatar.avatars WHERE deleted_at IS NULL") == [("Sitting",)]


@pytest.mark.parametrize("mutation", ["updateAvatar", "deleteAvatar"])
async def test_avatars_of_others_are_refused_as_without_it(
    client: httpx.AsyncClient, stores: Stores, mutation: str
) -> None:
    avatar = await create_avatar(stores)
    mine, _ = await signed_in(client, stores)
    kind = f"{mutation[0].upper()}{mutation[1:]}Input"
    query = f"mutation ($input: {kind}!) {{ {mutation}(input: $input) {{ errors {{ code path }} }} }}"
    payload = (await execute(mine, query, input={"id": gid(avatar)}))[mutation]
    assert payload["errors"] == [{"code": "NOT_FOUND", "path": ["id"]}]
    rows = await run(stores, "SELECT name, deleted_at FROM avatar.avatars WHERE id = :id", id=avatar.id)
    assert rows == [("Standing", None)]


FOREIGN: list[tuple[str, str]] = [
    ("SELECT id FROM shared.users", "reads the lists of everyone's accounts"),
    ("SELECT id FROM avatar.avatars", "reads everyone's avatars"),
    ("SELECT id FROM audit.audit_log", "reads the log"),
    ("UPDATE shared.users SET first_name = 'Eve' RETURNING id", "changes every account"),
    ("UPDATE avatar.avatars SET name = 'Eve' RETURNING id", "changes every avatar"),
    ("DELETE FROM shared.users RETURNING id", "deletes every account"),
    ("DELETE FROM avatar.avatars RETURNING id", "deletes every avatar"),
]


@pytest.mark.parametrize(("statement", "what"), FOREIGN, ids=[what for _, what in FOREIGN])
@pytest.mark.parametrize("viewer", ["user", "brand", "anonymous"])
async def test_a_statement_without_its_predicate_reaches_nothing_foreign(
    stores: Stores, statement: str, what: str, viewer: str
) -> None:
    # given
    other = await create_user(stores)
    avatar = await create_avatar(stores, user_id=other.id)
    me = None if viewer == "anonymous" else await create_user(stores, role=viewer)
    before = await run(stores, "SELECT u.*, a.* FROM shared.users u LEFT JOIN avatar.avatars a ON a.user_id = u.id")

    # when
    found = await run(acting_as(stores, me), statement)

    # then
    assert {row[0] for row in found} <= ({me.id} if me is not None and "shared.users" in statement else set())
    remaining = await run(stores, "SELECT first_name FROM shared.users WHERE id = :id", id=other.id)
    assert remaining == [("Ada",)]
    assert await run(stores, "SELECT name FROM avatar.avatars WHERE id = :id", id=avatar.id) == [("Standing",)]
    if me is None:
        query = "SELECT u.*, a.* FROM shared.users u LEFT JOIN avatar.avatars a ON a.user_id = u.id"
        assert await run(stores, query) == before


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO shared.users (email, password_hash) VALUES ('eve@example.com', 'x')",
        "INSERT INTO avatar.avatars (user_id, name) VALUES (:other, 'Eve')",
        "UPDATE avatar.avatars SET user_id = :other",
        "UPDATE shared.users SET role = 'admin'",
        "UPDATE shared.users SET id = :fresh",
        "INSERT INTO audit.audit_log (table_name, record_id, operation) VALUES ('shared.users', :other, 'DELETE')",
        "UPDATE audit.audit_log SET actor_id = :other",
        "DELETE FROM audit.audit_log",
        "TRUNCATE audit.audit_log",
        "TRUNCATE shared.users CASCADE",
        "ALTER TABLE shared.users DISABLE ROW LEVEL SECURITY",
        "DROP POLICY pol_select ON shared.users",
    ],
)
async def test_what_no_user_may_do_is_refused(stores: Stores, statement: str) -> None:
    # given
    other, me = await create_user(stores), await create_user(stores)
    await create_avatar(stores, user_id=me.id)
    before = await run(stores, "SELECT * FROM shared.users ORDER BY id")
    log = await run(stores, "SELECT * FROM audit.audit_log ORDER BY at")

    # when
    parameters = {"other": other.id, "fresh": UUID(int=1)}
    with pytest.raises(DBAPIError) as refused:
        await run(acting_as(stores, me), statement, **{k: v for k, v in parameters.items() if f":{k}" in statement})

    # then
    # Citus moves no row to another shard, whoever asks for it
    moved = stores.distribution.is_distributed and "SET user_id" in statement
    assert getattr(refused.value.orig, "sqlstate", None) == ("0A000" if moved else "42501")
    assert await run(stores, "SELECT * FROM shared.users ORDER BY id") == before
    assert await run(stores, "SELECT * FROM audit.audit_log ORDER BY at") == log


async def test_owners_do_as_they_like_with_what_is_theirs(stores: Stores) -> None:
    me = await create_user(stores)
    mine = acting_as(stores, me)
    assert await run(mine, "SELECT id FROM shared.users") == [(me.id,)]
    assert await run(mine, "UPDATE shared.users SET first_name = 'Eve' RETURNING id") == [(me.id,)]
    [(avatar,)] = await run(mine, "INSERT INTO avatar.avatars (user_id, name) VALUES (:id, 'A') RETURNING id", id=me.id)
    assert await run(mine, "UPDATE avatar.avatars SET name = 'B' RETURNING id") == [(avatar,)]
    assert await run(mine, "DELETE FROM avatar.avatars RETURNING id") == [(avatar,)]


@pytest.mark.parametrize("role", ["admin", "system"])
async def test_admins_and_the_service_itself_reach_everything(stores: Stores, role: str) -> None:
    other = await create_user(stores)
    trusted = acting_as(stores, None, role)
    assert await run(trusted, "SELECT id FROM shared.users") == [(other.id,)]
    assert len(await run(trusted, "SELECT id FROM audit.audit_log")) == (1 if role == "admin" else 0)
    await run(trusted, "INSERT INTO shared.users (email, password_hash) VALUES ('eve@example.com', 'x')")
    assert len(await run(trusted, "UPDATE shared.users SET role = 'brand' RETURNING id")) == 2
    assert len(await run(trusted, "DELETE FROM shared.users RETURNING id")) == 2


async def test_a_reference_shows_only_the_rows_that_it_names(stores: Stores) -> None:
    user = await create_user(stores)
    avatar = await create_avatar(stores, user_id=user.id)
    await create_avatar(stores)
    referring = acting_as(stores, None).referring_to(f"{user.id},{avatar.id}")
    async with referring.reads.connect() as connection:
        assert (await connection.scalars(text("SELECT id FROM shared.users"))).all() == [user.id]
        assert (await connection.scalars(text("SELECT id FROM avatar.avatars"))).all() == [avatar.id]
        assert (await connection.execute(text("UPDATE shared.users SET first_name = 'Eve'"))).rowcount == 0
        assert (await connection.execute(text("DELETE FROM avatar.avatars"))).rowcount == 0


async def test_nothing_of_a_request_stays_with_the_connection(stores: Stores) -> None:
    me = await create_user(stores)
    await run(acting_as(stores, me), "SELECT 1")
    rows = await run(stores, "SELECT current_user, current_setting('app.user_id', true), current_setting('role')")
    assert rows == [("postgres", "", "none")]


async def test_a_failure_leaves_nothing_with_the_connection_either(stores: Stores) -> None:
    me = await create_user(stores)
    with pytest.raises(DBAPIError):
        await run(acting_as(stores, me), "SELECT 1 / 0")
    assert await run(stores, "SELECT current_user, current_setting('app.user_id', true)") == [("postgres", "")]


async def test_the_role_may_write_every_table_of_requests_but_the_log(stores: Stores) -> None:
    for table in Base.metadata.tables:
        wanted = ["SELECT"] if table == "audit.audit_log" else ["SELECT", "INSERT", "UPDATE", "DELETE"]
        query = "SELECT has_table_privilege(:role, :table, :privilege)"
        for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"):
            [(may,)] = await run(stores, query, role=ROLE, table=table, privilege=privilege)
            assert may is (privilege in wanted), f"{privilege} on {table}"


async def test_other_roles_see_what_their_grants_say(stores: Stores) -> None:
    """An adopted database may have users of its own: the policies are none of their business."""
    user = await create_user(stores)
    await run(stores, "CREATE ROLE reporting")
    try:
        await run(stores, "GRANT USAGE ON SCHEMA shared TO reporting")
        await run(stores, "GRANT SELECT, UPDATE ON shared.users TO reporting")
        async with stores.sessions.begin() as session:
            await session.execute(text("SET LOCAL ROLE reporting"))
            changed = await session.scalars(text("UPDATE shared.users SET first_name = 'R' RETURNING id"))
            assert list(changed) == [user.id]
            await session.execute(text("RESET ROLE"))  # the trigger wrote nonetheless
            written = await session.execute(text("SELECT operation FROM audit.audit_log ORDER BY at"))
            assert [row[0] for row in written] == ["INSERT", "UPDATE"]
    finally:
        await run(stores, "DROP OWNED BY reporting")
        await run(stores, "DROP ROLE reporting")


async def test_a_context_acts_as_its_viewer(stores: Stores, settings: Settings) -> None:
    user = await create_user(stores)
    who = "SELECT current_user, current_setting('app.user_id'), current_setting('app.role')"
    context = Context(stores, settings, "r", DOMAINS, Auth(settings), Viewer(user.id, "user"))
    assert await run(context.stores, who) == [(ROLE, str(user.id), "user")]
    assert await run(context.system_stores, who) == [(ROLE, str(user.id), "system")]
    nobody = Context(stores, settings, "r", DOMAINS, Auth(settings), ANONYMOUS)
    assert await run(nobody.stores, who) == [(ROLE, "", "")]


async def test_without_the_setting_nothing_is_wrapped(app: Starlette) -> None:
    stores: Stores = app.state.stores
    assert acting_as(stores, None) is stores
    assert stores.referring_to(str(UUID(int=1))) is stores


@pytest.fixture
async def outsider(settings: Settings) -> AsyncIterator[Settings]:
    """Settings of a user who is no member of the role."""
    assert settings.postgres_url is not None
    connection = await asyncpg.connect(settings.postgres_url)
    await connection.execute("CREATE ROLE outsider LOGIN PASSWORD 'outsider'")
    try:
        url = re.sub("//[^@]*@", "//outsider:outsider@", settings.postgres_url)
        yield settings.model_copy(update={"database_url": SecretStr(url), "row_level_security": True})
    finally:
        await connection.execute("DROP ROLE outsider")
        await connection.close()


async def test_a_user_who_is_no_member_of_the_role_is_told_at_start(outsider: Settings) -> None:
    app = create_app(outsider)
    with pytest.raises(ConfigurationError, match="GRANT fashion_wallet_app TO"):
        async with app.router.lifespan_context(app):
            pass


async def test_a_database_that_switches_policies_to_errors_is_served_all_the_same(
    settings: Settings, postgres_url: str, clean_stores: None
) -> None:
    """`row_security=off` makes PostgreSQL refuse what a policy would hide."""
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("ALTER DATABASE fashion_wallet SET row_security = off")
    try:
        async with open_stores(settings.model_copy(update={"row_level_security": True})) as stores:
            user = await create_user(stores)
            mine = stores.acting_as(identity_of(Viewer(user.id, "user"), "r"))
            async with mine.reads.connect() as reading:
                assert (await reading.execute(select(User.id))).scalars().all() == [user.id]
    finally:
        await connection.execute("ALTER DATABASE fashion_wallet RESET row_security")
        await connection.close()
