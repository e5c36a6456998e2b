"""Who follows a store's changes in this process: one reader of them, however many followers there are."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Sequence
from contextvars import Context
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Generic

from api.config.settings import Settings
from api.errors import as_app_error
from api.live.errors import ResumeTokenExpired, TooFarBehind
from api.live.source import MOST, C, P, PlaceGone, Source
from api.log import logger

KEPT: Final = 1000
"""The newest changes, which followers take from memory. Who is further behind reads the store."""
SHARED: Final = 20
"""The newest changes whose answers are kept for all who ask the same."""
RETRY: Final = 0.5
"""Seconds until the store is read again where it doesn't answer."""
_place = attrgetter("place")


@dataclass(frozen=True, slots=True)
class Beginning(Generic[P]):
    """Where a follower begins. `number` counts the changes of this process up to there; `life` is that of the feed."""

    place: P
    number: int
    life: object


class Feed(Generic[P, C]):
    """The changes of one store for one process. It reads as long as somebody follows.

    Nothing is kept for a follower but its place, so a slow one costs nothing, and is let go where it is too far behind.
    """

    def __init__(self, source: Source[P, C], settings: Settings) -> None:
        self.source = source
        self._most_behind = settings.max_events_behind
        self._beginning = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._life = object()
        """Another one where changes may have been lost in between."""
        self._followers = 0
        self._place: P
        """Everything up to here has been read."""
        self._number = 0
        """How many changes were read by now."""
        self._kept: list[C] = []
        self._kept_after: P
        """What came after this place is kept."""
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return self._followers

    async def enter(self, after: P | None) -> Beginning[P]:
        """Begin to follow after this place; None: from now on. Call `leave` in the end.

        Raises ResumeTokenExpired, and what the store raises.
        """
        self._followers += 1
        try:
            async with self._beginning:
                if self._reading is None:
                    await self._begin()
            life, place, number = self._life, self._place, self._number
            if after is None:
                return Beginning(place, number, life)
            behind = self._kept_behind(after)
            if behind is None:
                try:
                    # another instance may have read on already, so this place may lie behind that of the reader
                    behind = await self.source.count(after, place, self._most_behind)
                except PlaceGone:
                    raise ResumeTokenExpired from None
            if behind > self._most_behind:
                raise ResumeTokenExpired
            return Beginning(after, number - behind, life)
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
        await self.source.close()

    async def changes(self, beginning: Beginning[P]) -> AsyncIterator[C]:
        """Every change after this, for ever.

        Raises TooFarBehind, ResumeTokenExpired where the store lost what comes next, and StoreUnavailable.
        """
        place, number, life = beginning.place, beginning.number, beginning.life
        while True:
            if self._life is not life:
                raise ResumeTokenExpired
            if self._number - number > self._most_behind:
                raise TooFarBehind
            if place < self._kept_after:
                upto = self._place
                page = await self._page(place, upto)
                for change in page:
                    yield change
                number += len(page)
                place = page[-1].place if len(page) == MOST else upto
                continue
            index = bisect_right(self._kept, place, key=_place)
            if index < len(self._kept):
                change = self._kept[index]
                yield change
                place, number = change.place, number + 1
            else:
                place, number = max(place, self._place), self._number
                await self._news.wait()

    async def _page(self, after: P, upto: P) -> Sequence[C]:
        try:
            return await self.source.page(after, upto)
        except PlaceGone:
            raise ResumeTokenExpired from None
        except Exception as error:
            known = as_app_error(error)
            if known is None:
                raise
            raise known from error

    def _kept_behind(self, after: P) -> int | None:
        """How many changes came after this place, where it is that of one which is kept."""
        index = bisect_left(self._kept, after, key=_place)
        if index < len(self._kept) and self._kept[index].place == after:
            return len(self._kept) - index - 1
        return None

    async def _begin(self) -> None:
        self._place = self._kept_after = await self.source.begin()
        self._kept = []
        # in a context of its own: what it does is not part of the request that comes first
        name = f"live updates from {self.source.name}"
        self._reading = asyncio.create_task(self._read(), name=name, context=Context())

    async def _read(self) -> None:
        failing = False
        while True:
            try:
                async for found in self.source.read(self._place):
                    failing = False
                    self._publish(found.changes, found.place)
            except PlaceGone:
                logger.warning("live updates begin anew: their place is gone", store=self.source.name)
                self._reading, self._life = None, object()  # who follows is told; whoever comes next begins anew
                self._wake()
                return
            except Exception as error:
                if as_app_error(error) is None:
                    logger.exception("live updates can't be read", store=self.source.name)
                elif not failing:
                    logger.warning("live updates can't be read", store=self.source.name, error=repr(error))
                failing = True
            await asyncio.sleep(RETRY)

    def _publish(self, changes: Sequence[C], place: P) -> None:
        self._place = place
        if not changes:
            return
        self._kept.extend(changes)
        self._number += len(changes)
        for change in self._kept[-SHARED - len(changes) : -SHARED]:
            change.answers.clear()
        if (surplus := len(self._kept) - KEPT) > 0:
            self._kept_after = self._kept[surplus - 1].place
            del self._kept[:surplus]
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
