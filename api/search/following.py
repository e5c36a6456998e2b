"""Keeping what search knows of designs: one of the serving processes follows their changes in MongoDB."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final
from uuid import uuid4

from bson import ObjectId

from api.background import in_background
from api.config.settings import Settings
from api.errors import as_app_error
from api.live.change_streams import has_change_streams
from api.live.source import PlaceGone
from api.log import logger
from api.search import feed, projection
from api.search.changes import MOST, Changes, changes, current_place
from api.search.feed import LEASE, LeaseLost, Place
from api.stores.stores import Stores

QUIET: Final = 1.0
"""Seconds between two notes that nothing has changed."""
RETRY: Final = 1.0
"""Seconds until it is tried again, when a store is not available."""


class Lag:
    """How far search is behind designs, as far as this process knows: it follows, or asks from time to time."""

    def __init__(self) -> None:
        self._caught_up: float | None = None

    def note(self, behind: float) -> None:
        """Search knew every design so many seconds ago."""
        self._caught_up = time.monotonic() - behind

    @property
    def seconds(self) -> float | None:
        """Seconds since search knew every design; None where that isn't known."""
        return None if self._caught_up is None else time.monotonic() - self._caught_up


@contextlib.asynccontextmanager
async def following(stores: Stores, settings: Settings, lag: Lag) -> AsyncIterator[None]:
    """Follow, or be ready to take over, as long as the block runs; never without SEARCH_INDEXING."""
    if not settings.search_indexing:
        yield
        return
    async with in_background(_follow_on(stores, lag)):
        yield


async def _follow_on(stores: Stores, lag: Lag) -> None:
    follower = Follower(stores, lag)
    failing = False
    while True:
        try:
            place = await feed.take(stores.engine, follower.name)
            if place is not None:
                await follower.follow(place)
            failing = False
            if (status := await feed.status(stores.engine)) is not None and status.behind is not None:
                lag.note(status.behind)
        except LeaseLost:
            pass
        except PlaceGone:
            logger.warning("search copies all designs again", reason="the change stream can't go on")
            follower.is_lost = True
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await feed.release(stores.engine, follower.name)
            raise
        except Exception as error:
            if as_app_error(error) is None:
                logger.exception("search doesn't follow designs")
            elif follower.has_followed or not failing:  # once an outage
                logger.warning("search can't follow designs", error=repr(error))
            failing, follower.has_followed = True, False
        # so that not all processes ask at the same moment
        await asyncio.sleep(RETRY if failing else LEASE * random.uniform(0.3, 0.6))  # noqa: S311  no secret


class Follower:
    """Takes designs over into PostgreSQL, in transactions that say how far it is."""

    def __init__(self, stores: Stores, lag: Lag | None = None) -> None:
        self.stores = stores
        self.lag = lag or Lag()
        self.name = str(uuid4())
        self.is_lost = False
        """Whether the place that is stored leads nowhere."""
        self.has_followed = False
        """Whether it has taken anything over, until somebody says that it hasn't."""
        self.copied = 0
        """Designs of the last copy."""

    async def follow(self, place: Place) -> None:
        """Take over what changes, from this place on, for ever.

        Raises LeaseLost, PlaceGone, and what the stores raise.
        """
        database = self.stores.database
        streams = await has_change_streams(database)
        follows_stream = place.token is not None
        if not place.copied or self.is_lost or follows_stream != streams:
            place = await self.copy(streams=streams)
        noted = 0.0
        async for found in changes(database, place, streams=streams):
            now = time.monotonic()
            if found.keys or now - noted >= QUIET:
                await self.take_over(found)
                noted = now

    async def copy(self, *, streams: bool, progress: Callable[[int], None] = lambda done: None) -> Place:
        """Take all designs over. What changes meanwhile follows: the place was noted before.

        `progress` is told how many are done. Raises LeaseLost.
        """
        self.copied = 0
        place = await current_place(self.stores.database, streams=streams)
        last: ObjectId | None = None
        while True:
            designs = await projection.read_after(self.stores.database, last, MOST)
            upto = designs[-1]["_id"] if len(designs) == MOST else None
            async with self.stores.engine.begin() as connection:
                await projection.write(connection, designs)
                await projection.remove_others(connection, designs, last, upto)
                await feed.advance(connection, self.name, replace(place, copied=upto is None), caught_up=upto is None)
            self.copied += len(designs)
            progress(self.copied)
            if upto is None:
                self.is_lost = False
                self._note_all_known()
                return replace(place, copied=True)
            last = upto

    async def take_over(self, found: Changes) -> None:
        """Take these changes over, as the designs are now."""
        designs = await projection.read(self.stores.database, found.keys) if found.keys else []
        async with self.stores.engine.begin() as connection:
            if found.keys:
                await projection.write(connection, designs, found.keys)
            await feed.advance(connection, self.name, found.place, caught_up=found.all_known)
        self.has_followed = True
        if found.all_known:
            self._note_all_known()

    def _note_all_known(self) -> None:
        self.has_followed = True
        self.lag.note(0)
