"""Connections that last from test to test: opening both stores for each took a fifth of what a test costs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from api.config.settings import Settings
from api.http import application
from api.stores.coalescing import Coalescer
from api.stores.stores import Stores, open_stores


class LastingStores:
    """Both stores with the suite's settings. They are opened anew where a test has left them unfit for others."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened = contextlib.AsyncExitStack()
        self._stores: Stores | None = None

    async def lend(self) -> Stores:
        """The stores, with nothing of what requests have shared before."""
        if self._stores is not None and not _is_fit(self._stores):
            await self.close()
        if self._stores is None:
            self._stores = await self._opened.enter_async_context(open_stores(self._settings))
        return dataclasses.replace(self._stores, coalescer=self._stores.coalescer and Coalescer())

    async def close(self) -> None:
        self._stores = None
        await self._opened.aclose()

    @contextlib.contextmanager
    def standing_in(self, stores: Stores) -> Iterator[None]:
        """Applications whose lifespan begins inside the block have these connections, and leave them open."""

        @contextlib.asynccontextmanager
        async def opened(_: Settings) -> AsyncIterator[Stores]:
            yield stores

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(application, "open_stores", opened)
            yield


def _is_fit(stores: Stores) -> bool:
    pool: Any = stores.engine.sync_engine.pool
    return pool.checkedout() == 0 and not any(breaker.is_open for breaker in stores.breakers)
