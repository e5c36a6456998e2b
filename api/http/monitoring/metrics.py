"""`GET /metrics`: what all processes of this server have counted. It asks no store."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.metrics.measuring import Metrics


def routes(metrics: Metrics) -> list[Route]:
    """`/metrics`, for GET and HEAD."""

    async def show(request: Request) -> Response:
        content, media_type = metrics.exposition(request.headers.get("accept", ""))
        headers = {"Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff"}
        return Response(content, headers={**headers, "Content-Type": media_type})

    return [Route("/metrics", show, methods=["GET"])]


def application(metrics: Metrics) -> Starlette:
    """What answers on METRICS_PORT: nothing but metrics."""
    return Starlette(routes=routes(metrics))
