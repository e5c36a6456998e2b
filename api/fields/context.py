"""What resolvers get: the stores, the settings, and the loaders of one operation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from api.accounts.auth import Auth
from api.config.settings import Settings
from api.execution import SizeBudget
from api.fields.disconnects import ClientDisconnect
from api.fields.domain import Domains
from api.fields.equal_queries import Outcome
from api.fields.loaders import Fetch, Loader
from api.fields.observed_loaders import NamedLoader, ObservedLoader
from api.idempotency.claims import Claim
from api.live.live import Live
from api.rates.meter import Meter
from api.rights.identity import identity_of
from api.rights.policies import Policy
from api.rights.viewer import ANONYMOUS, Viewer
from api.stores.calls import Asker
from api.stores.replicas.position import NOWHERE, Position
from api.stores.stores import Stores


@dataclass(slots=True)
class Context:
    """One operation's context. It carries the stores, never a session: every batch opens its own, briefly.

    `domains` are what there is: loaders and policies. Under row-level security `stores` are those of the viewer.
    `claim` is that of a mutation that must run once. `headers` go out with the response. `operation_name` is known once
    the document has been read. `charged` is what the operation may cost, where `meter` limits it, and `spent` what it
    has cost, once that is known; `surcharge` is the part of it that lists cost beyond their fields. `size_budget` is
    what its answer must fit into, together with those of its batch where it is `of_batch`. `deadline` is that of the
    operation, `has_left` whether it was brought forward because its client has left. `only_reads` says that it is a
    query, whose reads may go out with those of others. `outcome` is what it has given, where others may have been given
    the same. `writes` says that it is a mutation. `seen` is what its reads must see of earlier writes.
    `live` is what subscriptions follow. `asker` is who is told to those that observe calls; None where nobody does.
    """

    stores: Stores
    settings: Settings
    request_id: str
    domains: Domains
    auth: Auth
    viewer: Viewer = ANONYMOUS
    address: str | None = None
    claim: Claim | None = None
    headers: dict[str, str] = field(default_factory=dict)
    operation_name: str | None = None
    meter: Meter | None = None
    charged: int = 0
    spent: int | None = None
    size_budget: SizeBudget | None = None
    surcharge: int = 0
    disconnect: ClientDisconnect | None = None
    deadline: asyncio.Timeout | None = None
    has_left: bool = False
    of_batch: bool = False
    outcome: Outcome | None = None
    only_reads: bool = False
    writes: bool = False
    seen: Position = NOWHERE
    live: Live | None = None
    asker: Asker | None = None
    _loaders: dict[str, Loader[Any, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.stores.row_level_security:
            self.stores = self.stores.acting_as(identity_of(self.viewer, self.request_id))

    def only_read(self) -> None:
        """It is a query: its reads may go out with those of others, to a replica, and end when its client leaves."""
        self.only_reads = True
        self.stores = self.stores.for_query(self.seen)
        self.end_with_client()

    def end_with_client(self) -> None:
        """End the operation when its client leaves, which only a query may: what writes is carried on, and is whole."""
        if self.disconnect is not None and self.claim is None:
            self.disconnect.add_callback(self._end)

    def outlive_client(self) -> None:
        """It is over, or is to be."""
        if self.disconnect is not None:
            self.disconnect.remove_callback(self._end)

    def _end(self) -> None:
        if self.deadline is not None and not self.deadline.expired():
            self.has_left = True
            self.deadline.reschedule(asyncio.get_running_loop().time())

    @property
    def system_stores(self) -> Stores:
        """The stores for what has to reach accounts that aren't the viewer's: sign-in, sign-up and the like."""
        return self.stores.acting_as(identity_of(self.viewer, self.request_id, system=True))

    def become(self, viewer: Viewer) -> None:
        """Go on as this viewer, who has just signed in; what was loaded for the one before is forgotten."""
        self.viewer = viewer
        self.stores = self.stores.acting_as(identity_of(viewer, self.request_id))
        self._loaders.clear()

    def policy(self, type_name: str) -> Policy:
        """Who may see objects of this type."""
        return self.domains.policy(type_name)

    def forget(self, type_name: str) -> None:
        """Forget what was loaded of this type's domain, after a write to one of its objects: it is read anew."""
        for name in self.domains.loaders_beside[type_name]:
            if (loader := self._loaders.get(name)) is not None:
                loader.clear_all()

    def loader(self, name: str) -> Loader[Any, Any]:
        """The loader of this name, made when it is first asked for.

        Raises KeyError where no domain has such a loader.
        """
        loader = self._loaders.get(name)
        if loader is None:
            fetch, asker = self._fetch(name), self.asker
            if asker is not None:
                loader = ObservedLoader(fetch, name, asker, self.stores.calls)
            else:
                loader = NamedLoader(fetch, name) if self.stores.calls.clocks else Loader(fetch)
            self._loaders[name] = loader
        return loader

    def _fetch(self, name: str) -> Fetch[Any, Any]:
        """What fetches a batch of this loader: with those of other requests, where this one only reads."""
        source = self.domains.loaders[name]
        stores = self.stores
        fetch: Fetch[Any, Any] = partial(source.read, stores)
        coalescer = stores.coalescer
        if coalescer is None or not self.only_reads:
            return fetch
        if stores.place is not None:
            return partial(source.together, coalescer, (stores.place, name), fetch)
        return partial(source.together, coalescer, name, fetch)
