"""Revisions: up, down, up again, and what they make is what the models say."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from alembic.config import main as alembic_command
from alembic.script import ScriptDirectory

from api.config.settings import Settings
from migrations import revisions, runner
from migrations.errors import MigrationError
from models import SCHEMAS, Base
from tests.support.stores.databases import (
    HEAD,
    REVISIONS,
    scalar,
    sql,
    structure,
)

USERS = "1daa78b4c618"


def test_up_down_and_up_again(migrated: Settings) -> None:
    # given
    first = structure(migrated)

    # when
    lines = runner.downgrade(migrated, "base")

    # then
    assert len(lines) == len(REVISIONS)
    assert structure(migrated) == {"tables": set(), "columns": set(), "constraints": set(), "indexes": set()}
    left = sql(migrated, f"SELECT nspname FROM pg_namespace WHERE nspname IN {SCHEMAS}")
    assert [row[0] for row in left] == ["shared"]
    assert scalar(migrated, "SELECT count(*) FROM pg_proc WHERE proname = 'touch_updated_at'") == 0
    assert scalar(migrated, "SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'") == 1

    # and when
    runner.upgrade(migrated)

    # then
    assert structure(migrated) == first


def test_each_step_can_be_undone_and_redone(migrated: Settings) -> None:
    # given: what each step down starts from
    before = {}
    for revision in [line.partition(" ")[0] for line in reversed(REVISIONS)]:
        before[revision] = structure(migrated)
        assert len(runner.downgrade(migrated, "-1")) == 1

    # when, then: each step up leads there again
    for revision in reversed(before):
        runner.upgrade(migrated, revision)
        assert structure(migrated) == before[revision]


def test_revisions_make_exactly_what_the_models_say(migrated: Settings, modelled: Settings) -> None:
    made, expected = structure(migrated), structure(modelled)
    for kind, wanted in expected.items():
        assert made[kind] == wanted


def test_there_is_one_head() -> None:
    assert ScriptDirectory(str(revisions.FOLDER)).get_heads() == [HEAD]


def test_generate_finds_no_drift_after_run(migrated: Settings, versions: Path) -> None:
    files = set(versions.glob("*.py"))
    assert runner.generate(migrated, "nothing") is None
    assert set(versions.glob("*.py")) == files


@pytest.mark.parametrize(
    ("change", "operation"),
    [
        ("CREATE TABLE design.stray (id int PRIMARY KEY)", "op.drop_table('stray', schema='design')"),
        ("ALTER TABLE audit.audit_log ADD COLUMN stray int", "op.drop_column('audit_log', 'stray', schema='audit')"),
        ("DROP INDEX catalog.idx_catalog_items_search", "op.create_index('idx_catalog_items_search'"),
        ("ALTER TABLE avatar.avatars ALTER gender SET DEFAULT 'male'", "op.alter_column('avatars', 'gender'"),
        ("COMMENT ON COLUMN shared.users.email IS 'other'", "op.alter_column('users', 'email'"),
        (
            "ALTER TABLE shared.users DROP CONSTRAINT chk_users_role",
            "op.create_check_constraint(op.f('chk_users_",
        ),
        ("ALTER TABLE shared.users ADD CHECK (role <> 'x')", "op.drop_constraint(op.f('users_role_check'), 'users'"),
    ],
)
def test_generate_sees_every_schema(migrated: Settings, versions: Path, change: str, operation: str) -> None:
    # given
    sql(migrated, change)

    # when
    path = runner.generate(migrated, "Put it right")

    # then
    assert path is not None
    assert re.fullmatch(r"\d{8}_\d{4}_put_it_right\.py", path.name)
    upgrade, _, _downgrade = path.read_text().partition("def downgrade")
    assert operation in upgrade
    assert upgrade.count("op.") == 1 + upgrade.count("op.f(")  # and nothing else


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX shared.idx_users_role; CREATE INDEX idx_users_role ON shared.users (role, created_at, id)",
        "DROP INDEX avatar.idx_avatars_name_trgm; CREATE INDEX idx_avatars_name_trgm ON avatar.avatars (name)",
        "ALTER TABLE shared.users DROP CONSTRAINT chk_users_role; "
        "ALTER TABLE shared.users ADD CONSTRAINT chk_users_role CHECK (role <> 'root')",
    ],
)
def test_what_generate_writes_puts_right_what_alembic_does_not_compare(
    migrated: Settings, versions: Path, change: str
) -> None:
    # given
    wanted = structure(migrated)
    sql(migrated, change)
    other = structure(migrated)

    # when
    path = runner.generate(migrated, "Put it right")
    runner.upgrade(migrated)

    # then
    assert path is not None
    assert structure(migrated) == wanted

    # and when
    runner.downgrade(migrated, "-1")

    # then
    assert structure(migrated) == other


def test_generate_needs_the_newest_revision(settings: Settings, versions: Path) -> None:
    runner.upgrade(settings, USERS)
    with pytest.raises(MigrationError, match="run `migrate run` first"):
        runner.generate(settings, "too early")


def test_create_writes_an_empty_revision_after_the_head(versions: Path) -> None:
    path = runner.create("By hand")
    assert path.parent == versions
    assert f"down_revision: str | None = '{HEAD}'" in path.read_text()
    compile(path.read_text(), path.name, "exec")


def test_every_table_and_column_has_a_comment(migrated: Settings) -> None:
    found = structure(migrated)
    tables = [row for row in found["tables"] if row[2] != b"S"]  # beside a sequence
    assert len(tables) == len(Base.metadata.tables)
    assert [row for row in tables if not row[-1]] == []
    assert [row for row in found["columns"] if not row[-1]] == []


@pytest.mark.parametrize("table", ["shared.users", "avatar.avatars", "catalog.catalog_items"])
def test_raw_sql_update_changes_updated_at(migrated: Settings, table: str) -> None:
    # given
    sql(
        migrated,
        "INSERT INTO shared.users (email, password_hash) VALUES ('a@b.c', 'x')",
        "INSERT INTO avatar.avatars (user_id, name) SELECT id, 'A' FROM shared.users",
        "INSERT INTO catalog.catalog_items (name, type) VALUES ('Linen', 'fabric')",
    )
    created = scalar(migrated, f"SELECT updated_at FROM {table}")

    # when: changed, and told to go back in time
    sql(migrated, f"UPDATE {table} SET deleted_at = now()")
    changed = scalar(migrated, f"SELECT updated_at FROM {table}")
    sql(migrated, f"UPDATE {table} SET updated_at = 'epoch'")

    # then
    assert created < changed < scalar(migrated, f"SELECT updated_at FROM {table}")


def test_updated_at_changes_within_one_transaction(migrated: Settings) -> None:
    rows = sql(
        migrated,
        "INSERT INTO shared.users (email, password_hash) VALUES ('a@b.c', 'x')",
        "CREATE TABLE seen (at timestamptz)",
        "DO $$ BEGIN FOR i IN 1..3 LOOP "
        "WITH changed AS (UPDATE shared.users SET first_name = i RETURNING updated_at) "
        "INSERT INTO seen SELECT updated_at FROM changed; END LOOP; END $$",
        "SELECT DISTINCT at FROM seen",
    )
    assert len(rows) == 3


def test_the_schemas_may_be_on_the_search_path(settings: Settings, versions: Path) -> None:
    # given: what Alembic takes for the default schema is one of the five
    database = scalar(settings, "SELECT current_database()")
    sql(settings, f"ALTER DATABASE {database} SET search_path = shared, public")

    # when
    runner.upgrade(settings)

    # then
    assert runner.generate(settings, "nothing") is None
    assert runner.show(settings).current == HEAD


def test_the_extension_may_be_in_a_schema_of_its_own(settings: Settings, versions: Path) -> None:
    sql(settings, "CREATE SCHEMA extensions", "CREATE EXTENSION pg_trgm SCHEMA extensions")
    runner.upgrade(settings)
    assert runner.generate(settings, "nothing") is None


def test_alembics_own_command_line_works(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    assert settings.postgres_url is not None
    monkeypatch.setenv("DATABASE_URL", settings.postgres_url)
    monkeypatch.chdir(revisions.FOLDER.parent)

    # when
    alembic_command(["upgrade", "head"])
    alembic_command(["check"])  # leaves with an error where it finds a difference

    # then
    assert scalar(settings, "SELECT version_num FROM shared.alembic_version") == HEAD

    # and when, then
    with pytest.raises(SystemExit):
        alembic_command(["upgrade", "head", "--sql"])
    assert "--sql is not supported" in "".join(capsys.readouterr())


def test_the_package_has_what_running_needs(
    settings: Settings, versions: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given: an installed package, without the pyproject.toml of the source tree
    monkeypatch.setattr(revisions, "FOLDER", tmp_path / "migrations")
    shutil.copytree(Path(__file__).parents[2] / "migrations", revisions.FOLDER)

    # when
    runner.upgrade(settings)

    # then
    assert runner.show(settings).current == HEAD
    with pytest.raises(MigrationError, match="revisions are written in the source tree"):
        runner.create("not here")
