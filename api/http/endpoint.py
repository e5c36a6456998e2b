"""GraphQL over HTTP: from a request to `schema.execute` and back, with one log line.

`api.http.request` reads the request, `api.http.responses` makes the response. What comes over a WebSocket is answered
here, too, an operation like a request: `api.http.sockets`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from api.accounts import security_log
from api.accounts.auth import Auth
from api.accounts.security_log import SecurityEvent
from api.accounts.tokens import Claims
from api.admission.document_cache import documents
from api.admission.introspection import hide_suggestions
from api.admission.limited_schema import LimitedSchema
from api.admission.trusted.documents import Documents
from api.config.settings import Settings
from api.errors import AppError, BadOperation, BadRequest, BadUserInput, Unauthenticated, reported
from api.execution import SizeBudget
from api.execution.operation import Operation
from api.fields.context import Context
from api.fields.disconnects import CLIENT_DISCONNECT, ClientDisconnect
from api.http.consistency import Consistency
from api.http.exchange import Exchange
from api.http.request import EVENT_STREAM, JSON, RESPONSE_JSON, Incoming, read_operations, request_id_of, response_type
from api.http.responses.answer import Answer, Body, executed, failure, of_batch, refusal, send_answer, too_large
from api.http.responses.event_stream import event_stream
from api.http.responses.json_pieces import LARGE, written
from api.http.subscriptions.fan_out import FanOuts
from api.http.subscriptions.sessions import Sessions
from api.http.subscriptions.stream import follow
from api.http.subscriptions.subscription import open_subscription
from api.http.telemetry import explaining, observation
from api.http.telemetry.observation import Observation
from api.http.telemetry.traffic import Traffic
from api.idempotency.claims import Claim
from api.idempotency.keys import ANONYMOUS, HEADER, Idempotency, key_of, may_be_replayed
from api.rates.addresses import Addresses, site
from api.rates.counts import counts_of
from api.rates.meter import Meters
from api.rights.viewer import Viewer
from api.schema import DOMAINS

if TYPE_CHECKING:
    from api.metrics.requests import Requests

_AUTHORIZATION: Final = b"authorization"
_KEY: Final = HEADER.lower().encode()
_NOT_ONE_ANSWER: Final = f"A subscription is followed over a WebSocket, or by POST as {EVENT_STREAM}."
_READS: Final = frozenset({OperationType.QUERY})
_WRITES: Final = frozenset({OperationType.QUERY, OperationType.MUTATION})


class GraphQLEndpoint:
    """The ASGI application of `/graphql`: POST, and GET for queries."""

    def __init__(self, schema: LimitedSchema, settings: Settings, counted: Requests | None = None) -> None:
        self.schema = schema
        self._settings = settings
        counts = counts_of(settings)
        self.auth = Auth(settings, counts)
        self._addresses = Addresses(settings)
        self._idempotency = Idempotency(settings)
        self._documents = Documents(settings)
        self._consistency = Consistency(settings)
        self.meters = Meters(settings, counts)
        self.traffic = Traffic(counted)
        self.sessions = Sessions(self.auth)
        self.fan_outs = FanOuts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer every request with a well-formed GraphQL response."""
        request = Incoming(scope, receive)
        accepted = response_type(request.header(b"accept"))
        exchange = Exchange(self._settings, request, request_id_of(request), accepted, scope["app"].state.stores)
        answer, content = await self.answer(exchange, explaining.by_header(self._answer, self.schema, request))
        if answer.subscription is not None:
            await follow(answer.subscription, self.sessions, scope, send)
            return
        media_type = exchange.media_type or JSON
        if media_type == EVENT_STREAM:
            if exchange.is_admitted:
                content = event_stream(content)
            else:
                media_type = JSON
        disconnect: ClientDisconnect | None = scope.get(CLIENT_DISCONNECT)
        has_left = disconnect is not None and disconnect.gone
        encodings = "" if has_left else request.header(b"accept-encoding")
        await send_answer(answer, content, media_type, encodings, exchange.request_id, send)

    async def answer(
        self, exchange: Exchange, find: Callable[[Exchange], Awaitable[Answer]], **said: Any
    ) -> tuple[Answer, bytes]:
        """The answer that `find` gives and its JSON, or an answer with the error that it raises. It is counted,
        charged and logged, together with what is `said`."""
        observed = Observation(exchange, self.traffic)
        try:
            observed.begin()
            answer = await find(exchange)
            answer.headers.update(exchange.headers)
            content = await self._written(answer, exchange.size_budget)
            if len(content) > self._settings.max_response_size:
                answer = too_large(len(content), self._settings, exchange.media_type)
                content = answer.content()
        except AppError as error:
            answer = refusal(error)
            content = answer.content()
            if exchange.meter is None and isinstance(error, BadUserInput | Unauthenticated):
                # the account has no quota, so refused requests are charged to its address
                exchange.meter = self.meters.of(None, exchange.address)
        except Exception as error:
            answer = failure(error, exchange.request_id)
            content = answer.content()
        finally:
            observed.executed()
        if exchange.media_type == EVENT_STREAM and exchange.is_admitted:
            answer = replace(answer, status=200)  # the stream is there, whatever is in it
        observed.answered(answer, len(content))
        if exchange.meter is not None:
            await exchange.meter.finish(exchange.request.size)
            answer.headers.update(exchange.meter.headers())
        observed.log(answer, said)
        return answer, content

    async def answer_one(self, exchange: Exchange, claims: Claims | None, operation: Operation) -> Answer:
        """Execute an operation that came over a socket whose client has these claims. Raises AppError."""
        exchange.meter = self.meters.of(claims.user_id if claims else None, exchange.address)
        if exchange.meter is not None:
            exchange.meter.require()
        exchange.viewer = await self.viewer(exchange, claims)
        if exchange.explanation is not None:
            explaining.begin(exchange)
        asked = exchange.asked = await self._documents.resolve(operation, exchange.stores, for_old_client=False)
        if documents.is_subscription(asked.query, asked.name, self._settings):
            return await open_subscription(self, exchange, claims, asked)
        return await self._execute(exchange, asked)

    def address_of(self, connection: HTTPConnection) -> str | None:
        """The network address of a client."""
        return self._addresses.of(connection)

    async def _written(self, answer: Answer, budget: SizeBudget) -> bytes:
        """The answer as JSON; a large one with turns of the event loop in between."""
        is_large, outcome, turns = budget.size - budget.left >= LARGE, answer.outcome, self.schema.executor.turns
        if outcome is None or isinstance(answer.body, list):
            return await written(answer.body, turns) if is_large else answer.content()
        if outcome.json is None:
            data = answer.body["data"]
            outcome.json = await written(data, turns) if is_large else orjson.dumps(data)
        return orjson.dumps(answer.body | {"data": orjson.Fragment(outcome.json)})

    async def _answer(self, exchange: Exchange) -> Answer:
        """Read and execute the request. Raises AppError where it is refused as a whole."""
        exchange.address = self._addresses.of(HTTPConnection(exchange.request.scope))
        claims = self._admit(exchange)
        if exchange.media_type is None:
            raise BadRequest(f"Accept must allow {RESPONSE_JSON}, {JSON} or {EVENT_STREAM}.", 406)
        asked = exchange.asked = await read_operations(exchange.request, self._settings)
        exchange.seen = self._consistency.seen(exchange)
        exchange.viewer = await self.viewer(exchange, claims)
        if exchange.explanation is not None:
            explaining.begin(exchange)
        keys = exchange.request.headers(_KEY) if _KEY in exchange.request else []
        if isinstance(asked, list):
            if exchange.media_type == EVENT_STREAM:
                raise BadRequest(f"{EVENT_STREAM} is for one operation, not for a batch.")
            if keys:
                raise BadRequest(f"{HEADER} is for one operation, not for a batch.")
            return of_batch(await asyncio.gather(*(self._one_of_batch(exchange, each) for each in asked)))
        exchange.is_admitted = True
        asked = exchange.asked = await self._documents.resolve(
            asked, exchange.stores, for_old_client=exchange.media_type == JSON
        )
        if exchange.media_type == EVENT_STREAM and documents.is_subscription(asked.query, asked.name, self._settings):
            return await open_subscription(self, exchange, claims, asked)
        key = key_of(keys) if keys and exchange.request.method == "POST" else None
        if key is None or not may_be_replayed(documents.mutations(asked.query, asked.name, self._settings)):
            return await self._execute(exchange, asked)
        actor = (
            f"account:{exchange.viewer.id}"
            if exchange.viewer.id
            else ANONYMOUS + (site(exchange.address) if exchange.address else "")
        )
        run = partial(self._execute_once, exchange, asked)
        known = await self._idempotency.once(key, actor, asked, exchange.stores, run)
        if known.replayed and exchange.stores.follows_writers:
            await self._consistency.note(exchange, self.context(exchange, exchange.viewer))
        return Answer(known.status, known.body, {"idempotency-replayed": "true"} if known.replayed else {})

    def _admit(self, exchange: Exchange) -> Claims | None:
        """The claims of the access token, if there is one. From here on, the request is charged to somebody.

        The body hasn't been read yet. Raises Unauthenticated, and RateLimited where the quota is used up.
        """
        given = exchange.request.header(_AUTHORIZATION) if _AUTHORIZATION in exchange.request else None
        claims = refused = None
        try:
            claims = self.auth.claims_of(given)
        except Unauthenticated as error:
            refused = error
        exchange.meter = self.meters.of(claims.user_id if claims else None, exchange.address)
        if exchange.meter is not None:
            exchange.meter.require()
        if refused is not None:
            security_log.note(exchange, SecurityEvent.TOKEN_REFUSED, code=refused.code.name)
            raise refused
        return claims

    async def viewer(self, exchange: Exchange, claims: Claims | None) -> Viewer:
        """The viewer. Raises Unauthenticated, or StoreUnavailable where the session can't be looked up."""
        try:
            viewer, seen = await self.auth.identify(claims, exchange.stores)
        except Unauthenticated as error:
            security_log.note(exchange, SecurityEvent.TOKEN_REFUSED, code=error.code.name)
            raise
        except Exception as error:
            if (known := reported(error, request_id=exchange.request_id)) is None:
                raise
            raise known from None
        exchange.seen = exchange.seen.joined(seen)
        return viewer

    async def _one_of_batch(self, exchange: Exchange, operation: Operation) -> Answer:
        """As `_execute`, but a failure becomes the answer to this operation only, not to the whole batch."""
        try:
            for_old_client = exchange.media_type in (None, JSON)
            resolved = await self._documents.resolve(operation, exchange.stores, for_old_client=for_old_client)
            return await self._execute(exchange, resolved)
        except AppError as error:
            return refusal(error)
        except Exception as error:
            return failure(error, exchange.request_id)

    async def _execute_once(self, exchange: Exchange, operation: Operation, claim: Claim) -> tuple[int, Body]:
        answer = await self._execute(exchange, operation, claim)
        exchange.headers.update(answer.headers)
        assert isinstance(answer.body, dict)
        return answer.status, answer.body

    def context(self, exchange: Exchange, viewer: Viewer, claim: Claim | None = None) -> Context:
        """The context of an operation of this exchange."""
        return Context(
            exchange.stores,
            self._settings,
            exchange.request_id,
            DOMAINS,
            self.auth,
            viewer,
            exchange.address,
            claim,
            live=exchange.request.scope["app"].state.live,
        )

    async def _execute(self, exchange: Exchange, operation: Operation, claim: Claim | None = None) -> Answer:
        """Run one operation. Raises AppError where it is refused with an HTTP status."""
        context = self.context(exchange, exchange.viewer, claim)
        context.headers, context.meter, context.size_budget = exchange.headers, exchange.meter, exchange.size_budget
        context.of_batch, context.seen = isinstance(exchange.asked, list), exchange.seen
        if not context.of_batch:
            exchange.executing = context
        if exchange.asker is not None:
            observation.ask(exchange, context)
        context.disconnect = exchange.request.scope.get(CLIENT_DISCONNECT)
        try:
            result = await self.schema.execute(
                operation.query,
                variable_values=operation.variables,
                operation_name=operation.name,
                context_value=context,
                allowed_operation_types=_READS if exchange.request.method == "GET" else _WRITES,
            )
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.SUBSCRIPTION:
                raise BadRequest(_NOT_ONE_ANSWER) from None
            raise BadRequest("Mutations are sent with POST.", 405, {"allow": "POST"}) from None
        except CannotGetOperationTypeError:
            named = " of this name" if operation.name else ""
            raise BadOperation(f"The document has no operation{named}.") from None
        if context.writes and exchange.stores.follows_writers:
            await self._consistency.note(exchange, context)
        if not context.of_batch:
            exchange.operation = context.operation_name
        if exchange.meter is not None and context.charged and context.spent is not None:
            await exchange.meter.settle(context.charged, context.spent)
        answer = executed(result, exchange.media_type or JSON, exchange.request_id)
        if "data" in answer.body:
            answer.outcome = context.outcome
        if not self._settings.suggestions:
            hide_suggestions(answer.body)
        observation.note(exchange, context, answer, self.traffic)
        return answer
