"""Who follows a store's changes in this process: one reader of them, however many followers there are."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
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
class Position(Generic[P]):
    """How far somebody is. `number` counts the changes of this process up to there; `life` is that of the feed."""

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

    async def enter(self, after: P | None) -> Follower[P, C]:
        """A follower of what comes after this place; None: from now on. Call `leave` in the end.

        Raises ResumeTokenExpired, and what the store raises.
        """
        self._followers += 1
        try:
            async with self._beginning:
                if self._reading is None:
                    await self._begin()
            life, place, number = self._life, self._place, self._number
            if after is None:
                return Follower(self, Position(place, number, life))
            behind = self._kept_behind(after)
            if behind is None:
                # another instance may have read on already, so this place may lie behind that of the reader
                behind = await self.source.count(after, place, self._most_behind)
            if behind > self._most_behind:
                raise ResumeTokenExpired
            return Follower(self, Position(after, number - behind, life))
        except PlaceGone:
            await self.leave()
            raise ResumeTokenExpired from None
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
        name, opened = f"live updates from {self.source.name}", asyncio.Event()
        self._reading = asyncio.create_task(self._read(opened), name=name, context=Context())
        # a change stream that begins with a past time takes what is written meanwhile for older, on some servers
        await opened.wait()
        if self._reading is None:
            raise PlaceGone

    async def _read(self, opened: asyncio.Event) -> None:
        try:
            await self._read_on(opened)
        finally:
            opened.set()

    async def _read_on(self, opened: asyncio.Event) -> None:
        """Read until the place is gone. Sets `opened` once something is read, or can't be."""
        failing = False
        while True:
            try:
                async for found in self.source.read(self._place):
                    failing = False
                    self._publish(found.changes, found.place)
                    opened.set()
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
            opened.set()
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


class Follower(Generic[P, C]):
    """Somebody who follows a feed: how far they are, and what comes next."""

    def __init__(self, feed: Feed[P, C], position: Position[P]) -> None:
        self._feed = feed
        self.position = position
        self.before = position
        """Where it was before the last change."""
        self._page: deque[C] = deque()
        self._upto = position.place

    @property
    def is_current(self) -> bool:
        """Whether nothing follows by now."""
        feed = self._feed
        newest = feed._kept[-1].place if feed._kept else feed._kept_after
        return not self._page and self.position.life is feed._life and not self.position.place < newest

    def copy(self) -> Follower[P, C]:
        """Another one that is as far as this one, who is up to date. It counts as this one does."""
        return Follower(self._feed, self.position)

    async def next(self) -> C:
        """The next change.

        Raises TooFarBehind, ResumeTokenExpired where the store lost what comes next, and StoreUnavailable.
        """
        feed = self._feed
        while True:
            position = self.position
            if feed._life is not position.life:
                raise ResumeTokenExpired
            if feed._number - position.number > feed._most_behind:
                raise TooFarBehind
            if self._page:
                change = self._page.popleft()
                return self._advance(change, change.place if self._page else self._upto)
            if position.place < feed._kept_after:
                await self._read_page()
                continue
            index = bisect_right(feed._kept, position.place, key=_place)
            if index < len(feed._kept):
                change = feed._kept[index]
                return self._advance(change, change.place)
            self.position = Position(max(position.place, feed._place), feed._number, position.life)
            await feed._news.wait()

    async def _read_page(self) -> None:
        place, number, life = self.position.place, self.position.number, self.position.life
        upto = self._feed._place
        try:
            page = await self._feed.source.page(place, upto)
        except PlaceGone:
            raise ResumeTokenExpired from None
        except Exception as error:
            if (known := as_app_error(error)) is None:
                raise
            raise known from error
        self._page.extend(page)
        self._upto = page[-1].place if len(page) == MOST else upto
        if not page:
            self.position = Position(upto, number, life)

    def _advance(self, change: C, place: P) -> C:
        self.before = self.position
        self.position = Position(place, self.position.number + 1, self.position.life)
        return change
