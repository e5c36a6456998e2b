"""Subscriptions that are open: each event is executed like an operation of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import uuid_utils

from api.accounts.tokens import Claims
from api.admission.limited_schema import Opened
from api.errors import BadRequest, RateLimited
from api.execution.operation import Operation
from api.http.request import JSON, RESPONSE_JSON
from api.http.responses.answer import Answer, executed, failure, too_large
from api.http.subscriptions.pace import Pace
from api.http.telemetry import spans
from api.live.errors import TooFarBehind
from api.live.following import Events, Happening, Start
from api.live.live import Live
from api.log import logger
from api.rights.viewer import Viewer

if TYPE_CHECKING:
    from api.http.endpoint import GraphQLEndpoint
    from api.http.exchange import Exchange

LONGEST_WAIT: Final = 10.0
"""The most seconds between two looks whether an account has points again."""


async def open_subscription(
    endpoint: GraphQLEndpoint, exchange: Exchange, claims: Claims | None, operation: Operation
) -> Answer:
    """The answer that has the subscription, or says why there is none. Raises AppError where it is refused."""
    if exchange.explanation is not None:
        raise BadRequest("Explanations are of queries and mutations: subscriptions have none.")
    context = endpoint.context(exchange, exchange.viewer)
    context.meter, context.asker = exchange.meter, exchange.asker
    assert context.live is not None
    leave = context.live.enter(exchange.viewer.id, exchange.address, exchange.socket)
    try:
        opened = await endpoint.schema.open(operation, context)
        exchange.operation = context.operation_name
        if isinstance(opened, Opened):
            pace = Pace(exchange.settings.max_events_per_second)
            subscription = Subscription(endpoint, exchange, claims, operation, opened, leave, context.live, pace)
            return Answer(200, {}, subscription=subscription)
    except BaseException:
        leave()
        raise
    leave()
    return executed(opened, exchange.media_type or JSON, exchange.request_id)


class Sink(Protocol):
    """A client that can be sent results at once, each as its JSON."""

    @property
    def is_ready(self) -> bool:
        """Whether it takes one now."""
        ...

    def take(self, content: bytes) -> None:
        """Send it this."""
        ...


@dataclass(slots=True, eq=False)
class Subscription:
    """An operation whose events are followed."""

    endpoint: GraphQLEndpoint
    exchange: Exchange
    claims: Claims | None
    operation: Operation
    opened: Opened
    leave: Callable[[], None]
    live: Live
    pace: Pace
    sent: int = field(default=0, init=False)
    sink: Sink | None = field(default=None, init=False)

    async def run(self, send: Callable[[bytes], Awaitable[None]], sink: Sink | None = None) -> None:
        """Hand on the JSON of each result, for ever: to the `sink` while it is ready, else by `send`, which waits until
        the client takes more. Raises AppError where the subscription can't go on."""
        self.sink = sink
        fan_outs, question = self.endpoint.fan_outs, self.opened.question
        while True:
            if sink is not None and sink.is_ready and self.events.is_current:
                await fan_outs.stay(self, question.key)
            try:
                happening = await anext(self.events)
            except TooFarBehind:
                self.live.cut_off += 1
                raise
            viewer = await self.endpoint.viewer(self.exchange, self.claims)
            answer = self.answer(happening, viewer)
            # who leaves takes nothing from the others
            content = answer.result() if answer.done() else await asyncio.shield(answer)
            if content is not None:
                await self.pace.wait()
                await self._charge()
                self._sends()
                await send(content)

    @property
    def events(self) -> Events[Any, Any]:
        """Where the results are from."""
        return self.opened.events

    def known_viewer(self) -> Viewer | None:
        """The viewer, where that needn't be looked up."""
        return self.endpoint.auth.known_viewer(self.claims)

    def audience(self, happening: Happening[Any, Any] | Start[Any, Any], viewer: Viewer) -> Hashable:
        """Who asks the same and sees the same."""
        question = self.opened.question
        return question.key, happening.audience(viewer, question.types)

    def answer(self, happening: Happening[Any, Any] | Start[Any, Any], viewer: Viewer) -> asyncio.Task[bytes | None]:
        """The result for this viewer, which others of the same audience wait for, too."""
        key = self.audience(happening, viewer)
        answer: asyncio.Task[bytes | None] | None = happening.answers.get(key)
        if answer is None:
            answer = happening.answers[key] = asyncio.create_task(self._execute(happening, viewer))
        return answer

    def take(self, content: bytes) -> bool:
        """Hand on this result where its pace, its points and its client let it go at once."""
        assert self.sink is not None
        if not self.sink.is_ready or not self.pace.allows():
            return False
        meter = self.exchange.meter
        if meter is not None and not meter.charge_at_once(self.opened.price):
            return False
        self.pace.go()
        self._sends()
        self.sink.take(content)
        return True

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

    def _sends(self) -> None:
        self.sent += 1
        self.live.sent += 1

    async def _execute(self, happening: Happening[Any, Any] | Start[Any, Any], viewer: Viewer) -> bytes | None:
        seen = happening.seen_by(viewer)
        if seen is None:
            return None
        endpoint, settings = self.endpoint, self.exchange.settings
        context = endpoint.context(self.exchange, viewer)
        context.request_id = str(uuid_utils.uuid7())
        if context.stores.calls.observers:
            context.asker = spans.begin_event(self.exchange, context.request_id)
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
            spans.end_event(self.exchange, context.asker, answer)
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
