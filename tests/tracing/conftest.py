"""Applications with traces, and what receives them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette

from api.config.settings import Settings
from tests.support.applications import running
from tests.support.otlp import VARIABLE, Receiver, receiving


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that the environment leads to, and that spans are sent to at once."""
    with receiving() as made:
        monkeypatch.setenv(VARIABLE, made.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield made


@pytest.fixture
async def traced(
    settings: Settings, receiver: Receiver, clean_stores: None
) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """An application with traces, and an anonymous client of it."""
    async with running(settings) as (app, client):
        yield app, client
