"""What row-level security costs: a page of designs with everything that they refer to, with and without it.

Both applications run in this process, without a socket, over stores of its own with the demo data, and take turns.
CPU time is this process's: the API and its drivers, not the servers.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import orjson
import typer
from pydantic import SecretStr
from starlette.applications import Starlette

from api.app import create_app
from api.config import Settings
from api.demo.loader import load
from api.log import configure_logging
from migrations.runner import upgrade
from tests.graphql import sent
from tests.servers import throwaway_stores

QUERY = """
{
  designs(first: 20) {
    edges { cursor node {
      id name status version createdAt
      owner { id firstName lastName }
      avatar { id name gender }
      layers { id type position { x y z } catalogItem { id name type properties { color } } }
      metadata { tags description }
    } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


async def request(app: Starlette) -> dict[str, Any]:
    """The answer to the query, by way of ASGI alone."""
    body, answer = orjson.dumps({"query": QUERY}), bytearray()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        answer.extend(message.get("body", b""))

    headers = [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")]
    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"},
        **{"path": "/graphql", "raw_path": b"/graphql", "query_string": b"", "root_path": "", "headers": headers},
        **{"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000)},
    }
    await app(scope, receive, send)
    parsed: dict[str, Any] = orjson.loads(answer)
    return parsed


async def measure(settings: Settings, rounds: int, requests: int) -> None:
    apps = {on: create_app(settings.model_copy(update={"row_level_security": on})) for on in (False, True)}
    cpu: dict[bool, list[float]] = {False: [], True: []}
    wall: dict[bool, list[float]] = {False: [], True: []}
    statements: dict[bool, tuple[int, int]] = {}
    async with apps[False].router.lifespan_context(apps[False]), apps[True].router.lifespan_context(apps[True]):
        await load(apps[False].state.stores, password="benchmark")
        answers = [await request(app) for app in apps.values()]
        assert answers[0] == answers[1]
        assert len(answers[0]["data"]["designs"]["edges"]) == 20
        for on, app in apps.items():
            configure_logging(settings.model_copy(update={"log_level": "info"}))  # the counter reads the log
            with sent(app) as counted:
                await request(app)
            statements[on] = counted.counts
        configure_logging(settings)
        for turn in range(rounds + 1):
            for on, app in apps.items():
                began, clock = time.process_time(), time.perf_counter()
                for _ in range(requests):
                    await request(app)
                if turn:  # the first warms up
                    cpu[on].append((time.process_time() - began) / requests * 1000)
                    wall[on].append((time.perf_counter() - clock) / requests * 1000)
    for on in (False, True):
        mongo, sql = statements[on]
        typer.echo(
            f"row-level security {'on ' if on else 'off'}: {sql} SQL statements, {mongo} MongoDB commands, "
            f"{statistics.median(cpu[on]):.2f} ms CPU, {statistics.median(wall[on]):.2f} ms"
        )
    ratios = [b / a for a, b in zip(cpu[False], cpu[True], strict=True)]
    slower = [b / a for a, b in zip(wall[False], wall[True], strict=True)]
    typer.echo(f"ratio: CPU {statistics.median(ratios):.2f}, time {statistics.median(slower):.2f}")


def main(rounds: int = 10, requests: int = 20) -> None:
    """Medians of the rounds; each sends that many requests to both, one after another."""
    with throwaway_stores() as stores:
        assert stores.database_url is not None
        assert stores.mongodb_uri is not None
        settings = Settings(
            _env_file=None,
            log_level="warning",
            explorer=False,
            database_url=SecretStr(stores.database_url),
            mongodb_uri=SecretStr(stores.mongodb_uri),
        )
        configure_logging(settings)
        upgrade(settings)
        asyncio.run(measure(settings, rounds, requests))


if __name__ == "__main__":
    typer.run(main)
