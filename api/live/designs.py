"""Designs as a source of changes, in the way that the server has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from enum import Enum

from api.live.change_streams import has_change_streams
from api.live.design_change import DesignChange, DesignPlace
from api.live.polled_designs import PolledDesigns
from api.live.source import Read
from api.live.streamed_designs import StreamedDesigns
from api.stores.stores import Stores


class Way(Enum):
    """How changes of designs are heard of."""

    STREAM = "changeStream"
    READING = "reading"


class Designs:
    """The designs of one MongoDB."""

    name = "MongoDB"

    def __init__(self, stores: Stores) -> None:
        self._database = stores.database
        self._found: Way | None = None
        self._source: StreamedDesigns | PolledDesigns = StreamedDesigns(stores.database)

    async def way(self) -> Way:
        """How they are heard of. Raises what MongoDB raises where it has to be asked, and doesn't answer."""
        if self._found is None:
            has = await has_change_streams(self._database)
        if self._found is None:  # nobody was faster
            self._source = StreamedDesigns(self._database) if has else PolledDesigns(self._database)
            self._found = Way.STREAM if has else Way.READING
        return self._found

    async def begin(self) -> DesignPlace:
        """The place of now."""
        await self.way()
        return await self._source.begin()

    def read(self, after: DesignPlace) -> AsyncIterator[Read[DesignPlace, DesignChange]]:
        """What follows this place, for ever. Raises PlaceGone."""
        return self._source.read(after)

    async def page(self, after: DesignPlace, upto: DesignPlace) -> Sequence[DesignChange]:
        """The changes between two places, fewer than MOST where there are no more. Raises PlaceGone."""
        return await self._source.page(after, upto)

    async def count(self, after: DesignPlace, upto: DesignPlace, most: int) -> int:
        """How many changes lie between two places, as far as `most` and one more. Raises PlaceGone."""
        return await self._source.count(after, upto, most)

    async def close(self) -> None:
        """Nothing is left open where nobody reads."""
