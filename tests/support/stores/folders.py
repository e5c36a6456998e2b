"""Where the servers of tests keep what they store."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

_IN_MEMORY: Final = Path("/dev/shm")
_ROOM: Final = 8 << 30
"""Bytes that must be free there, and of the machine's memory: several times what the suite's servers store."""


@contextlib.contextmanager
def throwaway_folder() -> Iterator[Path]:
    """A folder for the data of servers, which is gone after the block. Others than its owner may pass through.

    It is in memory where there is room, as a new database of PostgreSQL has hundreds of files, and a disk's file system
    may take longer to make and delete them than PostgreSQL takes for the rest.
    """
    where = _IN_MEMORY if _has_room() else None
    with tempfile.TemporaryDirectory(prefix="fashion-wallet-", dir=where, ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)  # PostgreSQL runs as another user, where the tests are root's
        yield folder


def _has_room() -> bool:
    if not _IN_MEMORY.is_mount() or psutil.virtual_memory().available < _ROOM:
        return False
    return shutil.disk_usage(_IN_MEMORY).free >= _ROOM
