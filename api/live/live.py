"""What a process has of live updates: its feeds, and who follows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from uuid import UUID

from api.config.settings import Settings
from api.live.designs import Designs, Way
from api.live.errors import TooManySubscriptions
from api.live.feed import Feed
from api.live.rows import Rows
from api.stores.stores import Stores


class Live:
    """The live updates of a process. `rows` are the changes of PostgreSQL's rows, `designs` those of designs."""

    def __init__(self, stores: Stores, settings: Settings) -> None:
        self.rows = Feed(Rows(stores, settings), settings)
        self._designs = Designs(stores)
        self.designs = Feed(self._designs, settings)
        self._most, self._most_of_one = settings.max_subscriptions, settings.max_subscriptions_per_account
        self._most_of_socket = settings.max_subscriptions_per_socket
        self._open = Counter[UUID | str | None]()
        self._of_sockets = Counter[str]()
        self.sent = 0
        """Events that were sent to clients."""
        self.cut_off = 0
        """Subscriptions that were ended, as their clients were too slow."""

    def __len__(self) -> int:
        return self._open.total()

    async def way_of_designs(self) -> Way:
        """How changes of designs are heard of. Raises what MongoDB raises, where it has to be asked."""
        return await self._designs.way()

    def enter(self, account: UUID | None, address: str | None, socket: str | None) -> Callable[[], None]:
        """Count a subscription, until what is returned is called. `socket` is the id of a WebSocket that it came over.

        Raises TooManySubscriptions.
        """
        whose = account or address
        if len(self) >= self._most:
            raise TooManySubscriptions("MAX_SUBSCRIPTIONS")
        if whose is not None and self._open[whose] >= self._most_of_one:
            raise TooManySubscriptions("MAX_SUBSCRIPTIONS_PER_ACCOUNT")
        if socket is not None:
            if self._of_sockets[socket] >= self._most_of_socket:
                raise TooManySubscriptions("MAX_SUBSCRIPTIONS_PER_SOCKET")
            self._of_sockets[socket] += 1
        self._open[whose] += 1
        return partial(self._leave, whose, socket)

    def _leave(self, whose: UUID | str | None, socket: str | None) -> None:
        self._open[whose] -= 1
        if not self._open[whose]:
            del self._open[whose]
        if socket is not None:
            self._of_sockets[socket] -= 1
            if not self._of_sockets[socket]:
                del self._of_sockets[socket]

    async def close(self) -> None:
        """End the feeds."""
        await self.rows.close()
        await self.designs.close()
