"""What is told of each SQL statement and MongoDB command: what it was, how long it took, and who asked for it.

Nothing is measured while nobody observes: the first observer puts the hooks in place (`ObservedPostgres`,
`ObservedMongo`), and the last one that leaves takes them away. Values never get here: a statement has placeholders,
and of a command only its shape is told.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from api.log import logger

StoreName = Literal["PostgreSQL", "MongoDB"]


@dataclass(slots=True, eq=False)
class Asker:
    """In whose name the stores are asked: a request, an operation of one that has several, or one batch of a loader.
    The last two have a `parent`.

    `operation` is its name and `kind` one of query, mutation, subscription; both are known once the document is read.
    `fields` are the schema's coordinates (`Design.owner`) of the fields that asked for a batch, `keys` how many
    distinct keys it has, and `columns` what is read of each object. `trace_id` is that of
    its trace, in 32 hexadecimal digits. `kept` is what observers keep with it, each by a key of its own.
    """

    request_id: str
    operation: str | None = None
    kind: str | None = None
    parent: Asker | None = None
    loader: str | None = None
    fields: tuple[str, ...] = ()
    keys: int | None = None
    columns: frozenset[str] = frozenset()
    trace_id: str | None = None
    kept: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def root(self) -> Asker:
        """The operation that this is part of."""
        return self if self.loader is None or self.parent is None else self.parent.root


@dataclass(frozen=True, slots=True)
class Call:
    """A statement or command that has ended.

    `kind` is a statement's verb (SELECT, INSERT) or a command's name (find, aggregate). `began` is a time of
    `time.perf_counter()`. `rows` are the rows or documents that came back or were written, where the store says so.
    `askers` are those who asked: none for what the process does by itself, several where a read was shared, and then it
    was sent in the context of the first one. `keys` are the distinct keys that were read together, for so many
    `readers`: more than askers, where some of them aren't observed. `source` is what was sent, values and all, which
    must be told to nobody. `tell` writes what `text` says, each time that somebody wants to know it.
    """

    store: StoreName
    kind: str
    target: str | None
    began: float
    seconds: float
    rows: int | None
    error: BaseException | None
    tell: Callable[[], str]
    askers: tuple[Asker, ...]
    keys: int | None
    readers: int
    source: str | Mapping[str, Any] = field(repr=False)
    field: str | None = None
    """The schema's coordinate of the field that asked; of those that asked by a loader, the first."""

    @property
    def text(self) -> str:
        """The statement with its placeholders, or the command's shape as JSON, with `?` in the place of each value."""
        return self.tell()


class Resolved(Protocol):
    """A field of an operation; its `coordinate` is where it is in the schema, such as `Design.owner`."""

    @property
    def coordinate(self) -> str: ...


class Observer:
    """Is told what happens, at once and in the middle of it: it must be quick."""

    only_asked: ClassVar[bool] = False
    """Whether it wants to know of calls only that somebody is observed to ask for."""

    def called(self, call: Call) -> None:
        """A statement or command has ended."""

    def began(self, batch: Asker) -> None:
        """A loader's batch begins."""

    def ended(self, batch: Asker, error: BaseException | None) -> None:
        """A loader's batch has its values, or an error."""

    def shared(self, askers: tuple[Asker, ...]) -> None:
        """What these ask for is read by one of them, the first, for all of them."""


class Clock:
    """Is told how long calls take. It doesn't need to know who asked, so nobody has to keep track of that."""

    def timed(self, store: StoreName, kind: str, seconds: float, error: BaseException | None) -> bool:
        """A call has ended. Whether more is to be told of it, by `called`."""
        raise NotImplementedError

    def called(self, call: Call) -> None:
        """A call of which more is to be told. It has askers only where there are observers as well."""


asking: ContextVar[tuple[Asker, ...]] = ContextVar("asking", default=())
"""Who asks. Tasks inherit it."""
asked_field: ContextVar[Resolved | None] = ContextVar("asked_field", default=None)
"""The field that is being resolved. Tasks inherit it: in a batch, it is the first field that asked."""
together: ContextVar[tuple[int | None, int]] = ContextVar("together", default=(None, 1))
"""How many distinct keys are being read together, and for how many."""


def field_that_asks() -> str | None:
    """The schema's coordinate of the field that is being resolved; None outside of an operation's execution."""
    field = asked_field.get()
    return None if field is None else field.coordinate


loading: ContextVar[str | None] = ContextVar("loading", default=None)
"""The loader whose batch is being read, where calls are timed and not observed."""


class Calls:
    """The observers and clocks of a process's calls. `hooks` are told whether there are any."""

    def __init__(self) -> None:
        self.observers: tuple[Observer, ...] = ()
        self.clocks: tuple[Clock, ...] = ()
        self.hooks: list[Callable[[bool], None]] = []
        self._all_observed = False

    @property
    def are_observed(self) -> bool:
        """Whether anybody is told of calls."""
        return bool(self.observers or self.clocks)

    def observe(self, observer: Observer) -> None:
        """Tell this observer from now on."""
        self._keep((*self.observers, observer))
        if len(self.observers) + len(self.clocks) == 1:
            self._hook(True)

    def forget(self, observer: Observer) -> None:
        """Tell this observer nothing more."""
        self._keep(tuple(each for each in self.observers if each is not observer))
        if not self.are_observed:
            self._hook(False)

    def time(self, clock: Clock) -> None:
        """Tell this clock from now on."""
        self.clocks += (clock,)
        if len(self.observers) + len(self.clocks) == 1:
            self._hook(True)

    def stop(self, clock: Clock) -> None:
        """Tell this clock nothing more."""
        self.clocks = tuple(each for each in self.clocks if each is not clock)
        if not self.are_observed:
            self._hook(False)

    def ended(
        self,
        store: StoreName,
        what: tuple[str, str | None],
        tell: Callable[[], str],
        times: tuple[float, float],
        rows: int | None,
        error: BaseException | None,
        source: str | Mapping[str, Any],
    ) -> None:
        """A call has ended: `what` is its kind and target, `times` are when it began and when it ended."""
        began, end = times
        seconds = end - began
        wanting: list[Clock] | None = None
        for clock in self.clocks:
            if clock.timed(store, what[0], seconds, error):
                wanting = [clock] if wanting is None else [*wanting, clock]
        askers = asking.get() if self.observers else ()
        if wanting is None and not askers and not self._all_observed:
            return
        keys, readers = together.get()
        if keys is None and askers:
            keys = askers[0].keys
        call = Call(store, *what, began, seconds, rows, error, tell, askers, keys, readers, source, field_that_asks())
        for clock in wanting or ():
            clock.called(call)
        self.tell(lambda observer: observer.called(call))

    def share(self, askers: tuple[Asker, ...]) -> None:
        """The first of them reads for all."""
        self.tell(lambda observer: observer.shared(askers))

    def tell(self, say: Callable[[Observer], None]) -> None:
        """Say it to each observer. What fails in one is logged: nobody's request fails for being looked at."""
        for observer in self.observers:
            try:
                say(observer)
            except Exception as error:
                logger.error("observer failed", observer=type(observer).__name__, exc_info=error)

    def _keep(self, observers: tuple[Observer, ...]) -> None:
        self.observers = observers
        self._all_observed = not all(each.only_asked for each in observers)

    def _hook(self, observed: bool) -> None:
        for hook in self.hooks:
            hook(observed)
