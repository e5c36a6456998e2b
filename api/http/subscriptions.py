"""Subscriptions that are open: each event is executed like an operation of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import uuid_utils

from api.accounts.tokens import Claims
from api.admission.limited_schema import Opened
from api.errors import RateLimited
from api.execution.operation import Operation
from api.http import observing
from api.http.request import JSON, RESPONSE_JSON
from api.http.response import Answer, executed, failure, too_large
from api.log import logger
from api.rights.viewer import Viewer

if TYPE_CHECKING:
    from api.http.endpoint import Exchange, GraphQLEndpoint

LONGEST_WAIT: Final = 10.0
"""The most seconds between two looks whether an account has points again."""


async def open_subscription(
    endpoint: GraphQLEndpoint, exchange: Exchange, claims: Claims | None, operation: Operation
) -> Answer:
    """The answer that has the subscription, or says why there is none. Raises AppError where it is refused."""
    context = endpoint.context(exchange, exchange.viewer)
    context.meter, context.asker = exchange.meter, exchange.asker
    assert context.live is not None
    leave = context.live.enter(exchange.viewer.id, exchange.address)
    try:
        opened = await endpoint.schema.open(operation, context)
        exchange.operation = context.operation_name
        if isinstance(opened, Opened):
            return Answer(200, {}, subscription=Subscription(endpoint, exchange, claims, operation, opened, leave))
    except BaseException:
        leave()
        raise
    leave()
    return executed(opened, exchange.media_type or JSON, exchange.request_id)


class Happening(Protocol):
    """What a subscription's resolver gives: the event as each viewer may see it, None where it is none for them.

    `answers` keeps what was worked out, for all who ask the same. Viewers of the same `audience` see the same in
    objects of these types.
    """

    @property
    def answers(self) -> dict[Any, Any]: ...

    def audience(self, viewer: Viewer, types: frozenset[str]) -> Hashable: ...

    def seen_by(self, viewer: Viewer) -> Any: ...


@dataclass(slots=True)
class Subscription:
    """An operation whose events are followed."""

    endpoint: GraphQLEndpoint
    exchange: Exchange
    claims: Claims | None
    operation: Operation
    opened: Opened
    leave: Callable[[], None]
    sent: int = field(default=0, init=False)

    async def results(self) -> AsyncIterator[bytes]:
        """The JSON of each result. Ends by an AppError where the subscription can't go on."""
        async for happening in self.opened.events:
            viewer = await self.endpoint.viewer(self.exchange, self.claims)
            content = await self._shared(happening, viewer)
            if content is not None:
                await self._charge()
                self.sent += 1
                yield content

    async def close(self, **said: Any) -> None:
        """It is followed no longer. Must be called in the end, also where no result was asked for."""
        self.leave()
        await self.opened.events.aclose()
        logger.info(
            "subscription ended",
            operation=self.exchange.operation,
            viewer=str(self.exchange.viewer.id) if self.exchange.viewer.id else None,
            events=self.sent,
            request_id=self.exchange.request_id,
            **said,
        )

    async def _shared(self, happening: Happening, viewer: Viewer) -> bytes | None:
        """The result for this viewer, which others of the same audience who ask the same wait for, too."""
        question = self.opened.question
        key = (question.key, happening.audience(viewer, question.types))
        answer: asyncio.Task[bytes | None] | None = happening.answers.get(key)
        if answer is None:
            answer = happening.answers[key] = asyncio.create_task(self._execute(happening, viewer))
        if answer.done():
            return answer.result()
        return await asyncio.shield(answer)  # who leaves takes nothing from the others

    async def _execute(self, happening: Happening, viewer: Viewer) -> bytes | None:
        seen = happening.seen_by(viewer)
        if seen is None:
            return None
        endpoint, settings = self.endpoint, self.exchange.settings
        context = endpoint.context(self.exchange, viewer)
        context.request_id = str(uuid_utils.uuid7())
        if context.stores.calls.observers:
            context.asker = observing.begin_event(self.exchange, context.request_id)
        try:
            result = await endpoint.schema.execute_event(self.opened, self.operation, seen, context)
            answer = executed(result, RESPONSE_JSON, context.request_id)
            content = answer.content()
        except Exception as error:
            answer = failure(error, context.request_id)
            content = answer.content()
        if len(content) > settings.max_response_size:
            answer = too_large(len(content), settings, RESPONSE_JSON)
            content = answer.content()
        if context.asker is not None:
            observing.end_event(self.exchange, context.asker, answer)
        return content

    async def _charge(self) -> None:
        """Charge the event to whoever is subscribed. Who has no points left waits for them: nothing is lost."""
        meter = self.exchange.meter
        while meter is not None:
            try:
                await meter.charge(self.opened.price)
                return
            except RateLimited as refused:
                await asyncio.sleep(min(refused.extensions["retryAfter"], LONGEST_WAIT))
