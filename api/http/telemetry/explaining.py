"""Whoever may gets `extensions.explain` with the answer, which says what the operation has done.

Over HTTP the header `X-Explain` asks for it, in a message over a WebSocket `extensions.explain`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from api.admission.document_cache import documents
from api.admission.limited_schema import LimitedSchema
from api.errors import BadRequest, Forbidden, Unauthenticated
from api.execution.operation import Operation
from api.fields.explanation import Explanation
from api.http.responses.answer import Answer
from api.http.telemetry import spans
from api.log import current_cost, logger
from api.rights.identity import identity_of
from api.stores.calls import asking
from api.stores.diagnostics.plans import mongodb_plan, postgres_plan

if TYPE_CHECKING:
    from api.http.exchange import Exchange
    from api.http.request import Incoming

HEADER: Final = b"x-explain"
_ASKS: Final = {"1": False, "plans": True}
_EXPLAIN: Final = "explain"
_SECONDS: Final = 2.0
"""What the stores get to tell all of their plans."""


Find = Callable[["Exchange"], Awaitable[Answer]]


def by_header(find: Find, schema: LimitedSchema, request: Incoming) -> Find:
    """What gives the answer that `find` gives: with its explanation, where the request's header asks for it."""
    if HEADER not in request:
        return find
    return partial(_explained, find, schema, _ASKS.get(request.header(HEADER).strip().lower()))


def by_message(find: Find, schema: LimitedSchema, operation: Operation) -> Find:
    """What gives the answer that `find` gives: with its explanation, where the operation's extensions ask for it."""
    asks = operation.extensions.get(_EXPLAIN)
    if asks is None or asks is False:
        return find
    return partial(_explained, find, schema, False if asks is True else True if asks == "plans" else None)


async def _explained(find: Find, schema: LimitedSchema, with_plans: bool | None, exchange: Exchange) -> Answer:
    """The answer that `find` gives, with its explanation. Raises BadRequest where nothing known was asked for, and what
    `find` and `begin` raise."""
    if with_plans is None:
        raise BadRequest(
            "X-Explain must be 1, or plans for the stores' own plans, too; in a message, explain is true or plans."
        )
    explanation = exchange.explanation = Explanation(with_plans=with_plans)
    try:
        answer = await find(exchange)
        explanation.finished = time.perf_counter()
    finally:
        exchange.stores.calls.forget(explanation)
    if isinstance(answer.body, dict):
        told = await _told(explanation, schema, exchange, executed="data" in answer.body)
        answer.body = {**answer.body, "extensions": {**answer.body.get("extensions", {}), "explain": told}}
    return answer


def begin(exchange: Exchange) -> None:
    """Observe this request from now on; its sender is known. Raises Unauthenticated and Forbidden for those who may not
    know, and BadRequest for a batch."""
    explanation, allowed = exchange.explanation, exchange.settings.explain
    assert explanation is not None
    if isinstance(exchange.asked, list):
        raise BadRequest("Explanations are of one operation, not of a batch.")
    if allowed == "off":
        raise NotExplained("Explanations are switched off on this server: ask for none.")
    if allowed == "admins" and not exchange.viewer.is_admin:
        if exchange.viewer.id is None:
            raise Unauthenticated("Explanations are for admins: sign in as one, or ask for none.")
        raise NotExplained("Explanations are for admins: ask for none.")
    # an equal query's answer would have another's explanation
    exchange.stores = replace(exchange.stores, answers=None)
    exchange.stores.calls.observe(explanation)
    explanation.asker = exchange.asker or spans.ask_by_name(exchange)


class NotExplained(Forbidden):
    """As Forbidden, for a request as a whole."""

    status = 403


async def _told(
    explanation: Explanation, schema: LimitedSchema, exchange: Exchange, *, executed: bool
) -> dict[str, Any]:
    executor, levels, asked = None, None, exchange.asked
    if executed and isinstance(asked, Operation):
        document = documents.get(asked.query, exchange.settings)
        operation = document.operation(asked.name)
        name = asked.name or (operation.name.value if operation is not None and operation.name else None)
        levels = schema.executor.levels(document.node, name, asked.variables or {})
        executor = "graphql-core" if levels is None else "compiled"
    plans = await _plans(explanation, exchange) if explanation.with_plans else {}
    return explanation.told(executor, levels or (), plans)


async def _plans(explanation: Explanation, exchange: Exchange) -> dict[str, Any]:
    """The stores' own plans, by text. Where a store doesn't tell one, it says why."""
    tokens = asking.set(()), current_cost.set(None)  # what is asked now is no part of the request
    stores = exchange.stores
    if stores.row_level_security:
        stores = stores.acting_as(identity_of(exchange.viewer, exchange.request_id))
    plans: dict[str, Any] = {}
    try:
        async with asyncio.timeout(_SECONDS):
            for call in explanation.calls:
                if call.text in plans:
                    continue
                try:
                    if isinstance(call.source, str):
                        plan = await postgres_plan(stores.sessions, call.kind, call.source)
                    else:
                        plan = await mongodb_plan(stores.database, call.kind, call.source)
                except TimeoutError:
                    raise
                except Exception as error:
                    logger.warning("no plan", store=call.store, kind=call.kind, error=type(error).__name__)
                    plan = {"unavailable": type(error).__name__}
                if plan is not None:
                    plans[call.text] = plan
    except TimeoutError:
        logger.warning("plans took too long", seconds=_SECONDS)
    finally:
        asking.reset(tokens[0])
        current_cost.reset(tokens[1])
    return plans
