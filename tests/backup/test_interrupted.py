"""Backups and restores that are killed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from api.backup.errors import BackupError
from api.config.settings import Settings
from api.stores.stores import open_stores
from migrations.connection import LOCK_KEY
from tests.backup.conftest import Backup
from tests.support.backups import contents, restored
from tests.support.servers import command, environment, wait_until
from tests.support.stores.databases import scalar

OTHERS = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'
"""
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@contextmanager
def held(settings: Settings, statement: str) -> Iterator[None]:
    """A transaction that has run this statement, for as long as the block lasts."""

    async def begin() -> asyncpg.Connection[asyncpg.Record]:
        connection = await asyncpg.connect(settings.postgres_url)
        await connection.execute(f"BEGIN; {statement}")
        return connection

    with asyncio.Runner() as runner:
        connection = runner.run(begin())
        try:
            yield
        finally:
            runner.run(connection.close())


def names(settings: Settings) -> list[str]:
    async def read() -> list[str]:
        async with open_stores(settings) as stores:
            return sorted(await stores.database.list_collection_names())

    return asyncio.run(read())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_backup_that_is_killed_is_none(
    plain: Backup, target: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = ("backup", str(tmp_path / "made" / "backup"))
    with (
        held(plain.source, "LOCK TABLE shared.users"),
        command(*arguments, folder=tmp_path, variables=environment(plain.source)) as server,
    ):
        wait_until(lambda: scalar(plain.source, WAITING), "the backup waits for the table")
        code = server.stop(number)
        assert "Saved" not in server.text()

    assert code == (128 + number if number == signal.SIGTERM else -number)
    left = list((tmp_path / "made").iterdir())
    # one that could say goodbye has tidied up, and no name is ever that of a backup
    assert [path.name.endswith(".partial") for path in left] == [True] * (number == signal.SIGKILL)
    for path in left:
        with pytest.raises(BackupError, match="is no backup, or not a whole one"):
            restored(target, path)


def kill_restore(plain: Backup, target: Settings, folder: Path, number: signal.Signals) -> None:
    """A restore that ends by a signal in PostgreSQL's transaction, when MongoDB's part is done."""
    with (
        held(target, f"SELECT pg_advisory_xact_lock({LOCK_KEY})"),
        command("restore", str(plain.folder), folder=folder, variables=environment(target)) as server,
    ):
        wait_until(lambda: scalar(target, WAITING), "the restore waits for a migration")
        server.stop(number)
    wait_until(lambda: not scalar(target, OTHERS), "its transaction has ended")


def test_a_restore_that_is_killed_leaves_postgresql_empty(plain: Backup, target: Settings, tmp_path: Path) -> None:
    kill_restore(plain, target, tmp_path, signal.SIGKILL)

    assert scalar(target, "SELECT count(*) FROM pg_namespace WHERE nspname = 'shared'") == 0
    with pytest.raises(BackupError, match="it has design_revisions, designs: drop them if an interrupted restore left"):
        restored(target, plain.folder)


def test_a_restore_that_is_stopped_leaves_both_stores_empty(plain: Backup, target: Settings, tmp_path: Path) -> None:
    kill_restore(plain, target, tmp_path, signal.SIGTERM)

    assert names(target) == []
    restored(target, plain.folder)
    assert contents(target) == plain.contents


STREAM = """
import resource, sys
from pathlib import Path
import pyrage
from api.backup.streams import reading, writing
key, file = pyrage.x25519.Identity.generate(), Path(sys.argv[1])
def pass_through(pieces):
    file.unlink(missing_ok=True)
    with writing(file, [key.to_public()]) as sink:
        for _ in range(pieces):
            sink.stream.write(bytes(1024 * 1024))
    read = 0
    with reading(file, [key]) as stream:
        while piece := stream.read(65536):
            read += len(piece)
    assert read == pieces * 1024 * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(pass_through(8), pass_through(128))
"""


def test_a_backup_never_lies_whole_in_memory(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", STREAM, tmp_path / "file.age"], capture_output=True, text=True, check=True
    ).stdout
    little, much = (int(kilobytes) for kilobytes in said.split())

    assert much - little < 16 * 1024  # of 128 MiB that went through
