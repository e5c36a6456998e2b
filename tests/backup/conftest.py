"""A backup of a small world, which the tests of a module share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest

from api.backup.manifest import Manifest
from api.config.settings import Settings
from tests.support.backups import contents, saved
from tests.support.stores.databases import fresh_database
from tests.support.world import World


@dataclass(frozen=True)
class Backup:
    """A backup, and what it is of."""

    folder: Path
    manifest: Manifest
    source: Settings
    contents: Mapping[str, str]


@pytest.fixture(scope="module")
def plain(worlds: Mapping[str, World], world_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    """A backup that isn't encrypted. It is left as it is."""
    folder = tmp_path_factory.mktemp("backups") / "plain"
    return Backup(folder, saved(world_settings, folder), world_settings, contents(world_settings))


@pytest.fixture(scope="module")
def key() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def encrypted(
    worlds: Mapping[str, World],
    world_settings: Settings,
    key: pyrage.x25519.Identity,
    tmp_path_factory: pytest.TempPathFactory,
) -> Backup:
    """A backup that is encrypted to `key`. It is left as it is."""
    folder = tmp_path_factory.mktemp("backups") / "encrypted"
    return Backup(folder, saved(world_settings, folder, [key.to_public()]), world_settings, contents(world_settings))


@pytest.fixture
def copied(plain: Backup, tmp_path: Path) -> Path:
    """A copy of the plain backup, to be damaged."""
    return Path(shutil.copytree(plain.folder, tmp_path / "copied"))


@pytest.fixture
def target(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """An empty database in each store."""
    with fresh_database(postgres_url, mongodb_url) as settings:
        yield settings
