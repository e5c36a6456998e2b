"""Who follows PostgreSQL's changes in this process: one reader of the log, however many followers there are."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from operator import attrgetter
from typing import Final

from api.config.settings import Settings
from api.errors import as_app_error
from api.live.errors import ResumeTokenExpired, TooFarBehind
from api.live.listening import Listener
from api.live.log import MOST, Change, Log
from api.log import logger
from api.stores.stores import Stores

KEPT: Final = 1000
"""The newest changes, which followers take from memory. Who is further behind reads the log."""
SHARED: Final = 20
"""The newest changes whose answers are kept for all who ask the same."""
RETRY: Final = 0.5
"""Seconds until the log is read again where PostgreSQL doesn't answer, and at most for a transaction to end."""
_SOON: Final = 0.01
_place = attrgetter("place")


class Feed:
    """The changes of one PostgreSQL for one process. It reads as long as somebody follows.

    Nothing is kept for a follower but its place, so a slow one costs nothing, and is let go where it is too far behind.
    """

    def __init__(self, stores: Stores, settings: Settings) -> None:
        self._stores, self._settings = stores, settings
        self._most_behind = settings.max_events_behind
        self._beginning = asyncio.Lock()
        self._log = Log(stores)
        self._listener = Listener(settings)
        self._reading: asyncio.Task[None] | None = None
        self._followers = 0
        self._place = 0
        """Everything up to here has been read."""
        self._kept: list[Change] = []
        self._kept_after = 0
        """What came after this place is kept."""
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return self._followers

    async def enter(self, after: int | None) -> int:
        """Begin to follow after this place; None: from now on. Where that is. Call `leave` in the end.

        Raises ResumeTokenExpired, and what PostgreSQL raises.
        """
        self._followers += 1
        try:
            async with self._beginning:
                if self._reading is None:
                    await self._begin()
            if after is None:
                return self._place
            # another instance may have read on already, so a place may lie before this one
            if not await self._log.follows(after, self._most_behind):
                raise ResumeTokenExpired
            return after
        except BaseException:
            await self.leave()
            raise

    async def leave(self) -> None:
        """Follow no longer."""
        self._followers -= 1
        if not self._followers:
            await self.close()

    async def close(self) -> None:
        """Read no longer."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
        await self._listener.close()

    async def changes(self, after: int) -> AsyncIterator[Change]:
        """Every change after this place, for ever. Raises TooFarBehind, and what PostgreSQL raises."""
        place = after
        while True:
            if place < self._kept_after:
                upto = self._place
                most = self._most_behind
                if upto - place > most and await self._log.is_more_than(most, place, upto):
                    raise TooFarBehind
                page = await self._log.page(place, upto)
                for change in page:
                    yield change
                place = page[-1].place if len(page) == MOST else upto
                continue
            index = bisect_right(self._kept, place, key=_place)
            if len(self._kept) - index > self._most_behind:
                raise TooFarBehind
            if index < len(self._kept):
                change = self._kept[index]
                yield change
                place = change.place
            else:
                place = max(place, self._place)
                await self._news.wait()

    async def _begin(self) -> None:
        """Find the place of now. What is being written may still come before it, so that is waited for."""
        log = self._log = Log(self._stores)
        place = await log.last()
        while not log.is_settled(place):
            await log.next(place)
            if not log.is_settled(place):
                await asyncio.sleep(_SOON)
        self._place = self._kept_after = place
        self._kept = []
        self._reading = asyncio.create_task(self._read(log), name="live updates from PostgreSQL")

    async def _read(self, log: Log) -> None:
        failing, pause = False, _SOON
        while True:
            try:
                found = await log.next(self._place)
            except Exception as error:
                if as_app_error(error) is None:
                    logger.exception("live updates can't read the log")
                elif not failing:
                    logger.warning("live updates can't read the log", error=repr(error))
                failing = True
                await asyncio.sleep(RETRY)
                continue
            failing = False
            if found.place > self._place:
                self._publish(found.changes, found.place)
                pause = _SOON
            if found.waits:
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY)
            elif found.is_all:
                await self._listener.wait()

    def _publish(self, changes: Sequence[Change], place: int) -> None:
        self._kept.extend(changes)
        self._place = place
        for change in self._kept[-SHARED - len(changes) : -SHARED]:
            change.answers.clear()
        if (surplus := len(self._kept) - KEPT) > 0:
            self._kept_after = self._kept[surplus - 1].place
            del self._kept[:surplus]
        self._news.set()
        self._news = asyncio.Event()
