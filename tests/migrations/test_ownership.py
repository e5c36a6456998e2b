"""What isn't ours is neither dropped nor renamed, though it has the name of something of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.config.settings import Settings
from migrations import runner
from migrations.errors import AdoptionError
from tests.support.stores import original
from tests.support.stores.databases import scalar, sql

OWN_TABLE = (
    "CREATE SCHEMA catalog; CREATE TABLE catalog.products (id int CONSTRAINT pk_catalog_items PRIMARY KEY, type text)"
)
BEFORE_LISTS = "3f1c9a7e5b20"
"""The revision before the one of the lists' indexes."""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'catalog' ORDER BY 2"


def indexes(settings: Settings, *names: str) -> dict[str, str]:
    """Tables of the indexes of the catalogue with these names."""
    return {row["indexname"]: row["tablename"] for row in sql(settings, INDEXES) if row["indexname"] in names}


@pytest.mark.parametrize("items_too", [False, True])
def test_another_tables_index_keeps_its_name(settings: Settings, versions: Path, items_too: bool) -> None:
    # given: indexes of an older and of a newer revision, and a sequence
    existing = [original.USERS, original.REST] if items_too else []
    own = OWN_TABLE if not items_too else OWN_TABLE.partition("; ")[2]
    sql(
        settings,
        *existing,
        own,
        "CREATE INDEX idx_catalog_items_type ON catalog.products (type)",
        "CREATE INDEX idx_catalog_items_created_by_deleted ON catalog.products (id)",
        "CREATE SEQUENCE catalog.idx_catalog_items_price",
        "CREATE TABLE public.operations (id int)",  # in another schema than ours
        "CREATE SCHEMA audit",  # where the name of an index is taken, and not that of the table's key
        "CREATE SEQUENCE audit.idx_audit_log_actor_id",
    )

    # when
    runner.upgrade(settings)

    # then
    assert indexes(
        settings,
        "pk_catalog_items",
        "pk_catalog_items_2",
        "idx_catalog_items_type",
        "idx_catalog_items_type_2",
        "idx_catalog_items_created_by_deleted",
        "idx_catalog_items_created_by_deleted_2",
        "idx_catalog_items_price_2",
    ) == {
        "pk_catalog_items": "products",
        **({} if items_too else {"pk_catalog_items_2": "catalog_items"}),
        "idx_catalog_items_type": "products",
        "idx_catalog_items_type_2": "catalog_items",
        "idx_catalog_items_created_by_deleted": "products",
        "idx_catalog_items_created_by_deleted_2": "catalog_items",
        "idx_catalog_items_price_2": "catalog_items",
    }
    assert scalar(settings, "SELECT to_regclass('audit.idx_audit_log_actor_id_2')") is not None
    assert runner.generate(settings, "nothing") is None

    # and when
    runner.downgrade(settings, BEFORE_LISTS)

    # then
    assert indexes(settings, "idx_catalog_items_created_by_deleted", "idx_catalog_items_created_by_deleted_2") == {
        "idx_catalog_items_created_by_deleted": "products"
    }

    # and when
    runner.upgrade(settings)
    assert runner.generate(settings, "nothing") is None
    runner.downgrade(settings, "base")

    # then
    assert indexes(settings, "pk_catalog_items", "idx_catalog_items_type") == {
        "pk_catalog_items": "products",
        "idx_catalog_items_type": "products",
    }


def test_indexes_constraints_and_triggers_of_an_adopted_table_keep_their_names(
    settings: Settings, versions: Path
) -> None:
    # given: the same names mean something else
    theirs = """
        CREATE INDEX idx_users_role ON shared.users (role);
        CREATE INDEX idx_users_deleted ON shared.users (is_active);
        CREATE UNIQUE INDEX uidx_users_email ON shared.users (email);
        ALTER TABLE shared.users ADD CONSTRAINT chk_users_role CHECK (length(email) > 3);
        CREATE FUNCTION public.theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER trg_users_updated_at BEFORE UPDATE ON shared.users FOR EACH ROW EXECUTE FUNCTION public.theirs();
        CREATE TRIGGER trg_users_audit BEFORE UPDATE ON shared.users FOR EACH ROW EXECUTE FUNCTION public.theirs();
    """
    sql(settings, original.USERS, theirs)
    definitions = """
        SELECT indexname AS name, indexdef AS what FROM pg_indexes WHERE tablename = 'users'
        UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE conrelid = 'shared.users'::regclass AND contype = 'c'
        UNION ALL SELECT tgname, tgfoid::regproc::text FROM pg_trigger
            WHERE tgrelid = 'shared.users'::regclass AND NOT tgisinternal
    """
    before = {tuple(row) for row in sql(settings, f"SELECT * FROM ({definitions}) AS found")}

    # when
    runner.upgrade(settings)

    # then
    after = {tuple(row) for row in sql(settings, f"SELECT * FROM ({definitions}) AS found")}
    assert before - after == set()
    added = {name for name, _ in after - before}
    assert {
        *("idx_users_role_2", "idx_users_deleted_2", "uidx_users_email_2", "chk_users_role_2"),
        *("trg_users_updated_at_2", "trg_users_audit_2"),
    } <= added
    assert runner.generate(settings, "nothing") is None
    sql(settings, f"UPDATE shared.users SET role = 'brand' WHERE id = '{original.BOB}'")
    assert scalar(settings, "SELECT count(*) FROM audit.audit_log") == 1

    # and when
    runner.downgrade(settings, "base")

    # then: theirs are there, and no trigger of ours
    left = {tuple(row) for row in sql(settings, f"SELECT * FROM ({definitions}) AS found")}
    assert before <= left
    assert {name for name, _ in left if name.startswith("trg_")} == {"trg_users_updated_at", "trg_users_audit"}


def test_an_index_made_beforehand_is_kept_and_serves(migrated: Settings, versions: Path) -> None:
    # given
    runner.downgrade(migrated, BEFORE_LISTS)
    sql(
        migrated,
        "CREATE INDEX CONCURRENTLY idx_users_deleted ON shared.users (created_at, id) WHERE deleted_at IS NOT NULL",
    )
    before = scalar(migrated, "SELECT 'shared.idx_users_deleted'::regclass::oid")

    # when
    runner.upgrade(migrated)

    # then
    assert scalar(migrated, "SELECT 'shared.idx_users_deleted'::regclass::oid") == before
    assert scalar(migrated, "SELECT to_regclass('shared.idx_users_deleted_2')") is None
    assert runner.generate(migrated, "nothing") is None


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("shared.touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'", "touch_updated_at()"),
        ("shared.fold(text) RETURNS text LANGUAGE sql AS 'SELECT 1::text'", "fold(text)"),
    ],
)
def test_a_function_of_theirs_is_not_replaced(settings: Settings, function: str, name: str) -> None:
    sql(settings, "CREATE SCHEMA shared", f"CREATE FUNCTION {function}")
    source = scalar(settings, "SELECT prosrc FROM pg_proc WHERE pronamespace = 'shared'::regnamespace")
    with pytest.raises(AdoptionError) as caught:
        runner.upgrade(settings)
    assert str(caught.value) == (
        f"the function shared.{name} is there already and is not this application's; rename it. Nothing was changed"
    )
    assert scalar(settings, "SELECT prosrc FROM pg_proc WHERE pronamespace = 'shared'::regnamespace") == source


def test_defaults_of_theirs_stay_where_this_application_has_none(adopted: Settings, versions: Path) -> None:
    assert runner.generate(adopted, "nothing") is None
    # as the original does, which relies on it
    sql(adopted, f"INSERT INTO avatar.avatars (user_id) VALUES ('{original.BOB}')")
    assert scalar(adopted, f"SELECT name FROM avatar.avatars WHERE user_id = '{original.BOB}'") == ""
