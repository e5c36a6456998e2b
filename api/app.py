"""The ASGI application: routes, and the lifespan that opens and closes the stores."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api import explorer, row_level_security
from api.config import Settings
from api.graphql import GraphQLEndpoint
from api.health.routes import routes as health_routes
from api.health.store import check
from api.log import logger
from api.schema import schema
from api.stores import Stores, open_stores


def create_app(settings: Settings) -> Starlette:
    """The application over the stores of these settings; nothing is opened before its lifespan begins."""
    endpoint = GraphQLEndpoint(schema, settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_stores(settings) as stores:
            app.state.stores = stores
            await _verify(stores, settings)
            yield

    graphql = _ExplorerOrGraphQL(endpoint, settings) if settings.explorer else endpoint
    routes = [Route("/graphql", graphql), *health_routes()]  # without methods: the endpoint has an answer to each
    if settings.explorer:
        routes += explorer.routes(settings)
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.settings, app.state.auth = settings, endpoint.auth
    return app


class _ExplorerOrGraphQL:
    """`/graphql`: the explorer for a person who opens the address, GraphQL for everybody else."""

    def __init__(self, endpoint: GraphQLEndpoint, settings: Settings) -> None:
        self._endpoint = endpoint
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and _is_browser(Request(scope)):
            await explorer.page(self._settings)(scope, receive, send)
        else:
            await self._endpoint(scope, receive, send)


async def _verify(stores: Stores, settings: Settings) -> None:
    """Ask both stores once. One that doesn't answer is logged and keeps the process unready, but running: what needs
    only the other one works, and readiness comes with the store."""
    health = await check(stores, timeout=settings.health_timeout)
    if settings.row_level_security and health.postgres.healthy:
        await row_level_security.verify(stores.engine)
    for name, store in (("PostgreSQL", health.postgres), ("MongoDB", health.mongodb)):
        if not store.healthy:
            logger.error("store does not answer", store=name, error=store.error)


def _is_browser(request: Request) -> bool:
    """Whether a GET asks for a page, without a query."""
    asks = {"query", "documentId", "extensions"}.intersection(request.query_params)
    return "text/html" in request.headers.get("accept", "") and not asks
