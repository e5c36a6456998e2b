"""What a process counts of the requests that it answers: a few integers each, for `api.http.metrics`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from api.http.response import Answer
from api.log import Cost

_CLASSES: Final = 6
"""Of statuses, with one for 0 that isn't used."""


@dataclass(slots=True)
class Traffic:
    """Requests to `/graphql` since the process started.

    `requests` and `operations` are by the class of their status (at 2 for 2xx): an operation counts once it was handed
    to the schema, a request that is refused before has none, a batch has several. `errors` are those of the responses,
    by code and the setting that was exceeded, if it was one.
    """

    under_way: int = 0
    sql: int = 0
    mongo: int = 0
    requests: list[int] = field(default_factory=lambda: [0] * _CLASSES)
    operations: list[int] = field(default_factory=lambda: [0] * _CLASSES)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)

    def ended(self, cost: Cost) -> None:
        """Count a request out, whether it is answered or its client has gone."""
        self.under_way -= 1
        self.sql += cost.sql
        self.mongo += cost.mongo

    def answered(self, answer: Answer) -> None:
        """Count what a request is answered."""
        self.requests[answer.status // 100] += 1
        for error in answer.errors:
            extensions = error["extensions"]
            self.errors[extensions["code"], extensions.get("limit", "")] += 1
