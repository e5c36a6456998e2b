"""What tests of live updates share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette

from tests.support.applications import listening


@pytest.fixture
async def port(app: Starlette, anyio_backend: str) -> AsyncIterator[int]:
    async with listening(app) as port:
        yield port
