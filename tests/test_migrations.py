"""Migrations over real servers: each test has a database of its own in both stores."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import tomllib
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from sqlalchemy import text

from api.config import ConfigurationError, Settings
from api.stores import postgres_engine
from migrations import runner
from migrations.connection import LOCK_KEY
from migrations.errors import AdoptionError, MigrationError, MigrationRunning
from migrations.extensions import require_extension
from migrations.roles import create_application_role
from models import SCHEMAS, Base
from tests import original

VERSIONS = runner.FOLDER / "versions"
HEAD = ScriptDirectory(str(runner.FOLDER)).get_heads()[0]
REVISIONS = len(list(ScriptDirectory(str(runner.FOLDER)).walk_revisions()))
USERS = "1daa78b4c618"


@pytest.fixture
def settings(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of a fresh, empty database in each store."""
    name = f"migrations_{uuid.uuid4().hex}"
    asyncio.run(_execute(postgres_url, f"CREATE DATABASE {name}"))
    yield Settings(
        _env_file=None,
        database_url=SecretStr(_named(postgres_url, name)),
        mongodb_uri=SecretStr(mongodb_url),
        mongodb_database=name,
    )
    asyncio.run(_execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))
    asyncio.run(_drop_mongodb(mongodb_url, name))


def _named(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()


async def _execute(url: str, *statements: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        if statements[-1].lstrip().upper().startswith(("SELECT", "WITH")):
            return await connection.fetch(statements[-1])
        await connection.execute(statements[-1])
        return []
    finally:
        await connection.close()


async def _drop_mongodb(url: str, name: str) -> None:
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        await client.drop_database(name)


def sql(settings: Settings, *statements: str) -> list[asyncpg.Record]:
    """Run the statements; the rows of the last one where it is a SELECT."""
    assert settings.postgres_url is not None
    return asyncio.run(_execute(settings.postgres_url, *statements))


def scalar(settings: Settings, statement: str) -> Any:
    return sql(settings, statement)[0][0]


def structure(settings: Settings) -> dict[str, set[tuple[Any, ...]]]:
    """Everything that the catalogs say of the five schemas, as PostgreSQL itself spells it."""
    ours = f"nspname IN {SCHEMAS}"
    own = "relname NOT IN ('alembic_version', 'adopted_objects')"
    queries = {
        "tables": f"SELECT nspname, relname, relkind, obj_description(c.oid, 'pg_class') FROM pg_class c "
        f"JOIN pg_namespace n ON n.oid = relnamespace WHERE {ours} AND {own} AND relkind IN ('r', 'v', 'S')",
        "columns": "SELECT nspname, relname, attname, format_type(atttypid, atttypmod), attnotnull, "
        "pg_get_expr(adbin, adrelid), col_description(c.oid, attnum) FROM pg_attribute a "
        "JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace "
        f"LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE {ours} AND {own} AND relkind = 'r' "
        "AND attnum > 0 AND NOT attisdropped",
        "constraints": "SELECT nspname, relname, conname, pg_get_constraintdef(k.oid) FROM pg_constraint k "
        f"JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE {ours} AND {own}",
        "indexes": "SELECT schemaname, tablename, indexname, indexdef FROM pg_indexes "
        f"WHERE schemaname IN {SCHEMAS} AND tablename NOT IN ('alembic_version', 'adopted_objects')",
    }
    return {name: {tuple(row) for row in sql(settings, query)} for name, query in queries.items()}


async def _create_all(settings: Settings) -> None:
    engine = postgres_engine(settings)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE EXTENSION pg_trgm"))
        for schema in SCHEMAS:
            await connection.execute(text(f"CREATE SCHEMA {schema}"))
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


@pytest.fixture
def modelled(postgres_url: str) -> Iterator[Settings]:
    """Settings of a database made from the models, without any revision."""
    name = f"models_{uuid.uuid4().hex}"
    asyncio.run(_execute(postgres_url, f"CREATE DATABASE {name}"))
    settings = Settings(_env_file=None, database_url=SecretStr(_named(postgres_url, name)))
    asyncio.run(_create_all(settings))
    yield settings
    asyncio.run(_execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def no_new_files() -> Iterator[None]:
    """Remove what a test writes among the revisions."""
    before = set(VERSIONS.glob("*.py"))
    yield
    for path in set(VERSIONS.glob("*.py")) - before:
        path.unlink()


def test_up_down_and_up_again(settings: Settings) -> None:
    # given
    runner.upgrade(settings)
    first = structure(settings)

    # when
    lines = runner.downgrade(settings, "base")

    # then
    assert len(lines) == REVISIONS
    assert structure(settings) == {"tables": set(), "columns": set(), "constraints": set(), "indexes": set()}
    left = sql(settings, f"SELECT nspname FROM pg_namespace WHERE nspname IN {SCHEMAS}")
    assert [row[0] for row in left] == ["shared"]
    assert scalar(settings, "SELECT count(*) FROM pg_proc WHERE proname = 'touch_updated_at'") == 0
    assert scalar(settings, "SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'") == 1

    # and when
    runner.upgrade(settings)

    # then
    assert structure(settings) == first


def test_each_step_can_be_undone_and_redone(settings: Settings) -> None:
    runner.upgrade(settings)
    script = ScriptDirectory(str(runner.FOLDER))
    for revision in [found.revision for found in script.walk_revisions()]:
        before = structure(settings)
        runner.downgrade(settings, "-1")
        runner.upgrade(settings, revision)
        assert structure(settings) == before
        runner.downgrade(settings, "-1")


def test_revisions_make_exactly_what_the_models_say(settings: Settings, modelled: Settings) -> None:
    runner.upgrade(settings)
    migrated, expected = structure(settings), structure(modelled)
    for kind, wanted in expected.items():
        assert migrated[kind] == wanted


def test_there_is_one_head() -> None:
    assert ScriptDirectory(str(runner.FOLDER)).get_heads() == [HEAD]


def test_generate_finds_no_drift_after_run(settings: Settings) -> None:
    runner.upgrade(settings)
    files = set(VERSIONS.glob("*.py"))
    assert runner.generate(settings, "nothing") is None
    assert set(VERSIONS.glob("*.py")) == files


@pytest.mark.parametrize(
    ("change", "operation"),
    [
        ("CREATE TABLE design.stray (id int PRIMARY KEY)", "op.drop_table('stray', schema='design')"),
        ("ALTER TABLE audit.audit_log ADD COLUMN stray int", "op.drop_column('audit_log', 'stray', schema='audit')"),
        ("DROP INDEX catalog.idx_catalog_items_search", "op.create_index('idx_catalog_items_search'"),
        ("ALTER TABLE avatar.avatars ALTER gender SET DEFAULT 'male'", "op.alter_column('avatars', 'gender'"),
        ("COMMENT ON COLUMN shared.users.email IS 'other'", "op.alter_column('users', 'email'"),
    ],
)
def test_generate_sees_every_schema(settings: Settings, no_new_files: None, change: str, operation: str) -> None:
    # given
    runner.upgrade(settings)
    sql(settings, change)

    # when
    path = runner.generate(settings, "Put it right")

    # then
    assert path is not None
    assert re.fullmatch(r"\d{8}_\d{4}_put_it_right\.py", path.name)
    upgrade, _, _downgrade = path.read_text().partition("def downgrade")
    assert operation in upgrade
    assert upgrade.count("op.") == 1 + upgrade.count("op.f(")


def test_generate_needs_the_newest_revision(settings: Settings) -> None:
    runner.upgrade(settings, USERS)
    with pytest.raises(MigrationError, match="run `migrate run` first"):
        runner.generate(settings, "too early")


def test_create_writes_an_empty_revision_after_the_head(no_new_files: None) -> None:
    path = runner.create("By hand")
    assert path.parent == VERSIONS
    assert f"down_revision: str | None = '{HEAD}'" in path.read_text()
    compile(path.read_text(), path.name, "exec")


def test_every_table_and_column_has_a_comment(settings: Settings) -> None:
    runner.upgrade(settings)
    found = structure(settings)
    assert len(found["tables"]) == len(Base.metadata.tables)
    assert [row for row in found["tables"] if not row[-1]] == []
    assert [row for row in found["columns"] if not row[-1]] == []


def test_raw_sql_update_changes_updated_at(settings: Settings) -> None:
    runner.upgrade(settings)
    connection_statements = (
        "INSERT INTO shared.users (email, password_hash) VALUES ('a@b.c', 'x')",
        "INSERT INTO avatar.avatars (user_id, name) SELECT id, 'A' FROM shared.users",
        "INSERT INTO catalog.catalog_items (name, type) VALUES ('Linen', 'fabric')",
    )
    sql(settings, *connection_statements)
    for table in ("shared.users", "avatar.avatars", "catalog.catalog_items"):
        created = scalar(settings, f"SELECT updated_at FROM {table}")
        # twice in one transaction, and told to go back in time
        sql(settings, f"BEGIN; UPDATE {table} SET is_active = false; COMMIT") if table != "avatar.avatars" else None
        first = scalar(
            settings, f"WITH t AS (UPDATE {table} SET created_by = NULL RETURNING updated_at) SELECT * FROM t"
        )
        second = scalar(
            settings, f"WITH t AS (UPDATE {table} SET updated_at = 'epoch' RETURNING updated_at) SELECT * FROM t"
        )
        assert created < first < second


def test_updated_at_changes_within_one_transaction(settings: Settings) -> None:
    runner.upgrade(settings)
    rows = sql(
        settings,
        "INSERT INTO shared.users (email, password_hash) VALUES ('a@b.c', 'x')",
        "CREATE TABLE seen (at timestamptz)",
        "DO $$ BEGIN FOR i IN 1..3 LOOP "
        "WITH changed AS (UPDATE shared.users SET first_name = i RETURNING updated_at) "
        "INSERT INTO seen SELECT updated_at FROM changed; END LOOP; END $$",
        "SELECT DISTINCT at FROM seen",
    )
    assert len(rows) == 3


def test_a_database_of_the_original_service_is_adopted(settings: Settings, modelled: Settings) -> None:
    # given
    sql(settings, original.USERS, original.REST)

    # when
    runner.upgrade(settings)

    # then: nothing that the models say is missing
    adopted, expected = structure(settings), structure(modelled)
    for kind in ("tables", "columns"):
        assert expected[kind] <= adopted[kind]
    assert {row[2] for row in adopted["columns"] - expected["columns"]} == {"lastLogin", "id", "user_id"}
    missing = {row[2] for row in expected["constraints"] - adopted["constraints"]}
    assert {name for name in missing if not re.search("_not_null$", name)} == {
        *("pk_users", "pk_avatars", "pk_catalog_items"),  # theirs serve
        "fk_catalog_items_created_by",
    }
    assert {row[2] for row in expected["indexes"] - adopted["indexes"]} == {
        "pk_users",
        "pk_avatars",
        "pk_catalog_items",
    }
    # and the rows are what they were
    users = sql(settings, "SELECT * FROM shared.users ORDER BY email")
    assert [(str(row["id"]), row["email"], row["role"], row["is_active"]) for row in users] == [
        (original.ALICE, "Alice@example.com", "admin", True),
        (original.BOB, "bob@example.com", "user", True),
    ]
    assert users[0]["created_at"].isoformat() == "2024-03-01T12:00:00+00:00"
    assert users[0]["updated_at"].isoformat() == "2024-03-02T12:00:00+00:00"
    assert users[0]["email_verified"] is False
    assert users[1]["updated_at"] is not None
    assert scalar(settings, "SELECT measurements ->> 'height' FROM avatar.avatars") == "172.5"
    assert scalar(settings, "SELECT gender FROM avatar.avatars") == "female"
    assert scalar(settings, "SELECT price FROM catalog.catalog_items") == 1250
    # and what was theirs is still there
    assert scalar(settings, "SELECT name FROM public.migrations") == "InitialSchema1699000000000"
    kept = {row[2] for row in adopted["indexes"]} | {row[2] for row in adopted["constraints"]}
    assert {"UQ_97672ac88f789774dd47f7c8be3", "IDX_ace513fa30d485cfd25c11a9e4", "sessions_pkey"} <= kept


def test_an_adopted_database_has_no_drift(settings: Settings) -> None:
    sql(settings, original.USERS, original.REST)
    runner.upgrade(settings)
    assert runner.generate(settings, "nothing") is None


def test_an_adopted_database_still_shows_its_own_drift(settings: Settings, no_new_files: None) -> None:
    sql(settings, original.USERS)
    runner.upgrade(settings)
    sql(settings, "ALTER TABLE shared.users ADD COLUMN stray int")
    path = runner.generate(settings, "stray")
    assert path is not None
    assert "op.drop_column('users', 'stray', schema='shared')" in path.read_text()


def test_foreign_keys_of_the_original_service_act_as_the_models_say(settings: Settings) -> None:
    sql(settings, original.USERS, original.REST)
    runner.upgrade(settings)
    sql(settings, f"DELETE FROM shared.users WHERE id = '{original.ALICE}'")
    assert scalar(settings, "SELECT count(*) FROM avatar.avatars") == 0


def test_downgrade_keeps_adopted_tables(settings: Settings) -> None:
    # given
    sql(settings, original.USERS)
    runner.upgrade(settings)

    # when
    runner.downgrade(settings, "base")

    # then
    assert scalar(settings, "SELECT count(*) FROM shared.users") == 2
    assert scalar(settings, "SELECT to_regclass('avatar.avatars')") is None
    assert scalar(settings, "SELECT to_regclass('shared.sessions')") is not None
    sql(settings, "UPDATE shared.users SET is_active = false")  # no trigger is left without its function

    # and when
    runner.upgrade(settings)

    # then
    assert scalar(settings, "SELECT count(*) FROM shared.users") == 2
    assert runner.generate(settings, "nothing") is None


TRIGGERS = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
WALLED = "SELECT relname FROM pg_class WHERE relrowsecurity ORDER BY 1"


def test_adopted_tables_get_triggers_and_policies_and_lose_them(settings: Settings) -> None:
    # given
    sql(settings, original.USERS, original.REST)

    # when
    runner.upgrade(settings)

    # then
    tables = ("avatars", "catalog_items", "users")
    assert [row[0] for row in sql(settings, TRIGGERS)] == [
        f"trg_{table}_{what}" for table in tables for what in ("audit", "updated_at")
    ]
    assert [row[0] for row in sql(settings, WALLED)] == ["audit_log", "avatars", "users"]
    assert scalar(settings, "SELECT count(*) FROM audit.audit_log") == 0
    sql(settings, f"UPDATE shared.users SET \"lastLogin\" = now(), role = 'brand' WHERE id = '{original.BOB}'")
    [entry] = sql(settings, "SELECT record_id::text, new_values ->> 'role' AS role, new_values FROM audit.audit_log")
    assert (entry["record_id"], entry["role"]) == (original.BOB, "brand")
    assert "lastLogin" not in entry["new_values"]
    assert "bob" in entry["new_values"]
    assert "$2b$10$bob" not in entry["new_values"]

    # and when
    runner.downgrade(settings, "base")

    # then
    assert sql(settings, TRIGGERS) == []
    assert sql(settings, WALLED) == []
    assert sql(settings, "SELECT polname FROM pg_policy") == []
    grants = "SELECT 1 FROM information_schema.table_privileges WHERE grantee = 'fashion_wallet_app'"
    assert sql(settings, grants) == []
    sql(settings, "UPDATE shared.users SET role = 'user'")


@pytest.mark.parametrize("table", ["account_sessions", "operations"])
def test_a_table_that_only_shares_its_name_is_left_alone(settings: Settings, table: str) -> None:
    sql(settings, original.USERS, f"CREATE TABLE shared.{table} (id serial PRIMARY KEY)")
    with pytest.raises(AdoptionError, match=f"shared.{table} is there already and is not this application's"):
        runner.upgrade(settings)
    assert scalar(settings, "SELECT to_regclass('shared.alembic_version')") is None


async def _create_role(settings: Settings, name: str, member: str) -> bool:
    assert settings.postgres_url is not None
    url = re.sub(r"//[^@]*@", f"//{member}@", settings.postgres_url)
    engine = postgres_engine(settings.model_copy(update={"database_url": SecretStr(url)}))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(create_application_role, name)
    finally:
        await engine.dispose()


@pytest.mark.parametrize("allowed", [True, False])
def test_the_application_role_is_made_where_the_user_may(settings: Settings, allowed: bool) -> None:
    # given
    name, member = f"app_{uuid.uuid4().hex}", f"role_{uuid.uuid4().hex}"
    sql(settings, f"CREATE ROLE {member} LOGIN {'CREATEROLE' if allowed else ''}")
    try:
        # when
        made = asyncio.run(_create_role(settings, name, member))

        # then
        assert made is allowed
        found = sql(settings, f"SELECT rolcanlogin, pg_has_role('{member}', oid, 'SET') FROM pg_roles "
                              f"WHERE rolname = '{name}'")  # fmt: skip
        assert [tuple(row) for row in found] == ([(False, True)] if allowed else [])
        if allowed:  # and again: it is there
            assert asyncio.run(_create_role(settings, name, member)) is True
    finally:
        sql(settings, f"DROP ROLE IF EXISTS {name}", f"DROP ROLE {member}")


def test_emails_that_differ_only_in_case_are_refused(settings: Settings) -> None:
    # given
    extra = "77777777-7777-4777-8777-777777777777"
    sql(
        settings,
        original.USERS,
        f"INSERT INTO shared.users (id, email, password_hash) VALUES ('{extra}', 'ALICE@example.com', 'x')",
    )
    before = structure(settings)

    # when
    with pytest.raises(AdoptionError) as caught:
        runner.upgrade(settings)

    # then
    assert str(caught.value) == (
        "shared.users has the same email address, differing at most in case; nothing was changed. "
        f"Correct these first, by id: {original.ALICE} = {extra}"
    )
    assert structure(settings) == before
    assert scalar(settings, "SELECT count(*) FROM shared.users") == 3
    assert scalar(settings, "SELECT to_regclass('shared.alembic_version')") is None


@pytest.mark.parametrize(
    ("contradiction", "message"),
    [
        ("ALTER TABLE shared.users ALTER email DROP NOT NULL; UPDATE shared.users SET email = NULL", "has no email"),
        ("UPDATE shared.users SET email = repeat('x', 256) WHERE role = 'admin'", "don't fit character varying(255)"),
        ("ALTER TABLE shared.users DROP COLUMN password_hash", "has rows, but no column password_hash"),
        (
            "ALTER TABLE shared.users DROP COLUMN role; ALTER TABLE shared.users ADD role text DEFAULT 'root'",
            "has values that chk_users_role refuses",
        ),
        (
            "ALTER TABLE shared.users ADD created_by uuid DEFAULT gen_random_uuid()",
            "has created_by not in shared.users",
        ),
        (
            "ALTER TABLE shared.users DROP COLUMN is_active; ALTER TABLE shared.users ADD is_active int",
            "shared.users.is_active is integer, which can't become boolean",
        ),
    ],
)
def test_rows_that_contradict_a_rule_are_refused(settings: Settings, contradiction: str, message: str) -> None:
    sql(settings, original.USERS, contradiction)
    before = structure(settings)
    with pytest.raises(AdoptionError, match=re.escape(message)):
        runner.upgrade(settings)
    assert structure(settings) == before


def test_a_required_column_that_is_unknown_is_reported(settings: Settings) -> None:
    sql(settings, original.USERS, "ALTER TABLE shared.users ADD username text NOT NULL DEFAULT 'x'")
    sql(settings, "ALTER TABLE shared.users ALTER username DROP DEFAULT")
    lines = runner.upgrade(settings)
    assert [line for line in lines if "shared.users.username is required" in line]


def test_a_second_run_finds_nothing_to_do(settings: Settings) -> None:
    runner.upgrade(settings)
    assert [line for line in runner.upgrade(settings) if "skipped" not in line] == []


def test_two_runs_at_once_both_succeed(settings: Settings) -> None:
    # given
    lines: list[list[str]] = []
    start = threading.Barrier(2)

    def run() -> None:
        start.wait()
        lines.append(runner.upgrade(settings))

    # when
    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # then
    assert sorted(sum("applied" in line for line in done) for done in lines) == [0, REVISIONS]


@contextlib.asynccontextmanager
async def _holding(settings: Settings, statement: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(settings.postgres_url)
    try:
        await connection.execute("BEGIN")
        await connection.execute(statement)
        yield
    finally:
        await connection.close()


async def _upgrade_while(settings: Settings, statement: str, *, wait: float = 5, lock_timeout: float = 5) -> None:
    async with _holding(settings, statement):
        await asyncio.to_thread(runner.upgrade, settings, wait=wait, lock_timeout=lock_timeout)


def test_a_run_that_is_held_up_by_another_gives_up(settings: Settings) -> None:
    with pytest.raises(MigrationRunning, match=re.escape("another migration of this database is running")):
        asyncio.run(_upgrade_while(settings, f"SELECT pg_advisory_lock({LOCK_KEY})", wait=0.1))
    assert scalar(settings, "SELECT to_regclass('shared.users')") is None


def test_a_table_in_use_is_waited_for_within_bounds(settings: Settings) -> None:
    sql(settings, original.USERS)
    with pytest.raises(MigrationError, match="a table is in use and was not released in time"):
        asyncio.run(_upgrade_while(settings, "SELECT count(*) FROM shared.users", lock_timeout=0.1))
    assert scalar(settings, "SELECT to_regclass('shared.alembic_version')") is None


async def _require_extension(settings: Settings, name: str) -> None:
    engine = postgres_engine(settings)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(require_extension, name)
    finally:
        await engine.dispose()


def test_a_required_extension_that_the_server_lacks_is_named(settings: Settings) -> None:
    with pytest.raises(MigrationError, match="has no extension not_there, which search needs"):
        asyncio.run(_require_extension(settings, "not_there"))


def test_a_required_extension_that_the_user_may_not_create_is_named(settings: Settings) -> None:
    # given
    role = f"role_{uuid.uuid4().hex}"
    sql(settings, f"CREATE ROLE {role} LOGIN")
    assert settings.postgres_url is not None
    limited = settings.model_copy(
        update={"database_url": SecretStr(re.sub(r"//[^@]*@", f"//{role}@", settings.postgres_url))}
    )
    sql(settings, f"CREATE SCHEMA shared AUTHORIZATION {role}")
    for schema in SCHEMAS[1:]:
        sql(settings, f"CREATE SCHEMA {schema} AUTHORIZATION {role}")
    try:
        # when
        with pytest.raises(MigrationError, match='let an administrator run: CREATE EXTENSION "pg_trgm"'):
            runner.upgrade(limited)
        # then: with the extension there, the same user can go on
        sql(settings, "CREATE EXTENSION pg_trgm")
        lines = runner.upgrade(limited)
        assert runner.show(limited).current == HEAD
        assert [line for line in lines if "fashion_wallet_app" in line] != []  # what an administrator has left to do
    finally:
        sql(settings, f"DROP OWNED BY {role}", f"REASSIGN OWNED BY {role} TO CURRENT_USER", f"DROP ROLE {role}")


def test_show_tells_current_pending_and_the_collection(settings: Settings) -> None:
    # given
    before = runner.show(settings)
    runner.upgrade(settings, USERS)

    # when
    state = runner.show(settings)

    # then
    assert before.current is None
    assert len(before.pending) == REVISIONS
    assert before.collection is not None
    assert before.collection.exists is False
    assert scalar(settings, "SELECT count(*) FROM shared.alembic_version") == 1
    assert state.current == USERS
    assert [revision.message for revision in state.pending[:3]] == ["Avatars", "Catalog items", "Audit log"]
    assert len(state.pending) == REVISIONS - 2
    assert state.collection is not None
    assert state.collection.is_current


def test_show_writes_nothing(settings: Settings) -> None:
    runner.show(settings)
    assert scalar(settings, f"SELECT count(*) FROM pg_namespace WHERE nspname IN {SCHEMAS}") == 0


def test_an_unknown_revision_is_one_line(settings: Settings) -> None:
    with pytest.raises(MigrationError) as caught:
        runner.upgrade(settings, "nowhere")
    assert str(caught.value) == "Can't locate revision identified by 'nowhere'"


def test_a_database_from_a_newer_version_is_named(settings: Settings) -> None:
    runner.upgrade(settings)
    sql(settings, "UPDATE shared.alembic_version SET version_num = 'feedfacefeed'")
    with pytest.raises(MigrationError, match="feedfacefeed"):
        runner.upgrade(settings)
    error = runner.show(settings).postgres_error
    assert error is not None
    assert "feedfacefeed" in error


def test_a_store_that_is_down_is_one_line_without_the_password(settings: Settings) -> None:
    down = settings.model_copy(
        update={
            "database_url": SecretStr("postgresql://postgres:hunter2@127.0.0.1:1/none"),
            "mongodb_uri": SecretStr("mongodb://someone:hunter2@127.0.0.1:1"),
            "mongodb_selection_timeout": 0.1,
        }
    )
    state = runner.show(down)
    for error in (state.postgres_error, state.mongodb_error):
        assert error is not None
        assert "\n" not in error
        assert "hunter2" not in error
    with pytest.raises(MigrationError, match=r"PostgreSQL: .*[Cc]onnect"):
        runner.upgrade(down)


def test_with_mongodb_down_postgres_is_left_as_it_is(settings: Settings) -> None:
    down = settings.model_copy(
        update={"mongodb_uri": SecretStr("mongodb://127.0.0.1:1"), "mongodb_selection_timeout": 0.1}
    )
    with pytest.raises(MigrationError, match="MongoDB: "):
        runner.upgrade(down)
    assert scalar(settings, "SELECT to_regclass('shared.users')") is None


def test_no_server_configured_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="is not set"):
        runner.upgrade(Settings(_env_file=None, database_url=None, mongodb_uri=None))


def test_alembics_own_command_line_reads_pyproject() -> None:
    config = Config(toml_file=Path("pyproject.toml"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]
    wheel = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "migrations" in wheel["packages"]
