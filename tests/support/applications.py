"""Applications with settings of their own, on the suite's servers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from api.config.settings import Settings
from api.http.application import create_app
from api.server.protocol import Protocol
from api.server.socket_protocol import socket_options


@contextlib.asynccontextmanager
async def running(settings: Settings, **changes: Any) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """An application with these settings inside its lifespan, and an anonymous client of it."""
    app = create_app(settings.model_copy(update=changes))
    transport = httpx.ASGITransport(app=app)
    base = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
    async with app.router.lifespan_context(app), base as client:
        yield app, client


@contextlib.asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[int]:
    """The port of 127.0.0.1 on which this process serves an application, by the protocol that `serve` has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        options: dict[str, Any] = {"lifespan": "off", "log_config": None, "proxy_headers": False}
        options |= socket_options(app.state.settings)  # type: ignore[attr-defined]  # of an application of ours
        server = uvicorn.Server(uvicorn.Config(app, http=Protocol, **options))
        serving = asyncio.create_task(server._serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving
