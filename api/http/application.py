"""The ASGI application: routes, and the lifespan that opens and closes the stores."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from api.admission.document_cache import documents
from api.config.setting_types import ANY
from api.config.settings import Settings
from api.demo.sign_in_accounts import DemoAccount, demo_accounts
from api.errors import StoreUnfit, as_app_error
from api.health.store import check
from api.http import explorer, pictures
from api.http.endpoint import GraphQLEndpoint
from api.http.monitoring.health import routes as health_routes
from api.http.origins.cors import Cors
from api.http.origins.hosts import Hosts
from api.http.overload.client_connections import ClientConnections
from api.http.overload.shedding import Shedding
from api.http.overload.unsent_responses import UnsentResponses
from api.http.request import Incoming, wants_data
from api.http.sockets import SocketEndpoint
from api.idempotency.sweeping import sweeping
from api.live.live import Live
from api.log import logger
from api.schema import schema
from api.search import language as search_language
from api.search.following import Lag, following
from api.stores.diagnostics.pool_use import watching_pools
from api.stores.diagnostics.slow_statements import logging_slow
from api.stores.mongodb.client import require_version
from api.stores.postgres import row_level_security
from api.stores.stores import Stores, open_stores
from api.tracing.opening import open_traces

if TYPE_CHECKING:
    from api.metrics.measuring import Metrics

PATH: Final = "/graphql"


def create_app(settings: Settings) -> Starlette:
    """The application for these settings. Nothing is opened before its lifespan begins."""
    metrics = metrics_of(settings)
    endpoint = GraphQLEndpoint(schema, settings, None if metrics is None else metrics.requests)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_stores(settings) as stores:
            app.state.stores = stores
            app.state.live = live = Live(stores, settings)
            await _verify(stores, settings)
            try:
                async with contextlib.AsyncExitStack() as beside:
                    app.state.traces = await beside.enter_async_context(open_traces(stores, settings))
                    await beside.enter_async_context(logging_slow(stores, settings))
                    await beside.enter_async_context(watching_pools(stores.engine, stores.mongo))
                    await beside.enter_async_context(sweeping(stores, settings))
                    await beside.enter_async_context(following(stores, settings, app.state.search_lag))
                    if metrics is not None:
                        measuring = metrics.measuring(
                            stores,
                            live,
                            endpoint.traffic,
                            sockets,
                            app.state.search_lag,
                            {"documents": documents, "sessions": endpoint.auth.sessions},
                        )
                        await beside.enter_async_context(measuring)
                    yield
            finally:
                await live.close()
                await endpoint.meters.close()

    sockets = SocketEndpoint(endpoint, settings)
    graphql: ASGIApp = Shedding(endpoint, endpoint.traffic, settings) if settings.max_queue_time else endpoint
    if settings.explorer:
        graphql = _ExplorerOrGraphQL(graphql, settings)
    routes = health_routes()
    if settings.explorer:
        routes += explorer.routes(settings)
    if settings.demo_pictures:
        routes += pictures.routes(endpoint)
    if metrics is not None:
        from api.http.monitoring.metrics import application
        from api.http.monitoring.metrics import routes as metrics_routes

        if settings.metrics_port is None:
            routes += metrics_routes(metrics)
    middleware = [Middleware(Cors, settings)]
    if ANY not in settings.allowed_host_names:
        middleware.insert(0, Middleware(Hosts, settings))
    app = Application(graphql, sockets, middleware, routes, lifespan)
    app.state.settings, app.state.auth, app.state.counts = settings, endpoint.auth, endpoint.meters.counts
    app.state.peers = ClientConnections(settings)
    app.state.search_lag = Lag()
    app.state.traces = None
    app.state.unsent = UnsentResponses(settings)
    if metrics is not None and settings.metrics_port is not None:
        app.state.metrics = application(metrics)
    return app


def metrics_of(settings: Settings) -> Metrics | None:
    """What is counted in this process; None where no metrics are asked for."""
    if not settings.measures:
        return None
    from api.metrics.measuring import Metrics  # imported here, since its library takes a tenth of a second

    return Metrics(settings)


class Application(Starlette):
    """Starlette with a short cut for `/graphql`, which needs neither the router nor error pages: they take 20 us.

    `/graphql/` is served, too: a redirect would need to know the scheme and the host name that the client used.
    """

    def __init__(
        self,
        graphql: ASGIApp,
        sockets: ASGIApp,
        middleware: Sequence[Middleware],
        routes: Sequence[BaseRoute],
        lifespan: Lifespan[Starlette],
    ) -> None:
        # for all methods: the endpoint answers each of them
        super().__init__(routes=[Route(PATH, graphql), *routes], middleware=middleware, lifespan=lifespan)
        self.router.redirect_slashes = False
        self.state.draining = False
        self._graphql, self._sockets = graphql, sockets
        for each, arguments, options in reversed(middleware):
            self._graphql = each(self._graphql, *arguments, **options)
            self._sockets = each(self._sockets, *arguments, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if path in (PATH, f"{PATH}/"):
                scope["app"] = self
                await self._graphql(scope, receive, send)
                return
            if path.endswith("/") and path != "/":
                scope = {**scope, "path": path[:-1]}
        elif scope["type"] == "websocket" and scope["path"] in (PATH, f"{PATH}/"):
            scope["app"] = self
            await self._sockets(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


class _ExplorerOrGraphQL:
    """`/graphql`: the explorer for browsers that open the address, GraphQL for all other clients."""

    def __init__(self, endpoint: ASGIApp, settings: Settings) -> None:
        self._endpoint = endpoint
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and _is_browser(Incoming(scope, receive)):
            if scope["path"] != PATH:  # a relative address, like those in the page
                query = scope["query_string"].decode("latin-1")
                await RedirectResponse(f"..{PATH}?{query}" if query else f"..{PATH}")(scope, receive, send)
                return
            accounts = await _demo_accounts(scope["app"].state.stores, self._settings)
            await explorer.page(self._settings, accounts)(scope, receive, send)
        else:
            await self._endpoint(scope, receive, send)


async def _demo_accounts(stores: Stores, settings: Settings) -> list[DemoAccount]:
    """The demo accounts that exist. None in production, or where PostgreSQL doesn't answer: the page opens anyway."""
    if settings.is_production:
        return []
    try:
        return await demo_accounts(stores)
    except Exception as error:
        if as_app_error(error) is None:
            raise
        return []


async def _verify(stores: Stores, settings: Settings) -> None:
    """Ask both stores once.

    A store that doesn't answer is logged, and the process stays unready but runs: what only needs the other store
    works, and the process becomes ready once the store answers. A store that can't be used at all ends the start.
    """
    await _admit(stores, settings)
    health = await check(stores, timeout=settings.health_timeout)
    require_version(stores.spare_mongo)
    if settings.row_level_security and health.postgres.healthy:
        await row_level_security.verify(stores.engine)
    if health.postgres.healthy:
        await search_language.verify(stores.engine, settings.search_language)
    for name, store in (("PostgreSQL", health.postgres), ("MongoDB", health.mongodb)):
        if not store.healthy:
            logger.error("store does not answer", store=name, error=store.error)


async def _admit(stores: Stores, settings: Settings) -> None:
    """Raise StoreUnfit where PostgreSQL answers, but can't be used until somebody changes a setting."""
    try:
        async with asyncio.timeout(settings.health_timeout):
            stores.spare.give_back(await stores.spare.take())
    except StoreUnfit as unfit:
        if unfit.lasts:
            raise
    except Exception as error:  # the health check reports that it doesn't answer
        logger.debug("store does not answer", store="PostgreSQL", cause=repr(error))


def _is_browser(request: Incoming) -> bool:
    """Whether a GET is for the explorer's page. It may have a query, which the page then shows."""
    if "text/html" not in request.header(b"accept"):
        return False
    asks = {"query", "documentId", "extensions"}.intersection(QueryParams(request.scope["query_string"]))
    return not asks or (asks == {"query"} and not wants_data(request))
