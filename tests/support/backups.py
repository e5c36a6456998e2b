"""Making backups and restoring them, in tests that run no event loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from api.backup import checking, manifest
from api.backup.manifest import Manifest
from api.backup.restoring import restore
from api.backup.saving import save
from api.backup.streams import Identity, Recipient
from api.config.settings import Settings
from api.stores.stores import open_stores
from migrations.runner import upgrade
from tests.support.stores.digest import digest

MADE_ANEW = {"design.design_search", "design.search_feed"}


def untold(_what: str, _done: int, _total: int | None) -> None:
    """Progress that nobody sees."""


def saved(settings: Settings, folder: Path, to: Sequence[Recipient] = ()) -> Manifest:
    """A backup of both stores, in this folder."""
    return asyncio.run(save(settings, folder, to, untold))


def restored(settings: Settings, folder: Path, keys: Sequence[Identity] = (), **options: Any) -> list[str]:
    """Restore a backup and migrate, as the command does. The lines that it would print."""
    found = checking.check(folder, keys, untold)
    lines = asyncio.run(restore(settings, folder, found, keys, untold, **options))
    return [*lines, *upgrade(settings)]


def contents(settings: Settings) -> dict[str, str]:
    """What is in both stores, but for what a restored one makes anew."""

    async def read() -> dict[str, str]:
        async with open_stores(settings) as stores:
            return await digest(stores)

    return {name: hashed for name, hashed in asyncio.run(read()).items() if name not in MADE_ANEW}


def rewrite(folder: Path, *path: str, value: Any) -> None:
    """Change one value in the manifest of a backup."""
    data = orjson.loads((folder / manifest.NAME).read_bytes())
    inner = data
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    (folder / manifest.NAME).write_bytes(orjson.dumps(data))
