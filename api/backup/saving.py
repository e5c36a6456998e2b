"""Making a backup: a folder that appears when it is whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from sqlalchemy import text

from api.backup import mongodb, postgres
from api.backup.errors import BackupError
from api.backup.manifest import FORMAT, Manifest
from api.backup.postgres import Progress, now
from api.backup.streams import SUFFIX, Recipient
from api.config.settings import Settings
from migrations.connection import migration_engine

PARTIAL: Final = ".partial"
"""The end of the name of a backup that is being made, or was interrupted."""


async def save(settings: Settings, target: Path, to: Sequence[Recipient], progress: Progress) -> Manifest:
    """Save both stores to the folder `target`, which must not be there yet.

    Designs are read before rows, so what they refer to is there. Everything that was acknowledged before the beginning
    is in the backup. Raises BackupError, ConfigurationError, and what the stores raise; then there is no folder.
    """
    with _appearing(target) as folder:
        began = await _clock(settings)
        designs, files = await mongodb.save(settings, folder, to, progress)
        name = postgres.FILE + (SUFFIX if to else "")
        rows, files[name] = await postgres.save(settings, folder, to, name, progress)
        manifest = Manifest(
            format=FORMAT,
            program=version("fashion-wallet"),
            began=began,
            ended=now(),
            encrypted=bool(to),
            postgresql=rows,
            mongodb=designs,
            files=files,
        )
        manifest.write(folder)
    return manifest


async def _clock(settings: Settings) -> datetime:
    """What PostgreSQL says that the time is: it is compared with times that PostgreSQL wrote."""
    async with migration_engine(settings) as engine, engine.connect() as connection:
        told: datetime = await connection.scalar(text("SELECT now()"))
    return told.astimezone(UTC)


@contextlib.contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A folder that has its name only after the block, when all of it is on the disk. An error removes it."""
    target = target.expanduser().absolute()
    if target.exists():
        raise BackupError(f"{target} is there already: a backup is a new folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # only we may read it: mkdtemp sees to that
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", suffix=PARTIAL, dir=target.parent))
    except OSError as error:
        raise BackupError(f"{target} can't be made: {error.strerror}") from None
    try:
        yield folder
        _sync(folder)
        try:
            folder.rename(target)
        except OSError as error:  # another backup was quicker
            raise BackupError(f"{target} can't be made: {error.strerror}") from None
        _sync_folder(target.parent)
    except OSError as error:
        if error.errno is not None and error.filename is not None and str(folder) in str(error.filename):
            raise BackupError(f"{target} can't be written: {error.strerror}") from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        _sync_folder(path)


def _sync_folder(path: Path) -> None:
    """Have the disk keep a folder's names, or a file's content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
