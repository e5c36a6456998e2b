"""A search among drawn operations: how they are drawn, and what it tells while it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.execution.operations import Operation

INTERVAL: Final = 10.0
"""Seconds between two lines."""


def draw(operations: st.SearchStrategy[Operation], examples: int, seed_: int, use: Callable[[Operation], None]) -> None:
    """Use so many operations, each as soon as it is drawn; they are the same for the same seed."""

    @seed(seed_)
    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operations)
    def use_each(operation: Operation) -> None:
        use(operation)

    use_each()


@dataclass
class Progress:
    """Of a search among `examples` operations of one kind. Progress goes to stderr, differences to stdout at once."""

    kind: str
    examples: int
    operations: int = 0
    differences: int = 0
    started: float = field(default_factory=time.monotonic)
    _told: float = field(default_factory=time.monotonic)

    def step(self) -> None:
        """One more operation was compared, or is about to be."""
        self.operations += 1
        if time.monotonic() - self._told > INTERVAL:
            self.tell()

    def differ(self, what: str) -> None:
        """An operation's responses differ, as `what` says."""
        self.differences += 1
        self.show(what)

    def show(self, text: str) -> None:
        """More about a difference."""
        sys.stdout.write(f"{text}\n\n")
        sys.stdout.flush()

    def tell(self) -> None:
        """A line about what has been done so far."""
        self._told = time.monotonic()
        sys.stderr.write(
            f"{self.kind}: {self.operations:,} of {self.examples:,} operations in {self._told - self.started:.0f} s, "
            f"{self.differences} with a difference\n"
        )
