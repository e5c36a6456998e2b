"""Applications with settings of their own, on the suite's servers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.applications import Starlette

from api.app import create_app
from api.config import Settings


@contextlib.asynccontextmanager
async def running(settings: Settings, **changes: Any) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """An application with these settings inside its lifespan, and an anonymous client of it."""
    app = create_app(settings.model_copy(update=changes))
    transport = httpx.ASGITransport(app=app)
    base = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
    async with app.router.lifespan_context(app), base as client:
        yield app, client
