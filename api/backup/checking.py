"""Whether a backup is whole: everything that can be found out before a store is touched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from api.backup import manifest, mongodb, postgres
from api.backup.errors import BackupError
from api.backup.manifest import Manifest
from api.backup.postgres import Progress
from api.backup.streams import SUFFIX, Identity, reading, stored
from api.stores.postgres.schema_revisions import known

_PIECE: Final = 1024 * 1024


def check(folder: Path, keys: Sequence[Identity] | None, progress: Progress) -> Manifest:
    """The manifest of a backup whose files are all there and unchanged, and which this program can restore.

    With keys, an encrypted one is also decrypted; without (None), it isn't. Raises BackupError for one that can't be
    restored.
    """
    found = manifest.read(folder)
    if found.postgresql.revision not in known()[0]:
        raise BackupError(
            f"{folder} has PostgreSQL at revision {found.postgresql.revision}, which this version of the program "
            "doesn't have: restore it with the version that made it, or a newer one"
        )
    names = expected(found)
    if missing := sorted(set(names) - found.files.keys()):
        raise BackupError(f"{folder / manifest.NAME} is damaged: it doesn't list {', '.join(missing)}")
    for number, name in enumerate(names, 1):
        _compare(folder, name, found)
        progress("files checked", number, len(names))
    if found.encrypted and keys is not None:
        if not keys:
            raise BackupError(f"{folder} is encrypted: name the file with the key (--identity)")
        for number, name in enumerate(names, 1):
            with reading(folder / name, keys) as stream:
                while stream.read(_PIECE):
                    pass
            progress("files decrypted", number, len(names))
    return found


def expected(found: Manifest) -> list[str]:
    """The files that a backup has, by what it holds. The small ones come first."""
    names = [
        mongodb.file_names(found.mongodb.database, name, encrypted=found.encrypted)
        for name in found.mongodb.collections
    ]
    documents, described = [bson for bson, _ in names], [metadata for _, metadata in names]
    return [*described, *documents, postgres_file(found)]


def postgres_file(found: Manifest) -> str:
    return postgres.FILE + (SUFFIX if found.encrypted else "")


def _compare(folder: Path, name: str, found: Manifest) -> None:
    try:
        there = stored(folder / name)
    except FileNotFoundError:
        raise BackupError(f"{folder} isn't whole: {name} is missing") from None
    except OSError as error:
        raise BackupError(f"{folder / name} can't be read: {error.strerror}") from None
    told = found.files[name]
    if there.bytes != told.bytes:
        raise BackupError(f"{folder} isn't whole: {name} has {there.bytes} bytes, and had {told.bytes}")
    if there.sha256 != told.sha256:
        raise BackupError(f"{folder} was changed: {name} isn't the file that was saved")
