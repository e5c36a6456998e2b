"""Databases of the original service are put under this one: rows stay, rules are added."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.config import Settings
from migrations import runner
from migrations.errors import AdoptionError
from tests import original
from tests.databases import copy_source_tree, create_from_models, fresh_database, scalar, sql, structure

USERS = "1daa78b4c618"


@pytest.fixture
def settings(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of a fresh, empty database in each store."""
    with fresh_database(postgres_url, mongodb_url) as settings:
        yield settings


@pytest.fixture
def modelled(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of a database made from the models, without any revision."""
    with fresh_database(postgres_url, mongodb_url) as settings:
        create_from_models(settings)
        yield settings


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a copy of the revisions, which the test may add to."""
    return copy_source_tree(tmp_path, monkeypatch)


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


def test_an_adopted_database_has_no_drift(settings: Settings, versions: Path) -> None:
    sql(settings, original.USERS, original.REST)
    runner.upgrade(settings)
    assert runner.generate(settings, "nothing") is None


def test_an_adopted_database_still_shows_its_own_drift(settings: Settings, versions: Path) -> None:
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


def test_downgrade_keeps_adopted_tables(settings: Settings, versions: Path) -> None:
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


@pytest.mark.parametrize(
    ("contradiction", "message"),
    [
        ("UPDATE catalog.catalog_items SET price = 12.5", "values of price that don't fit integer"),
        (
            "ALTER TABLE catalog.catalog_items ALTER price TYPE bigint; UPDATE catalog.catalog_items SET price = 3e9",
            "values of price that don't fit integer",
        ),
        ("UPDATE catalog.catalog_items SET price = -1", "values that chk_catalog_items_price refuses"),
        ("UPDATE catalog.catalog_items SET type = 'button'", "values that chk_catalog_items_type refuses"),
        (
            """UPDATE avatar.avatars SET measurements = '{"height": "tall"}'""",
            "values that chk_avatars_measurements refuses",
        ),
        (
            "INSERT INTO avatar.avatars (user_id, name, is_default) SELECT user_id, 'Two', true FROM avatar.avatars",
            "more than one default avatar of the same user",
        ),
        (
            'ALTER TABLE avatar.avatars DROP CONSTRAINT "PK_224de7bae2014a1557cd9930ed7"; '
            "INSERT INTO avatar.avatars SELECT * FROM avatar.avatars",
            "the same primary key",
        ),
        (
            'ALTER TABLE avatar.avatars DROP CONSTRAINT "PK_224de7bae2014a1557cd9930ed7"; '
            "ALTER TABLE avatar.avatars ADD PRIMARY KEY (user_id)",
            "avatar.avatars has the primary key (user_id), not (id)",
        ),
        (
            "ALTER TABLE catalog.catalog_items ALTER id DROP DEFAULT, ALTER id TYPE text; "
            "UPDATE catalog.catalog_items SET id = 'linen'",
            "values of id that don't fit uuid",
        ),
    ],
)
def test_avatars_and_items_that_contradict_a_rule_are_refused(
    settings: Settings, contradiction: str, message: str
) -> None:
    sql(settings, original.USERS, original.REST, contradiction)
    before = structure(settings)
    with pytest.raises(AdoptionError, match=re.escape(message)):
        runner.upgrade(settings)
    assert structure(settings) == before


def test_other_spellings_of_the_same_are_converted(settings: Settings, versions: Path) -> None:
    # given
    sql(
        settings,
        original.USERS,
        original.REST,
        "ALTER TABLE catalog.catalog_items ALTER id DROP DEFAULT, ALTER id TYPE text, ALTER properties TYPE text",
        'ALTER TABLE avatar.avatars DROP CONSTRAINT "PK_224de7bae2014a1557cd9930ed7"',
        'ALTER TABLE shared.users DROP CONSTRAINT "UQ_97672ac88f789774dd47f7c8be3"',
        "DROP INDEX shared.idx_users_email",
        "ALTER TABLE shared.users ADD CONSTRAINT idx_users_email UNIQUE (email)",
    )

    # when
    runner.upgrade(settings)

    # then
    assert str(scalar(settings, "SELECT id FROM catalog.catalog_items")) == original.FABRIC
    assert scalar(settings, "SELECT properties -> 'tags' ->> 0 FROM catalog.catalog_items") == "summer"
    assert runner.generate(settings, "nothing") is None


def test_a_required_column_that_is_unknown_is_reported(settings: Settings) -> None:
    sql(settings, original.USERS, "ALTER TABLE shared.users ADD username text NOT NULL DEFAULT 'x'")
    sql(settings, "ALTER TABLE shared.users ALTER username DROP DEFAULT")
    lines = runner.upgrade(settings)
    assert [line for line in lines if "shared.users.username is required" in line]


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
