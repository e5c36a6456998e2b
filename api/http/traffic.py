"""Counts of the requests that a process answers, for `api.http.metrics`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from api.http.response import Answer
from api.log import Cost

_CLASSES: Final = 6
"""The number of status classes, including an unused one for 0."""


@dataclass(slots=True)
class Traffic:
    """Requests to `/graphql` since the process started.

    `requests` and `operations` are counted by status class (2 for 2xx). An operation counts once it is handed to the
    schema: a request that is refused before has none, a batch has several. `errors` are counted by their code and the
    setting that was exceeded, if any. `shed` are the requests that were refused since there was too much to do; they
    count as answered, too.
    """

    under_way: int = 0
    shed: int = 0
    sql: int = 0
    mongo: int = 0
    requests: list[int] = field(default_factory=lambda: [0] * _CLASSES)
    operations: list[int] = field(default_factory=lambda: [0] * _CLASSES)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)

    def ended(self, cost: Cost) -> None:
        """Count the end of a request, whether it was answered or its client has gone."""
        self.under_way -= 1
        self.sql += cost.sql
        self.mongo += cost.mongo

    def answered(self, answer: Answer) -> None:
        """Count the answer to a request."""
        self.requests[answer.status // 100] += 1
        for error in answer.errors:
            extensions = error["extensions"]
            self.errors[extensions["code"], extensions.get("limit", "")] += 1
