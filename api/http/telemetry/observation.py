"""What looks at a request while it is answered: its cost, its trace, its counts and its line in the log.

Nobody else needs to know who looks. What is switched off costs no more than finding that out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from api.accounts import security_log
from api.accounts.security_log import SecurityEvent
from api.errors import Forbidden
from api.http.telemetry import counting, spans
from api.log import Cost, current_cost, logger
from api.stores.calls import Asker, asking

if TYPE_CHECKING:
    from api.fields.context import Context
    from api.http.exchange import Exchange
    from api.http.responses.answer import Answer
    from api.http.telemetry.traffic import Traffic

_LOGGED: Final = 100
"""The most characters of an operation's name that are logged."""
_TRACEPARENT: Final = b"traceparent"
_NOTHING: Final[Mapping[str, Any]] = {}


class Observation:
    """The time in which a request is answered: `begin`, `executed`, `answered`, `log`, in this order.

    A request whose client goes meanwhile is `executed` only.
    """

    __slots__ = ("_cost", "_exchange", "_started", "_token", "_traffic")

    def __init__(self, exchange: Exchange, traffic: Traffic) -> None:
        self._started = time.perf_counter()
        self._exchange, self._traffic = exchange, traffic
        cost = self._cost = Cost(asked=exchange)
        self._token = current_cost.set(cost)
        traffic.under_way += 1

    def begin(self) -> None:
        """Whatever is asked of the stores from now on is asked in its name."""
        exchange = self._exchange
        if _TRACEPARENT in exchange.request:
            spans.name_trace(exchange)
        if exchange.stores.calls.observers:
            spans.begin(exchange)

    def executed(self) -> None:
        """There is an answer, or there will be none."""
        current_cost.reset(self._token)
        self._cost.asked = None  # tasks that are kept by loaders keep the cost, and the exchange keeps the loaders
        self._traffic.under_way -= 1
        if self._traffic.counted is not None:
            self._traffic.counted.ended(self._cost)

    def answered(self, answer: Answer, size: int) -> None:
        """This is the answer, whose content has so many bytes."""
        exchange, counted = self._exchange, self._traffic.counted
        if counted is not None:
            counting.count(counted, exchange, answer, time.perf_counter() - self._started, size)
        if exchange.asker is not None or exchange.span is not None:
            spans.end(exchange, answer, size)

    def log(self, answer: Answer, said: Mapping[str, Any]) -> None:
        """Write the line of the request, with what else is `said`."""
        exchange, cost = self._exchange, self._cost
        logger.info(
            "request",
            operation=exchange.operation[:_LOGGED] if exchange.operation else None,
            viewer=str(exchange.viewer.id) if exchange.viewer.id else None,
            status=answer.status,
            errors=len(answer.errors),
            ms=round((time.perf_counter() - self._started) * 1000, 2),
            sql=cost.sql,
            mongo=cost.mongo,
            request_id=exchange.request_id,
            **({"joined": cost.joined} if cost.joined else {}),
            **({"batch": len(exchange.asked)} if isinstance(exchange.asked, list) else {}),
            **({"trace_id": exchange.trace_id} if exchange.trace_id is not None else {}),
            **said,
        )


def ask(exchange: Exchange, context: Context) -> None:
    """An operation of this request asks of the stores from now on; of a batch, each in a name of its own."""
    asker = exchange.asker
    context.asker = Asker(exchange.request_id, parent=asker) if context.of_batch else asker
    assert context.asker is not None
    asking.set((context.asker,))


def note(exchange: Exchange, context: Context, answer: Answer, traffic: Traffic) -> None:
    """An operation got as far as the schema, which has given this answer."""
    if any(error.get("extensions", _NOTHING).get("code") == Forbidden.code.name for error in answer.errors):
        security_log.note(
            context,
            SecurityEvent.ACCESS_REFUSED,
            account=context.viewer.id,
            code=Forbidden.code.name,
            operation=(context.operation_name or "")[:_LOGGED],
        )
    exchange.spent += context.spent or 0
    if traffic.counted is not None:
        traffic.counted.executed(answer.status)
