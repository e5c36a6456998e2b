"""What requests may share: rows and documents that go through the coalescer stay as they were read."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.fields.equal_queries import Outcome
from api.stores.coalescing import Coalescer, Send


@dataclass
class SharedValues:
    """The values of each read so far, and what they held."""

    read: list[tuple[Any, Any, bytes]] = field(default_factory=list)

    def changed(self) -> list[Any]:
        """The kinds of reads whose values aren't any more what they were."""
        return [kind for kind, values, held in self.read if _held(values) != held]

    def noting(self, read: Callable[..., Awaitable[Sequence[Any]]]) -> Callable[..., Awaitable[Sequence[Any]]]:
        """The coalescer's `read`, noting what it returns."""

        async def noted(
            coalescer: Coalescer, name: Hashable, keys: Sequence[Any], send: Send, size: int = 1
        ) -> Sequence[Any]:
            values = await read(coalescer, name, keys, send, size)
            self.read.append((name, values, _held(values)))
            return values

        return noted


def _held(values: Any) -> bytes:
    return pickle.dumps(_plain(values))


def _plain(value: Any) -> Any:
    """Rows as dictionaries: the driver's own class can't be pickled. Of outcomes the data: their JSON is written later,
    and errors can't be pickled."""
    if isinstance(value, Outcome):
        return None if value.result is None else value.result.data
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return dict(value) if hasattr(value, "keys") and not isinstance(value, dict) else value
