"""Rows of an existing database that contradict its new rules: all are named at once, and nothing is changed."""

from __future__ import annotations

import re

import pytest

from api.config.settings import Settings
from migrations import runner
from migrations.errors import AdoptionError
from tests.support.stores import original
from tests.support.stores.databases import scalar, sql, structure

TWIN = "77777777-7777-4777-8777-777777777777"


def refusal(settings: Settings) -> str:
    """What an upgrade says that must not change anything."""
    before = structure(settings)
    with pytest.raises(AdoptionError) as caught:
        runner.upgrade(settings)
    assert structure(settings) == before
    assert scalar(settings, "SELECT to_regclass('shared.alembic_version')") is None
    return str(caught.value)


def test_accounts_with_one_address_are_named_by_the_rule_of_today(settings: Settings) -> None:
    sql(
        settings,
        original.USERS,
        f"INSERT INTO shared.users (id, email, password_hash) VALUES ('{TWIN}', ' ALICE@example.com', 'x')",
    )
    assert refusal(settings) == (
        "1 rule is broken in this database; nothing was changed\n"
        "1. shared.users: an email address belongs to one account, whatever its case, its form in Unicode and the "
        "blanks around it\n"
        f"   broken once: {original.ALICE} = {TWIN}\n"
        f"   to see them: SELECT * FROM shared.users WHERE id::text IN ('{original.ALICE}', '{TWIN}');\n"
        "   Change the address of all but one of them; deleted accounts keep theirs, too."
    )
    assert scalar(settings, "SELECT count(*) FROM shared.users") == 3


@pytest.mark.parametrize(
    ("contradiction", "message"),
    [
        (
            "ALTER TABLE shared.users ALTER email DROP NOT NULL; UPDATE shared.users SET email = NULL",
            "shared.users: email is required\n   broken 2 times: ",
        ),
        (
            "UPDATE shared.users SET email = repeat('x', 256) WHERE role = 'admin'",
            f"shared.users: email has at most 255 characters\n   broken once: {original.ALICE}\n",
        ),
        (
            "ALTER TABLE shared.users DROP COLUMN password_hash",
            "shared.users: password_hash is required, and there is no such column\n   broken 2 times: ",
        ),
        (
            "ALTER TABLE shared.users DROP COLUMN role; ALTER TABLE shared.users ADD role text DEFAULT 'root'",
            "shared.users: role is user, premium, brand or admin\n   broken 2 times: ",
        ),
        (
            f"ALTER TABLE shared.users ADD created_by uuid DEFAULT '{TWIN}'",
            "shared.users: created_by is the id of a row of shared.users\n   broken 2 times: ",
        ),
        (
            "ALTER TABLE shared.users DROP COLUMN is_active; ALTER TABLE shared.users ADD is_active int",
            "shared.users: is_active is integer, which can't become boolean",
        ),
        ("UPDATE catalog.catalog_items SET price = 12.5", "price is a whole number, of cents where it is a price"),
        (
            "ALTER TABLE catalog.catalog_items ALTER price TYPE bigint; UPDATE catalog.catalog_items SET price = 3e9",
            "price is a whole number, of cents where it is a price",
        ),
        ("UPDATE catalog.catalog_items SET price = -1", "catalog.catalog_items: price is 0 or more"),
        (
            "UPDATE catalog.catalog_items SET type = 'button'",
            f"catalog.catalog_items: type is silhouette, fabric or pattern\n   broken once: {original.FABRIC}\n",
        ),
        (
            """UPDATE avatar.avatars SET measurements = '{"height": "tall"}'""",
            "avatar.avatars: measurements are an object of positive numbers\n   broken once: ",
        ),
        (
            "INSERT INTO avatar.avatars (user_id, name, is_default) SELECT user_id, 'Two', true FROM avatar.avatars",
            "avatar.avatars: a user has one default avatar at most\n   broken once: ",
        ),
        (
            'ALTER TABLE avatar.avatars DROP CONSTRAINT "PK_224de7bae2014a1557cd9930ed7"; '
            "INSERT INTO avatar.avatars SELECT * FROM avatar.avatars",
            "avatar.avatars: id is the primary key\n   broken once: ",
        ),
        (
            'ALTER TABLE avatar.avatars DROP CONSTRAINT "PK_224de7bae2014a1557cd9930ed7"; '
            "ALTER TABLE avatar.avatars ADD PRIMARY KEY (user_id)",
            "avatar.avatars: the primary key is (user_id), not (id)",
        ),
        (
            "ALTER TABLE catalog.catalog_items ALTER id DROP DEFAULT, ALTER id TYPE text; "
            "UPDATE catalog.catalog_items SET id = 'linen'",
            "catalog.catalog_items: id is a UUID\n   broken once: linen\n",
        ),
        (
            "ALTER TABLE catalog.catalog_items ALTER properties TYPE text; "
            "UPDATE catalog.catalog_items SET properties = '[1'",
            "catalog.catalog_items: properties is JSON\n   PostgreSQL says: The input string ended unexpectedly.",
        ),
        (
            "CREATE TABLE shared.operations (id int)",
            "shared.operations: is there already and is not this application's",
        ),
        (
            "CREATE TABLE shared.account_sessions (id int)",
            "shared.account_sessions: is there already and is not this application's",
        ),
    ],
)
def test_what_contradicts_a_rule_is_named(settings: Settings, contradiction: str, message: str) -> None:
    sql(settings, original.USERS, original.REST, contradiction)
    assert message in refusal(settings)


MENDABLE = (
    # as the original's seeder, and services that store what they have: no value is null
    "ALTER TABLE shared.users ALTER role DROP DEFAULT, ALTER role TYPE text; UPDATE shared.users SET role = 'designer'",
    f"ALTER TABLE shared.users ADD created_by uuid DEFAULT '{TWIN}'",
    """UPDATE avatar.avatars SET measurements = '{"height": 172.5, "chest": null}'""",
    "INSERT INTO avatar.avatars (user_id, name, is_default, updated_at) "
    "SELECT user_id, 'Older', true, 'yesterday' FROM avatar.avatars",
    "UPDATE catalog.catalog_items SET properties = 'null'",
)


def test_all_are_named_at_once_and_what_is_printed_mends_them(settings: Settings) -> None:
    # given
    sql(settings, original.USERS, original.REST, *MENDABLE)

    # when
    text = refusal(settings)

    # then
    assert text.splitlines()[0] == "5 rules are broken in this database; nothing was changed"
    assert [line for line in text.splitlines() if re.match(r"\d+\. ", line)] == [
        "1. shared.users: role is user, premium, brand or admin",
        "2. shared.users: created_by is the id of a row of shared.users",
        "3. avatar.avatars: measurements are an object of positive numbers",
        "4. avatar.avatars: a user has one default avatar at most",
        "5. catalog.catalog_items: properties are an object",
    ]
    assert "The original's seeder makes the role designer." in text
    shown = re.findall(r"to see them: (.*);", text)
    assert [len(sql(settings, query)) for query in shown] == [2, 2, 1, 2, 1]

    # and when
    sql(settings, *re.findall(r"to mend them: (.*);", text))
    runner.upgrade(settings)

    # then
    assert {row["role"] for row in sql(settings, "SELECT role FROM shared.users")} == {"user"}
    found = sql(settings, "SELECT name, is_default, measurements::text AS size FROM avatar.avatars ORDER BY name")
    assert [tuple(row) for row in found] == [("Me", True, '{"height": 172.5}'), ("Older", False, "{}")]
    assert scalar(settings, "SELECT properties::text FROM catalog.catalog_items") == "{}"


def test_no_sql_is_offered_where_something_would_be_lost(settings: Settings) -> None:
    sql(
        settings,
        original.USERS,
        "ALTER TABLE shared.users ALTER role DROP DEFAULT, ALTER role TYPE text; UPDATE shared.users SET role = 'root'",
    )
    text = refusal(settings)
    assert "to see them: " in text
    assert "to mend them" not in text


def test_more_rows_than_are_listed_are_counted(settings: Settings) -> None:
    sql(
        settings,
        original.USERS,
        "ALTER TABLE shared.users ALTER role DROP DEFAULT, ALTER role TYPE text",
        "INSERT INTO shared.users (email, password_hash, role) SELECT n || '@x.test', 'x', 'root' "
        "FROM generate_series(1, 30) n",
    )
    [line] = [line for line in refusal(settings).splitlines() if "broken" in line and "times" in line]
    assert re.fullmatch(r"   broken 30 times: (\S+, ){19}\S+ and 10 more", line)


def test_a_rule_is_asked_of_rows_as_they_will_be(settings: Settings) -> None:
    """Null flags get a default, naive timestamps a zone, an enum becomes text: none of it is a contradiction."""
    sql(settings, original.USERS, original.REST, "UPDATE catalog.catalog_items SET properties = NULL, price = NULL")
    runner.upgrade(settings)
    assert [tuple(row) for row in sql(settings, "SELECT properties::text, price FROM catalog.catalog_items")] == [
        ("{}", 0)
    ]
