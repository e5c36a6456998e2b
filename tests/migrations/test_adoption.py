"""Databases of the original service are put under this one: rows stay, rules are added."""

from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path

import pytest

from api.config.settings import Settings
from migrations import runner
from migrations.errors import AdoptionError, MigrationError
from tests.support.stores import original
from tests.support.stores.databases import scalar, sql, structure

USERS = "1daa78b4c618"


def indexes_named(settings: Settings, pattern: str) -> dict[str, str]:
    """Definitions of the indexes whose names are like that."""
    return dict(
        tuple(row)
        for row in sql(settings, f"SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE '{pattern}'")
    )


def test_a_database_of_the_original_service_is_adopted(adopted: Settings, modelled: Settings) -> None:
    # nothing that the models say is missing
    found, expected = structure(adopted), structure(modelled)
    assert expected["tables"] <= found["tables"]
    assert {row[2] for row in expected["columns"] - found["columns"]} == {"name"}  # of an avatar; has a default
    assert {row[2] for row in found["columns"] - expected["columns"]} == {"lastLogin", "id", "user_id", "name"}
    missing = {row[2] for row in expected["constraints"] - found["constraints"]}
    assert {name for name in missing if not re.search("_not_null$", name)} == {
        *("pk_users", "pk_avatars", "pk_catalog_items"),  # theirs serve
        *("fk_catalog_items_created_by", "fk_avatars_user_id"),
    }
    assert {row[2] for row in expected["indexes"] - found["indexes"]} == {
        *("pk_users", "pk_avatars", "pk_catalog_items"),
        "idx_users_email",  # an index of theirs has the name
    }
    assert indexes_named(adopted, "idx_users_email%") == {
        "idx_users_email": "CREATE INDEX idx_users_email ON shared.users USING btree (email)",
        "idx_users_email_2": "CREATE INDEX idx_users_email_2 ON shared.users USING btree (email, id) "
        "WHERE (deleted_at IS NULL)",
    }
    # and the rows are what they were
    users = sql(adopted, "SELECT * FROM shared.users ORDER BY email")
    assert [(str(row["id"]), row["email"], row["role"], row["is_active"]) for row in users] == [
        (original.ALICE, "Alice@example.com", "admin", True),
        (original.BOB, "bob@example.com", "user", True),
    ]
    assert users[0]["created_at"].isoformat() == "2024-03-01T12:00:00+00:00"
    assert users[0]["updated_at"].isoformat() == "2024-03-02T12:00:00+00:00"
    assert users[0]["email_verified"] is False
    assert users[1]["updated_at"] == users[1]["created_at"]
    assert scalar(adopted, "SELECT measurements ->> 'height' FROM avatar.avatars") == "172.5"
    assert scalar(adopted, "SELECT gender FROM avatar.avatars") == "female"
    assert scalar(adopted, "SELECT price FROM catalog.catalog_items") == 1250
    # and what was theirs is still there
    assert scalar(adopted, "SELECT name FROM public.migrations") == "InitialSchema1699000000000"
    kept = {row[2] for row in found["indexes"]} | {row[2] for row in found["constraints"]}
    assert {"UQ_97672ac88f789774dd47f7c8be3", "IDX_ace513fa30d485cfd25c11a9e4", "sessions_pkey"} <= kept


def test_an_adopted_database_has_no_drift(adopted: Settings, versions: Path) -> None:
    assert runner.generate(adopted, "nothing") is None


def test_an_adopted_database_still_shows_its_own_drift(adopted: Settings, versions: Path) -> None:
    sql(adopted, "ALTER TABLE shared.users ADD COLUMN stray int")
    path = runner.generate(adopted, "stray")
    assert path is not None
    assert "op.drop_column('users', 'stray', schema='shared')" in path.read_text()


def test_foreign_keys_of_the_original_service_serve_as_they_are(
    adopted: Settings, adopted_template: tuple[Settings, list[str]]
) -> None:
    assert (
        "PostgreSQL: avatar.avatars keeps FK_b4c4a2b7e0a1d2ff8d3a1d3c0aa: NO ACTION instead of CASCADE where the row "
        "that user_id names is deleted"
    ) in adopted_template[1]
    found = sql(
        adopted,
        "SELECT conname, confdeltype::text FROM pg_constraint WHERE contype = 'f' "
        "AND conrelid = 'avatar.avatars'::regclass AND conkey[1] = 2",
    )
    assert [tuple(row) for row in found] == [("FK_b4c4a2b7e0a1d2ff8d3a1d3c0aa", "a")]


def test_a_foreign_key_that_was_never_checked_does_not_serve(settings: Settings) -> None:
    # given
    sql(
        settings,
        original.USERS,
        original.REST,
        'ALTER TABLE avatar.avatars DROP CONSTRAINT "FK_b4c4a2b7e0a1d2ff8d3a1d3c0aa"',
        f"INSERT INTO avatar.avatars (user_id) VALUES ('{original.FABRIC}')",
        'ALTER TABLE avatar.avatars ADD CONSTRAINT "FK_b4c4a2b7e0a1d2ff8d3a1d3c0aa" FOREIGN KEY (user_id) '
        "REFERENCES shared.users (id) NOT VALID",
    )

    # when, then
    with pytest.raises(AdoptionError, match=r"avatar\.avatars: user_id is the id of a row of shared\.users"):
        runner.upgrade(settings)

    # and when
    sql(settings, f"DELETE FROM avatar.avatars WHERE user_id = '{original.FABRIC}'")
    runner.upgrade(settings)

    # then: ours is beside theirs
    found = sql(
        settings,
        "SELECT conname, convalidated FROM pg_constraint WHERE contype = 'f' "
        "AND conrelid = 'avatar.avatars'::regclass AND conkey[1] = 2 ORDER BY 1",
    )
    assert [tuple(row) for row in found] == [
        ("FK_b4c4a2b7e0a1d2ff8d3a1d3c0aa", False),
        ("fk_avatars_user_id", True),
    ]


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
    assert list(indexes_named(settings, "idx_users_email%")) == ["idx_users_email", "idx_users_email_2"]
    assert runner.generate(settings, "nothing") is None


def test_a_required_column_that_is_unknown_is_reported(settings: Settings) -> None:
    sql(settings, original.USERS, "ALTER TABLE shared.users ADD username text NOT NULL DEFAULT 'x'")
    sql(settings, "ALTER TABLE shared.users ALTER username DROP DEFAULT")
    lines = runner.upgrade(settings)
    assert [line for line in lines if "shared.users.username is required" in line]


TRIGGERS = """
    SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE NOT tgisinternal AND relnamespace <> 'pg_catalog'::regnamespace ORDER BY 1
"""  # where Citus has its own
WALLED = "SELECT relname FROM pg_class WHERE relrowsecurity ORDER BY 1"


def test_adopted_tables_get_triggers_and_policies_and_lose_them(adopted: Settings) -> None:
    tables = ("avatars", "catalog_items", "users")
    assert [row[0] for row in sql(adopted, TRIGGERS)] == sorted(
        [f"trg_{table}_{what}" for table in tables for what in ("audit", "updated_at")]
        + [f"trg_catalog_items_{what}" for what in ("notify", "search_insert", "search_update")]
    )
    assert [row[0] for row in sql(adopted, WALLED)] == ["audit_log", "avatars", "users"]
    assert scalar(adopted, "SELECT count(*) FROM audit.audit_log") == 0
    sql(adopted, f"UPDATE shared.users SET \"lastLogin\" = now(), role = 'brand' WHERE id = '{original.BOB}'")
    [entry] = sql(adopted, "SELECT record_id::text, new_values ->> 'role' AS role, new_values FROM audit.audit_log")
    assert (entry["record_id"], entry["role"]) == (original.BOB, "brand")
    assert "lastLogin" not in entry["new_values"]
    assert "bob" in entry["new_values"]
    assert "$2b$10$bob" not in entry["new_values"]

    # and when
    runner.downgrade(adopted, "base")

    # then
    assert sql(adopted, TRIGGERS) == []
    assert sql(adopted, WALLED) == []
    assert sql(adopted, "SELECT polname FROM pg_policy") == []
    grants = "SELECT 1 FROM information_schema.table_privileges WHERE grantee = 'fashion_wallet_app'"
    assert sql(adopted, grants) == []
    sql(adopted, "UPDATE shared.users SET role = 'user'")


def moments(settings: Settings, query: str) -> list[str]:
    return [row[0].astimezone(UTC).isoformat() for row in sql(settings, query)]


@pytest.mark.parametrize(
    ("given", "of_database", "moment", "said"),
    [
        (None, None, "2024-03-01T12:00:00+00:00", "UTC, which the database says; --timestamps-in tells another"),
        (
            None,
            "Europe/Berlin",
            "2024-03-01T11:00:00+00:00",
            "Europe/Berlin, which the database says; --timestamps-in tells another",
        ),
        ("America/New_York", "Europe/Berlin", "2024-03-01T17:00:00+00:00", "America/New_York"),
    ],
)
def test_timestamps_without_a_time_zone_are_read_as_of_the_databases_or_the_given(
    settings: Settings, given: str | None, of_database: str | None, moment: str, said: str
) -> None:
    # given
    sql(settings, original.USERS)
    if of_database is not None:
        sql(settings, f"ALTER DATABASE {scalar(settings, 'SELECT current_database()')} SET timezone = '{of_database}'")

    # when
    lines = runner.upgrade(settings, timestamps_in=given)

    # then: those that do say are the same
    assert moments(settings, f"SELECT created_at FROM shared.users WHERE id = '{original.ALICE}'") == [moment]
    changed = moments(settings, f"SELECT updated_at FROM shared.users WHERE id = '{original.ALICE}'")
    assert changed == ["2024-03-02T12:00:00+00:00"]
    assert f"PostgreSQL: shared.users: created_at had no time zone and were read as of {said}" in lines


def test_an_unknown_time_zone_is_refused_before_anything_is_changed(settings: Settings) -> None:
    sql(settings, original.USERS)
    with pytest.raises(MigrationError, match="PostgreSQL knows no time zone Mars; Europe/Berlin is one, or UTC"):
        runner.upgrade(settings, timestamps_in="Mars")
    assert scalar(settings, "SELECT to_regclass('shared.alembic_version')") is None


def test_null_flags_get_their_default_are_counted_and_leave_updated_at(settings: Settings) -> None:
    # given: a trigger as the original's, and one that is off
    sql(
        settings,
        original.USERS,
        original.REST,
        "UPDATE catalog.catalog_items SET properties = NULL, price = NULL, updated_at = '2024-05-01Z'",
        "CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN NEW.updated_at := now(); RETURN NEW; END'",
        "CREATE TRIGGER touch BEFORE UPDATE ON shared.users FOR EACH ROW EXECUTE FUNCTION public.touch()",
        "ALTER TABLE shared.users ENABLE ALWAYS TRIGGER touch",
        "CREATE TRIGGER off BEFORE UPDATE ON catalog.catalog_items FOR EACH ROW EXECUTE FUNCTION public.touch()",
        "ALTER TABLE catalog.catalog_items DISABLE TRIGGER off",
        "UPDATE shared.users SET is_active = NULL",
        "ALTER TABLE shared.users DISABLE TRIGGER touch",
        "UPDATE shared.users SET updated_at = '2024-05-01Z'",
        "ALTER TABLE shared.users ENABLE ALWAYS TRIGGER touch",
    )

    # when
    lines = runner.upgrade(settings)

    # then
    assert [tuple(row) for row in sql(settings, "SELECT DISTINCT is_active FROM shared.users")] == [(True,)]
    for table in ("shared.users", "catalog.catalog_items"):
        assert moments(settings, f"SELECT DISTINCT updated_at FROM {table}") == ["2024-05-01T00:00:00+00:00"]
    assert [line for line in lines if " null in " in line] == [
        "PostgreSQL: shared.users.is_active was null in 2 rows, which got true",
        "PostgreSQL: catalog.catalog_items.properties was null in 1 row, which got '{}'::jsonb",
        "PostgreSQL: catalog.catalog_items.price was null in 1 row, which got 0",
    ]
    states = sql(settings, "SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgname IN ('touch', 'off') ORDER BY 1")
    assert [tuple(row) for row in states] == [("off", "D"), ("touch", "A")]
