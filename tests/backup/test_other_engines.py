"""Backups of another MongoDB engine, where this machine has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from api.config.settings import Settings
from api.stores.stores import open_stores
from migrations.runner import upgrade
from tests.support.backups import contents, restored, saved
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.stores.databases import fresh_database
from tests.support.stores.engines import documentdb

SNAPSHOT_TOO_OLD = 239


@pytest.fixture(scope="module")
def documentdb_uri() -> Iterator[str]:
    with documentdb() as uri:
        yield uri


@pytest.fixture(scope="module")
def source(postgres_url: str, documentdb_uri: str) -> Iterator[Settings]:
    """Stores with a user and two designs, of which DocumentDB keeps the latter. They are left as they are."""
    with fresh_database(postgres_url, documentdb_uri) as settings:
        upgrade(settings)

        async def fill() -> None:
            async with open_stores(settings) as stores:
                ada = await create_user(stores)
                for name in ("Gown", "Coat"):
                    await create_design(stores, user_id=ada.id, name=name)

        asyncio.run(fill())
        yield settings


def test_documentdb_is_saved_and_restored(
    source: Settings, postgres_url: str, documentdb_uri: str, tmp_path: Path
) -> None:
    made = saved(source, tmp_path / "backup")

    with fresh_database(postgres_url, documentdb_uri) as target:
        lines = restored(target, tmp_path / "backup")

        assert contents(target) == contents(source)
        assert contents(target)["designs"]
        # the text index was in the backup
        assert not any("idx_designs_text" in line for line in lines)
    assert made.mongodb.snapshot is None  # it reads each collection as of its own moment
    assert made.mongodb.collections["designs"].count == 2


def test_what_documentdb_has_goes_to_secantusdb(
    source: Settings, postgres_url: str, mongodb_url: str, tmp_path: Path
) -> None:
    saved(source, tmp_path / "backup")

    with fresh_database(postgres_url, mongodb_url) as target:
        lines = restored(target, tmp_path / "backup")

        assert contents(target) == contents(source)
    assert "index idx_designs_text: skipped, this server makes no text indexes" in lines


def test_a_snapshot_that_is_too_old_is_given_up(source: Settings, documentdb_uri: str, tmp_path: Path) -> None:
    with MongoClient[dict[str, Any]](documentdb_uri) as client:
        fail = {"failCommands": ["find"], "errorCode": SNAPSHOT_TOO_OLD}
        once = {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": fail}
        client.admin.command(once)
        with pytest.raises(OperationFailure):
            client["any"]["any"].find_one()
        client.admin.command(once)
        try:
            made = saved(source, tmp_path / "backup")
            assert client["any"]["any"].find_one() is None  # the failure was the backup's
        finally:
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})

    assert made.mongodb.snapshot is None
    assert made.mongodb.collections["designs"].count == 2
