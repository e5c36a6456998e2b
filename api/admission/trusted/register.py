"""The register as a process knows it: documents that were asked for lately, so that a request costs no statement."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from api.admission.trusted.store import Registered, find, still
from api.bounded_dict import BoundedDict
from api.errors import StoreUnavailable, as_app_error
from api.log import logger
from api.stores.stores import Stores

CHECKED: Final = 10.0
"""Seconds after which it is checked that the known documents are still registered: how late a removal may show."""
MISSED: Final = 1.0
"""Seconds for which an identifier that is not registered isn't asked for again: how late a registration may show."""
KNOWN: Final = 5_000
"""Documents that are kept; the ones that weren't asked for longest are forgotten first."""
MISSES: Final = 5_000


class Register:
    """Looks documents up by identifier.

    A document never changes under its identifier, so what is known stays known until a check, one statement for all
    of them, finds it gone. While PostgreSQL doesn't answer, what is known goes on being believed.
    """

    def __init__(self) -> None:
        self._known = BoundedDict[str, Registered](KNOWN)
        self._missed = BoundedDict[str, float](MISSES)
        self._lookups: dict[str, asyncio.Task[Registered | None]] = {}
        self._checked = time.monotonic()
        self._check: asyncio.Task[None] | None = None

    async def document(self, identifier: str, stores: Stores) -> str | None:
        """The document of an identifier, None where none is registered. Raises what PostgreSQL's driver raises."""
        now = time.monotonic()
        if now - self._checked > CHECKED:
            self._start_check(stores)
        known = self._known.get(identifier)
        if known is not None:
            self._known.move_to_end(identifier)
            return known.document
        if now - self._missed.get(identifier, -MISSED) < MISSED:
            return None
        lookup = self._lookups.get(identifier)
        if lookup is None:
            lookup = self._lookups[identifier] = asyncio.create_task(self._look_up(identifier, stores))
        found = await asyncio.shield(lookup)  # one that leaves must not take the others along
        return found.document if found is not None else None

    async def _look_up(self, identifier: str, stores: Stores) -> Registered | None:
        asked = time.monotonic()
        try:
            found = await find(stores, identifier)
        finally:
            del self._lookups[identifier]
        if found is None:
            self._missed[identifier] = asked
        else:
            self._known[identifier] = found
        return found

    def _start_check(self, stores: Stores) -> None:
        """In the background: no request waits for it."""
        self._checked = time.monotonic()
        if self._known and (self._check is None or self._check.done()):
            self._check = asyncio.create_task(self._forget_removed(dict(self._known), stores))

    async def _forget_removed(self, known: dict[str, Registered], stores: Stores) -> None:
        try:
            there = await still(stores, known)
        except Exception as error:
            if not isinstance(as_app_error(error), StoreUnavailable):
                logger.error("trusted documents could not be checked", exc_info=error)
            return
        for identifier, document in known.items():
            if there.get(identifier) != document.since and self._known.get(identifier) is document:
                del self._known[identifier]
