"""What a backup has in it, and that all of it is there again after it was restored."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bson
import httpx
import pytest
from bson import json_util

from api.backup import checking, streams
from api.backup.errors import BackupError
from api.backup.postgres_restoring import LEAP
from api.backup.programs import program
from api.backup.restoring import restore
from api.config.settings import Settings
from api.stores.stores import open_stores
from documents.schemas import SCHEMAS
from tests.backup.conftest import Backup
from tests.support.applications import running
from tests.support.backups import contents, restored, saved, untold
from tests.support.graphql import execute, gid
from tests.support.servers import POSTGRES_BIN
from tests.support.stores.databases import scalar, sql, structure
from tests.support.world import World

RIGHTS = """
    SELECT format('%s %s', p.oid::regprocedure, has_function_privilege('public', p.oid, 'EXECUTE'))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname IN ('shared', 'audit', 'catalog', 'design')
    UNION ALL SELECT format('%s %s %s %s', polrelid::regclass, polname, polroles::regrole[],
        pg_get_expr(polqual, polrelid)) FROM pg_policy
    UNION ALL SELECT format('%s %s', c.oid::regclass, relrowsecurity) FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname IN ('shared', 'audit', 'catalog', 'design', 'avatar')
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT format('%s %s %s %s', table_schema, table_name, grantee, privilege_type)
    FROM information_schema.role_table_grants WHERE grantee = 'fashion_wallet_app' ORDER BY 1
"""


def rights(settings: Settings) -> list[str]:
    """Who may do what, by the catalogs."""
    return [row[0] for row in sql(settings, f"SELECT * FROM ({RIGHTS}) AS rights (told)")]


def uncast(found: Mapping[str, set[tuple[Any, ...]]]) -> dict[str, set[str]]:
    """A structure without the casts of its expressions: PostgreSQL writes them in other places once it has read its own
    text."""
    return {kind: {re.sub(r"::[a-z ]+(\[\])?|[()]", "", str(row)) for row in rows} for kind, rows in found.items()}


def described(settings: Settings) -> dict[str, Any]:
    """Options and indexes of the collections."""

    async def read() -> dict[str, Any]:
        async with open_stores(settings) as stores:
            return {
                schema.name: (
                    [
                        info["options"]
                        async for info in await stores.database.list_collections(filter={"name": schema.name})
                    ],
                    [
                        {name: value for name, value in index.items() if name != "ns"}
                        async for index in await stores.database[schema.name].list_indexes()
                    ],
                )
                for schema in SCHEMAS
            }

    return asyncio.run(read())


def test_everything_is_there_again(plain: Backup, target: Settings) -> None:
    restored(target, plain.folder)

    assert contents(target) == plain.contents
    assert uncast(structure(target)) == uncast(structure(plain.source))
    assert rights(target) == rights(plain.source)


def test_collections_have_the_options_and_indexes_that_were_saved(
    plain: Backup, target: Settings, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"unique": True, "sparse": True}

    async def index(*, make: bool) -> None:
        async with open_stores(plain.source) as stores:
            if make:
                await stores.database["designs"].create_index([("odd.field", -1), ("_id", 1)], name="odd", **options)
            else:
                await stores.database["designs"].drop_index("odd")

    asyncio.run(index(make=True))
    try:
        saved(plain.source, tmp_path / "backup")
        expected = described(plain.source)
    finally:
        asyncio.run(index(make=False))
    found = checking.check(tmp_path / "backup", [], untold)

    asyncio.run(restore(target, tmp_path / "backup", found, [], untold))

    assert described(target) == expected
    assert any(index.items() >= {"name": "odd", **options}.items() for index in expected["designs"][1])


def test_the_places_of_live_updates_go_on_far_beyond_those_that_were_saved(plain: Backup, target: Settings) -> None:
    given = scalar(plain.source, "SELECT last_value FROM audit.audit_log_positions")

    restored(target, plain.folder)

    assert scalar(target, "SELECT nextval('audit.audit_log_positions')") == given + LEAP + 1


def test_row_level_security_holds_after_a_restore(plain: Backup, target: Settings, worlds: dict[str, World]) -> None:
    world = next(iter(worlds.values()))
    walled = target.model_copy(update={"row_level_security": True, "auth_secret": plain.source.auth_secret})

    async def seen() -> list[set[str]]:
        found = []
        async with running(walled) as (_, client):
            for name in ("ada", "eve"):
                as_before = httpx.AsyncClient(
                    transport=client._transport, base_url=client.base_url, headers=world.clients[name].headers
                )
                data = await execute(as_before, "{ avatars(first: 50) { nodes { id } } }")
                found.append({node["id"] for node in data["avatars"]["nodes"]})
        return found

    restored(target, plain.folder)
    [of_the_owner, of_a_stranger] = asyncio.run(seen())

    assert gid(world.avatars["ada's worn"]) in of_the_owner
    assert of_a_stranger < of_the_owner


def test_sessions_last_unless_they_are_ended(plain: Backup, target: Settings) -> None:
    restored(target, plain.folder, end_sessions=True)

    there = sql(target, "SELECT DISTINCT revoked_for FROM shared.account_sessions")
    assert [row[0] for row in there] == ["restore"]


def test_answers_about_designs_that_may_be_lost_are_forgotten(plain: Backup, target: Settings, tmp_path: Path) -> None:
    insert = (
        "INSERT INTO shared.idempotency_keys (id, actor, key, fingerprint, response, locked_until, written_at) VALUES "
        "(gen_random_uuid(), 'a', '{}', '', '{{}}', now() {}, {})"
    )
    sql(
        plain.source,
        insert.format("before", "- interval '1 minute'", "NULL"),
        insert.format("meanwhile", "+ interval '1 minute'", "NULL"),
        insert.format("meanwhile, a row", "+ interval '1 minute'", "now()"),
        "SELECT 1",
    )
    try:
        saved(plain.source, tmp_path / "backup")
    finally:
        sql(plain.source, "DELETE FROM shared.idempotency_keys")

    restored(target, tmp_path / "backup")

    kept = sql(target, "SELECT key, response IS NOT NULL AS answered FROM shared.idempotency_keys ORDER BY key")
    assert [tuple(row) for row in kept] == [("before", True), ("meanwhile", False), ("meanwhile, a row", True)]


def test_an_encrypted_backup_is_restored_with_its_key(
    encrypted: Backup, target: Settings, key: streams.Identity
) -> None:
    restored(target, encrypted.folder, [key])

    assert contents(target) == encrypted.contents
    assert not any(
        b"correct horse" in path.read_bytes() or b"Ada" in path.read_bytes() for path in files(encrypted.folder)
    )


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_age_and_pg_restore_read_it(encrypted: Backup, key: streams.Identity, tmp_path: Path) -> None:
    age = shutil.which("age")
    if age is None:
        pytest.skip("there is no program `age`")
    (tmp_path / "key").write_text(str(key))

    plain = subprocess.run(
        [age, "-d", "-i", tmp_path / "key", encrypted.folder / "postgresql.dump.age"], capture_output=True, check=True
    ).stdout
    listed = subprocess.run(
        [program("pg_restore", encrypted.manifest.postgresql.version // 10_000, POSTGRES_BIN), "--list"],
        input=plain, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip

    assert "TABLE DATA shared users" in listed
    assert "TABLE DATA audit audit_log" in listed
    assert "TABLE DATA design design_search" not in listed


def test_documents_are_in_the_form_of_mongodump(plain: Backup) -> None:
    folder = plain.folder / "mongodb" / plain.manifest.mongodb.database

    async def stored() -> list[dict[str, Any]]:
        async with open_stores(plain.source) as stores:
            return await stores.database["designs"].find(sort={"_id": 1}).to_list()

    with gzip.open(folder / "designs.bson.gz") as stream:
        documents: list[dict[str, Any]] = bson.decode_all(stream.read(), bson.CodecOptions(tz_aware=True))
    text = gzip.decompress((folder / "designs.metadata.json.gz").read_bytes()).decode()
    metadata = json.loads(text)

    assert documents == asyncio.run(stored())
    assert documents
    # what mongorestore reads of it, in canonical extended JSON
    assert metadata.keys() == {"options", "indexes", "uuid", "collectionName", "type"}
    assert (metadata["collectionName"], metadata["type"]) == ("designs", "collection")
    assert metadata["indexes"][0] == {
        "v": {"$numberInt": "2"}, "key": {"_id": {"$numberInt": "1"}}, "name": "_id_"
    }  # fmt: skip
    assert len(bytes.fromhex(metadata["uuid"])) == 16
    read = json_util.loads(text)
    assert read["options"]["validator"] == SCHEMAS[0].validator
    assert [list(index["key"]) for index in read["indexes"] if index["name"] == "idx_designs_createdAt"] in (
        [], [["createdAt", "_id"]]
    )  # fmt: skip


def test_a_backup_is_a_new_folder(plain: Backup) -> None:
    with pytest.raises(BackupError, match="is there already: a backup is a new folder"):
        saved(plain.source, plain.folder)
    assert list(plain.folder.parent.iterdir()) == [plain.folder]


def test_others_may_not_read_it(plain: Backup) -> None:
    assert plain.folder.stat().st_mode & 0o077 == 0
