"""What a process is doing right now, and what counts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.metrics.requests import Requests


@dataclass(slots=True)
class Traffic:
    """Requests to `/graphql`: how many are `under_way`, and how many were `shed` as there was too much to do.

    All are `counted` where there are metrics.
    """

    counted: Requests | None = None
    under_way: int = 0
    shed: int = 0
