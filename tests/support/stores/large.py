"""The large data set of `tests.benchmarks.bulk` on a server of its own.

Making it takes 15 seconds of a processor, so it is made once and kept: each server starts on a copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from api.config.settings import Settings
from migrations.runner import upgrade
from tests import CACHE
from tests.benchmarks import bulk, bulk_search
from tests.support.stores import plans
from tests.support.stores.cluster import keep_cluster, template_of
from tests.support.stores.postgres_server import postgres_server, url_of

_ROOT: Final = Path(__file__).parents[3]
_MADE_BY: Final = ("migrations", "models", "tests/benchmarks", "tests/support/stores")
"""The folders of all that says which tables there are, and what is in them."""
_FILLING: Final = {
    **{"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "64MB", "wal_keep_size": "0"},
    "max_parallel_maintenance_workers": "0",
}
"""Parameters for a server whose write-ahead log is copied with it, and that makes indexes of small tables."""
_STOP: Final = 60.0
"""Seconds that a server has to write everything and end."""


@contextlib.contextmanager
def large_server(settings: Settings, rows: int, programs: Path | None) -> Iterator[Settings]:
    """These settings with the address of a server that has so many rows in each table. Statistics are of all rows.

    Its database is migrated, and a collection of designs is made where the settings say.
    """
    kept = CACHE / f"large-{_digest(rows, programs)}"
    if not kept.exists():
        _make(kept, settings, rows, programs)
    with postgres_server(programs=programs, template=kept) as daemon:
        own = settings.model_copy(update={"database_url": SecretStr(url_of(daemon))})
        upgrade(own)  # nothing is left to do in PostgreSQL
        yield own


async def fill(database_url: str, rows: int) -> None:
    """All tables of a migrated database."""
    await plans.sample_everything(database_url, rows)
    await bulk.load(database_url, rows)
    await bulk_search.load(database_url, rows)


def _digest(rows: int, programs: Path | None) -> str:
    files = sorted(file for name in _MADE_BY for file in (_ROOT / name).rglob("*.py"))
    told = hashlib.sha256(f"{rows} {template_of(programs).name}".encode())
    for file in files:
        told.update(str(file.relative_to(_ROOT)).encode() + b"\0" + file.read_bytes())
    return told.hexdigest()[:16]


def _make(kept: Path, settings: Settings, rows: int, programs: Path | None) -> None:
    with postgres_server(programs=programs, options=_FILLING) as daemon:
        url = url_of(daemon)
        upgrade(settings.model_copy(update={"database_url": SecretStr(url)}))
        asyncio.run(fill(url, rows))
        daemon.stop_signal = signal.SIGINT  # it writes everything before it ends
        daemon.stop(_STOP)
        for old in CACHE.glob("large-*"):  # those of earlier code are of no use any more
            shutil.rmtree(old, ignore_errors=True)
        keep_cluster(daemon.cwd, kept)
