"""What an application's observers are told of its calls, kept for a test to look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from api.stores.calls import Asker, Call, Observer
from api.stores.stores import Stores
from tests.execution.both import aside


@dataclass
class Observed(Observer):
    """What was told. The second execution of a test's operations (`tests/execution/both.py`) is left out."""

    calls: list[Call] = field(default_factory=list)
    batches: list[Asker] = field(default_factory=list)
    ends: list[tuple[Asker, BaseException | None]] = field(default_factory=list)
    shares: list[tuple[Asker, ...]] = field(default_factory=list)

    def called(self, call: Call) -> None:
        if not aside.get():
            self.calls.append(call)

    def began(self, batch: Asker) -> None:
        if not aside.get():
            self.batches.append(batch)

    def ended(self, batch: Asker, error: BaseException | None) -> None:
        if not aside.get():
            self.ends.append((batch, error))

    def shared(self, askers: tuple[Asker, ...]) -> None:
        if not aside.get():
            self.shares.append(askers)

    @property
    def of_requests(self) -> list[Call]:
        """The calls that somebody has asked for."""
        return [call for call in self.calls if call.askers]


@contextmanager
def observing(stores: Stores) -> Iterator[Observed]:
    """What is told in the block."""
    observed = Observed()
    stores.calls.observe(observed)
    try:
        yield observed
    finally:
        stores.calls.forget(observed)
