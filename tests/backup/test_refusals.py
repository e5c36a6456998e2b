"""Backups that can't be restored: each is refused with a sentence, and nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest

from api.backup import checking, streams
from api.backup.errors import BackupError
from api.config.settings import Settings
from api.stores.stores import open_stores
from tests.backup.conftest import Backup
from tests.support.backups import restored, rewrite, untold
from tests.support.stores.databases import scalar, sql


def is_empty(settings: Settings) -> bool:
    """Whether both stores have nothing of ours."""

    async def collections() -> list[str]:
        async with open_stores(settings) as stores:
            return await stores.database.list_collection_names()

    ours = "nspname IN ('shared', 'avatar', 'catalog', 'design', 'audit')"
    return not scalar(settings, f"SELECT count(*) FROM pg_namespace WHERE {ours}") and not asyncio.run(collections())


def truncate(folder: Path) -> None:
    path = folder / "postgresql.dump"
    path.write_bytes(path.read_bytes()[:-1])


def flip(folder: Path) -> None:
    path = folder / "postgresql.dump"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def remove(folder: Path) -> None:
    next(folder.rglob("designs.bson.gz")).unlink()


def interrupt(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def garble(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"{")


def leave_out(folder: Path) -> None:
    rewrite(folder, "files", value={})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncate, r"isn't whole: postgresql.dump has \d+ bytes, and had \d+$"),
        (flip, r"was changed: postgresql.dump isn't the file that was saved$"),
        (remove, r"isn't whole: mongodb/.*/designs.bson.gz is missing$"),
        (interrupt, r"is no backup, or not a whole one: it has no manifest.json$"),
        (garble, r"is damaged: it doesn't say what is in the backup$"),
        (leave_out, r"is damaged: it doesn't list mongodb/.*, postgresql.dump$"),
        (lambda folder: rewrite(folder, "format", value=2), r"has the format 2, and this version .* formats up to 1"),
        (lambda folder: rewrite(folder, "format", value="x"), r"is damaged: format: "),
        (
            lambda folder: rewrite(folder, "postgresql", "revision", value="ffffffffffff"),
            r"has PostgreSQL at revision ffffffffffff, which this version of the program doesn't have",
        ),
        (
            lambda folder: rewrite(folder, "mongodb", "database", value="../../elsewhere"),
            r"is damaged: mongodb.database: Value error, not the name of a database",
        ),
        (
            lambda folder: rewrite(folder, "mongodb", "collections", value={"../x": {"count": 0, "digest": ""}}),
            r"is no collection of this program$",
        ),
        (
            lambda folder: rewrite(folder, "postgresql", "version", value=990000),
            r"there is no p\w+ of PostgreSQL 99 or newer|PostgreSQL here is older",
        ),
    ],
)
def test_what_is_damaged_or_newer_is_refused(
    copied: Path, target: Settings, damage: Callable[[Path], None], said: str
) -> None:
    damage(copied)

    with pytest.raises(BackupError, match=said):
        restored(target, copied)

    assert is_empty(target)


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("count", 1, r"shared.users isn't what was saved: it has \d+ rows, and had 1$"),
        ("digest", "0/0", r"shared.users isn't what was saved: some of its rows differ$"),
    ],
)
def test_rows_that_are_not_those_that_were_saved_are_not_kept(
    copied: Path, target: Settings, part: str, value: object, said: str
) -> None:
    rewrite(copied, "postgresql", "tables", "shared.users", part, value=value)

    with pytest.raises(BackupError, match=said):
        restored(target, copied)

    assert is_empty(target)


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("count", 1, r"designs isn't what was saved: it has \d+ documents, and had 1$"),
        ("digest", "0", r"designs isn't what was saved: some of its documents differ$"),
    ],
)
def test_documents_that_are_not_those_that_were_saved_are_not_kept(
    copied: Path, target: Settings, part: str, value: object, said: str
) -> None:
    rewrite(copied, "mongodb", "collections", "designs", part, value=value)

    with pytest.raises(BackupError, match=said):
        restored(target, copied)

    assert is_empty(target)


def test_a_dump_that_pg_restore_cannot_read_changes_nothing(copied: Path, target: Settings) -> None:
    path = copied / "postgresql.dump"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    there = streams.stored(path)
    rewrite(copied, "files", "postgresql.dump", value={"bytes": there.bytes, "sha256": there.sha256})

    with pytest.raises(BackupError, match=r"pg_restore can't read the dump: .*end of file"):
        restored(target, copied)

    assert is_empty(target)


def test_an_encrypted_backup_needs_its_key(encrypted: Backup, target: Settings) -> None:
    with pytest.raises(BackupError, match=r"is encrypted: name the file with the key \(--identity\)$"):
        restored(target, encrypted.folder)
    with pytest.raises(BackupError, match=r"design\w+.metadata.\S+ can't be decrypted: No matching keys found$"):
        restored(target, encrypted.folder, [pyrage.x25519.Identity.generate()])

    assert is_empty(target)
    # whoever stores it can check it all the same
    assert checking.check(encrypted.folder, None, untold) == encrypted.manifest


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "there is no key in"),
        ("# a comment\nssh-rsa AAAA", "line 2 of .* is no key that starts with AGE-SECRET-KEY-1$"),
        ("AGE-SECRET-KEY-1BROKEN", "line 1 of .* is no key that starts with AGE-SECRET-KEY-1$"),
    ],
)
def test_files_without_a_private_key_are_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "key").write_text(content)

    with pytest.raises(BackupError, match=said):
        streams.identities(tmp_path / "key")
    with pytest.raises(BackupError, match=r"can't be read: No such file or directory$"):
        streams.identities(tmp_path / "none")


def test_stores_that_are_not_empty_stay_as_they_are(plain: Backup, target: Settings) -> None:
    sql(target, "CREATE SCHEMA shared", "CREATE TABLE shared.mine AS SELECT 1 AS one")

    with pytest.raises(BackupError, match=r"isn't empty, it has shared.mine: .* Nothing was changed$"):
        restored(target, plain.folder)

    assert sql(target, "SELECT * FROM shared.mine")[0][0] == 1
    sql(target, "DROP SCHEMA shared CASCADE")
    assert is_empty(target)


def test_a_mongodb_that_is_not_empty_stays_as_it_is(plain: Backup, target: Settings) -> None:
    async def names(*, write: bool = False) -> list[str]:
        async with open_stores(target) as stores:
            if write:
                await stores.database["designs"].insert_one({"_id": 1})
            return [str(document["_id"]) async for document in stores.database["designs"].find()]

    asyncio.run(names(write=True))

    with pytest.raises(BackupError, match=r"isn't empty, it has designs: .* Nothing was changed$"):
        restored(target, plain.folder)

    assert asyncio.run(names()) == ["1"]
    assert not scalar(target, "SELECT count(*) FROM pg_namespace WHERE nspname IN ('shared', 'catalog')")
