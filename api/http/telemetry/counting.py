"""What metrics are told of a request that was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.execution.operation import Operation
from api.http.responses.answer import Answer
from api.metrics.names import BATCH, NONE, UNNAMED

if TYPE_CHECKING:
    from api.http.exchange import Exchange
    from api.metrics.requests import Requests


def count(requests: Requests, exchange: Exchange, answer: Answer, seconds: float, size: int) -> None:
    """Count a request with its answer, whose content has so many bytes."""
    asked, name, registered = exchange.asked, exchange.operation, False
    if isinstance(asked, Operation):
        name = name or asked.name or UNNAMED
        registered = asked.document_id is not None or exchange.settings.trusted_documents == "enforce"
    elif name is None:
        name = NONE if asked is None else BATCH
    requests.answered(
        name,
        answer.status,
        seconds,
        executed=answer.subscription is not None or "data" in answer.body,
        registered=registered,
        received=exchange.request.size,
        sent=size,
        cost=exchange.spent,
        trace=exchange.trace_id if exchange.is_sampled else None,
        errors=answer.errors,
    )
