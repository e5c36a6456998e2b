"""Limits of time: when a breaker opens and closes, and how long a driver waits for its server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from api.config.settings import Settings

GRACE: Final = 1.0
"""Seconds that a driver waits beyond the server's own limit, so that it is the server that ends a long statement."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a breaker opens and closes. Times are in seconds."""

    failures: int
    window: float
    patience: float
    probe_timeout: float
    probe_interval: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            failures=settings.breaker_failures,
            window=settings.breaker_window,
            patience=settings.breaker_patience,
            probe_timeout=settings.breaker_probe_timeout,
            probe_interval=settings.breaker_probe_interval,
        )
