"""Clients that leave while they are being answered: what is done for their eyes alone ends with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

DEPARTURE: Final = "fashion_wallet.departure"
"""Of an ASGI scope: the `Departure` of its connection, where the server tells of it (`api/server/protocol.py`)."""


class Departure:
    """Whether the client of a connection has gone, and what is to be told when it goes."""

    __slots__ = ("_told", "gone")

    def __init__(self) -> None:
        self.gone = False
        self._told: dict[Callable[[], None], None] = {}

    def tell(self, whom: Callable[[], None]) -> None:
        """Call this when the client goes, at once where it has gone."""
        self._told[whom] = None
        if self.gone:
            whom()

    def forget(self, whom: Callable[[], None]) -> None:
        """Don't call this any more."""
        self._told.pop(whom, None)

    def happen(self) -> None:
        """The client has gone."""
        self.gone = True
        for whom in list(self._told):
            whom()
