"""Generated operations over the schema of this API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from api.config.settings import Settings
from tests.execution.api import difference, drawn_for
from tests.support.world import World, living, walled

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(
    settings: Settings, delete_everything: Callable[[], Awaitable[None]], anyio_backend: str
) -> AsyncIterator[World]:
    await delete_everything()
    async with living(settings) as world:
        yield world


async def test_generated_queries(world: World) -> None:
    for operation in drawn_for(world, 25):
        for viewer in ("anonymous", "owner", "admin"):
            assert await difference(world, operation, viewer) is None


async def test_generated_queries_behind_row_level_security(world: World) -> None:
    async with walled(world) as behind_the_wall:
        for operation in drawn_for(behind_the_wall, 6, seed_=1):
            assert await difference(behind_the_wall, operation, "owner") is None


async def test_generated_mutations(world: World) -> None:
    """Each changes what the next one finds."""
    for index, operation in enumerate(drawn_for(world, 30, mutation=True)):
        viewer = ("anonymous", "owner", "maker", "admin")[index % 4]
        assert await difference(world, operation, viewer) is None
