"""What tests of live updates share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from starlette.applications import Starlette

from api.stores.mongodb.client import MongoDatabase
from api.stores.stores import Stores
from documents.collection import PRE_IMAGES
from tests.support.applications import listening

IMAGES: Final = "change stream, with the states before writes"
REVISIONS: Final = "change stream, without them"
READING: Final = "reading"


@pytest.fixture
async def port(app: Starlette, anyio_backend: str) -> AsyncIterator[int]:
    async with listening(app) as port:
        yield port


async def keep_images(stores: Stores, enabled: bool) -> None:
    """Have the server keep the states before writes, or not."""
    options: dict[str, Any] = {PRE_IMAGES: {"enabled": enabled}}
    await stores.database.command("collMod", "designs", **options)


async def has_no_streams(_: MongoDatabase) -> bool:
    return False


@pytest.fixture(params=[IMAGES, REVISIONS, READING])
async def way(
    request: pytest.FixtureRequest, stores: Stores, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> str:
    """How designs are followed: in each way that the server has."""
    way: str = request.param
    if request.config.getoption("--mongodb") == "documentdb":
        if way != READING:
            pytest.skip("this server has no change streams")
    elif way == READING:
        # this server has some, so the process is told that it hasn't
        monkeypatch.setattr("api.live.designs.has_change_streams", has_no_streams)
    else:
        await keep_images(stores, way == IMAGES)
    return way
