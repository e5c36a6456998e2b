"""Which operations are counted by their names: as many as there is room for, in all processes together."""

from __future__ import annotations

from typing import Final

from api.config.settings import Settings
from api.metrics.families import REQUESTS
from api.metrics.memory import Memory

OTHER: Final = "other"
"""Operations whose names aren't shown, as there are too many."""
UNNAMED: Final = "unnamed"
BATCH: Final = "batch"
NONE: Final = "none"
"""Requests that were refused before it was known what they ask for."""
_REGISTERED: Final = 1000
"""Names of registered documents, which only the operator can add to."""


class Names:
    """The names that are shown. One comes to be shown when its operation has been executed for the first time.

    Clients choose names, and each one that is shown takes memory here and in Prometheus: so there is a bound, and only
    those of registered documents may go beyond it.
    """

    def __init__(self, settings: Settings, memory: Memory) -> None:
        self._most = settings.metrics_operations
        self._memory = memory
        self._shown = {OTHER, UNNAMED, BATCH, NONE}
        self._reserved = len(self._shown)
        self._seen = 0
        self.refresh()

    def refresh(self) -> None:
        """Learn which names other processes show."""
        size = self._memory.size_of_keys()
        if size == self._seen:
            return
        self._seen = size
        for slot in self._memory.slots():
            self._shown.update(labels[0] for family, labels in slot.written() if family is REQUESTS)

    def shown(self, name: str, *, executed: bool, registered: bool) -> str:
        """The label for an operation of this name."""
        if name in self._shown:
            return name
        most = self._most + (_REGISTERED if registered else 0)
        if not executed or len(self._shown) - self._reserved >= most:
            return OTHER
        self._shown.add(name)
        return name
