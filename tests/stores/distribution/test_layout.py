"""`fashion-wallet migrate distribute`: there, back, and interrupted at any step."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from api.config.settings import Settings
from api.stores.mongodb.client import mongo_client, mongo_database
from api.stores.stores import open_stores
from migrations import clusters, distributing, runner
from migrations.connection import exclusive_connection
from migrations.errors import MigrationError
from migrations.sharding import UNSHARDS, Collection, Server
from models import Base
from models.distribution import DISTRIBUTED, PLACEMENTS, Distributed
from tests.search.following import copy_designs
from tests.support.factories.avatars import create_avatar
from tests.support.factories.designs import create_design, insert_design
from tests.support.factories.users import create_user
from tests.support.servers import command, environment, wait_until
from tests.support.stores.databases import scalar, sql, structure
from tests.support.stores.distributed import distribute

BEYOND_STRUCTURE = (
    "SELECT p.polname, p.polrelid::regclass::text, p.polcmd, pg_get_expr(p.polqual, p.polrelid), "
    "pg_get_expr(p.polwithcheck, p.polrelid) FROM pg_policy p ORDER BY 2, 1",
    "SELECT tgrelid::regclass::text, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid "
    "JOIN pg_namespace n ON n.oid = relnamespace WHERE NOT tgisinternal "
    "AND nspname IN ('shared', 'avatar', 'catalog', 'design', 'audit') ORDER BY 1, 2",
    "SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n "
    "ON n.oid = pronamespace WHERE nspname IN ('shared', 'avatar', 'catalog', 'design', 'audit') ORDER BY 1",
    "SELECT n.nspname, c.relname, array_agg(DISTINCT acl::text) FROM pg_class c JOIN pg_namespace n "
    "ON n.oid = relnamespace, unnest(relacl) acl WHERE nspname IN ('shared', 'avatar', 'audit') AND relkind = 'r' "
    "GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT setconfig FROM pg_db_role_setting WHERE array_to_string(setconfig, ' ') ~ 'propagate|distributed'",
)


def everything(settings: Settings) -> list[Any]:
    """What the catalogs say of our schemas, with policies, triggers, functions and rights."""
    of_tables = structure(settings)
    # PostgreSQL 18 names what isn't null, after the name that the table had when it was made
    of_tables["constraints"] = {
        (*each[:2], "" if each[3].startswith("NOT NULL") else each[2], each[3]) for each in of_tables["constraints"]
    }
    found: list[Any] = [of_tables]
    return found + [[tuple(row) for row in sql(settings, query)] for query in BEYOND_STRUCTURE]


def spread(settings: Settings) -> dict[str, str]:
    """The distributed tables, and by what they are distributed."""
    rows = sql(
        settings,
        "SELECT table_name::text, distribution_column FROM citus_tables WHERE citus_table_type = 'distributed'",
    )
    return {row[0]: row[1] for row in rows}


async def fill(settings: Settings) -> None:
    """Two users with two avatars each, and designs that search knows."""
    async with open_stores(settings) as stores:
        for number in range(2):
            user = await create_user(stores)
            for _ in range(2):
                await create_avatar(stores, user_id=user.id)
                await create_design(stores, user_id=user.id, name=f"Silk {number}")
        await insert_design(stores, name="Nobody's", userId=None)
        await copy_designs(stores)


def rows_of(settings: Settings) -> list[Any]:
    """All rows of avatars, and of designs as search knows them."""
    return [sql(settings, f"SELECT * FROM {table} ORDER BY id") for table in ("avatar.avatars", "design.design_search")]


def test_every_table_has_its_place() -> None:
    assert PLACEMENTS.keys() == Base.metadata.tables.keys()
    for name, placement in DISTRIBUTED.items():
        assert {placement.by, *placement.key} <= set(Base.metadata.tables[name].c.keys())
        assert placement.by in placement.key


def test_a_server_without_citus_is_refused_and_left_alone(settings: Settings, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--postgres") != "embedded":
        pytest.skip("this PostgreSQL has Citus")
    before = everything(settings)
    with pytest.raises(MigrationError, match="this database has no Citus, so there is nothing to distribute"):
        distributing.distribute(settings, pytest.fail)
    assert everything(settings) == before


def test_undoing_leaves_the_database_as_it_was(undistributed: Settings) -> None:
    # given
    asyncio.run(fill(undistributed))
    before, rows = everything(undistributed), rows_of(undistributed)
    log = scalar(undistributed, "SELECT count(*) FROM audit.audit_log")

    # when
    distribute(undistributed)
    distributed = spread(undistributed)
    undone: list[str] = []
    distributing.distribute(undistributed, undone.append, undo=True)

    # then
    assert distributed == {name: each.by for name, each in PLACEMENTS.items() if isinstance(each, Distributed)}
    after = everything(undistributed)
    for kind, then in before[0].items():
        assert after[0][kind] ^ then == set()
    assert after[1:] == before[1:]
    assert spread(undistributed) == {}
    assert rows_of(undistributed) == rows
    assert scalar(undistributed, "SELECT count(*) FROM audit.audit_log") == log
    again: list[str] = []
    distributing.distribute(undistributed, again.append, undo=True)
    assert (len(undone) > len(DISTRIBUTED), again) == (True, [])


def test_a_dry_run_says_the_statements_and_changes_nothing(undistributed: Settings) -> None:
    before, lines = everything(undistributed), list[str]()
    distributing.distribute(undistributed, lines.append, dry_run=True)
    assert everything(undistributed) == before
    assert "SELECT create_distributed_table('avatar.avatars', 'user_id', colocate_with => 'none');" in lines
    assert lines[0].startswith("-- MongoDB: left as it is, this server is no mongos")


def test_where_mongodb_can_not_be_undone_postgresql_is(undistributed: Settings) -> None:
    """MongoDB says what a mongos before 8.0 would, over which designs are sharded."""
    distribute(undistributed)
    lines: list[str] = []
    sharded = Server("wallet", True, UNSHARDS - 1, [Collection("designs", True, {"userId": 1}, ())])

    async def undo() -> int:
        client = mongo_client(undistributed)
        async with client, exclusive_connection(undistributed) as connection:
            database = mongo_database(undistributed, client)
            return await clusters.distribute(connection, database, sharded, lines.append, undo=True, dry_run=False)

    steps = asyncio.run(undo())
    assert lines[0].startswith("MongoDB: left as it is, its collections stay sharded")
    assert steps == len(lines) - 1 >= len(DISTRIBUTED)
    assert spread(undistributed) == {}


@pytest.mark.parametrize("lines", [0, 3, 6, 8, 11, 18])
def test_a_run_that_is_killed_goes_on_where_it_ended(undistributed: Settings, tmp_path: Path, lines: int) -> None:
    # given: rows, and a database as it was before any of it
    asyncio.run(fill(undistributed))
    rows = rows_of(undistributed)

    # when: the process is killed at once after it has told of so many steps
    with command("migrate", "distribute", folder=tmp_path, variables=environment(undistributed)) as process:
        wait_until(lambda: process.text().count("PostgreSQL: ") >= lines or process.process.poll() is not None, "steps")
        process.process.send_signal(signal.SIGKILL)
        process.process.wait(60)
        told = process.text().count("PostgreSQL: ")
    further: list[str] = []
    distributing.distribute(undistributed, further.append)

    # then: no step is done twice, and nothing is missing
    assert len(further) <= len(set(further)) == len(further)
    assert told + len(further) >= len(DISTRIBUTED)
    assert spread(undistributed) == {name: each.by for name, each in DISTRIBUTED.items()}
    assert rows_of(undistributed) == rows
    for table, those in zip(("avatar.avatars", "design.design_search"), rows, strict=True):
        assert scalar(undistributed, f"SELECT count(*) FROM ONLY {table}") == len(those) > 0


def test_revisions_are_not_reverted_under_distributed_tables(on_cluster: Settings) -> None:
    distribute(on_cluster)
    revision = scalar(on_cluster, "SELECT version_num FROM shared.alembic_version")
    with pytest.raises(MigrationError, match="run `migrate distribute --undo` first"):
        runner.downgrade(on_cluster, "-1")
    assert scalar(on_cluster, "SELECT version_num FROM shared.alembic_version") == revision
    assert [line for line in runner.upgrade(on_cluster) if "skipped" not in line] == []
