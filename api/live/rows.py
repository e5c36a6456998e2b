"""PostgreSQL's rows as a source of changes: the log is read whenever somebody says that there is something new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from api.config.settings import Settings
from api.live.listening import Listener
from api.live.log import Log, RowChange, RowPlace
from api.live.source import PlaceGone, Read
from api.stores.stores import Stores

_LONGEST: Final = 0.5
"""The most seconds between two looks whether a transaction has ended."""
_SOON: Final = 0.01


class Rows:
    """The log of one PostgreSQL. Its places are those of the log."""

    name = "PostgreSQL"

    def __init__(self, stores: Stores, settings: Settings) -> None:
        self._stores = stores
        self._log = Log(stores)
        self._listener = Listener(settings)

    async def begin(self) -> RowPlace:
        """The place of now. What is being written may still come before it, so that is waited for. Raises PlaceGone."""
        log = self._log = Log(self._stores)
        place = await log.last()
        while not log.is_settled(place):
            if await log.next(place) is None:
                raise PlaceGone
            if not log.is_settled(place):
                await asyncio.sleep(_SOON)
        return place

    async def read(self, after: RowPlace) -> AsyncIterator[Read[RowPlace, RowChange]]:
        """What follows this place, for ever. Raises PlaceGone where the log doesn't have the last entry any more."""
        log, place, pause = self._log, after, _SOON
        yield Read((), place)
        while True:
            if (found := await log.next(place)) is None:
                raise PlaceGone
            if found.place > place:
                place, pause = found.place, _SOON
                yield Read(found.changes, place)
            if found.waits:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST)
            elif found.is_all:
                await self._listener.wait()

    async def page(self, after: RowPlace, upto: RowPlace) -> Sequence[RowChange]:
        """The changes between two places, fewer than MOST where there are no more."""
        return await self._log.page(after, upto)

    async def count(self, after: RowPlace, upto: RowPlace, most: int) -> int:
        """How many changes lie between two places, as far as `most` and one more.

        Raises PlaceGone where the log doesn't have the first any more.
        """
        counted = await self._log.count(after, upto, most)
        if counted is None:
            raise PlaceGone
        return counted

    async def close(self) -> None:
        """Listen no longer."""
        await self._listener.close()
