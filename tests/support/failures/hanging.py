"""A process for tests of how one ends: it serves, and MongoDB's client hangs in it.

python -m tests.support.failures.hanging
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette

from api.config.settings import load_settings
from api.log import configure_logging
from api.server import processes as server


def application() -> Starlette:
    """The application, which when it has started has lost its client's locks, and has a task that nothing ends."""
    app = server.application()
    lifespan: Any = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def hanging(app: Starlette) -> AsyncIterator[None]:
        async with lifespan(app):
            topology = app.state.stores.mongo._topology
            for lock in (topology._lock, *(each.pool.lock for each in topology._servers.values())):
                await lock.acquire()
            stubborn = asyncio.create_task(go_on())
            yield
            assert not stubborn.done()

    app.router.lifespan_context = hanging
    return app


async def go_on() -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


if __name__ == "__main__":
    settings = load_settings()
    configure_logging(settings)
    server.FACTORY = "tests.support.failures.hanging:application"  # type: ignore[misc]
    listener = server.listen(settings)
    sys.stdout.write(f"{server.url_of(listener)} \n")
    sys.stdout.flush()
    sys.exit(server.run(settings, listener, ready=lambda url: None))
