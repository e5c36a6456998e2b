"""What a request costs around `schema.execute`: CPU microseconds of the process, without a socket and without stores.

    python -m tests.benchmarks.overhead [--rounds 9] [--requests 2000] [--profile]

Sends `{ __typename }` to the ASGI application, anonymously and signed in, with its log as JSON lines to /dev/null.
Prints the median of the rounds, and how much of it `schema.execute` is.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from pydantic import SecretStr
from starlette.applications import Starlette

from api.config.settings import Settings
from api.http.application import create_app
from api.log import configure_logging
from api.schema import schema
from api.stores.stores import open_stores
from models import new_id
from tests.benchmarks.in_process import cpu, scopes

BODY = orjson.dumps({"query": "query Nothing { __typename }", "operationName": "Nothing"})


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": BODY, "more_body": False}


async def send(message: Any) -> None:
    assert message.get("status", 200) == 200, message


class Stopwatch:
    """Sums the time inside `schema.execute`, which for this operation never waits."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._execute: Callable[..., Awaitable[Any]] = schema.execute

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        try:
            return await self._execute(*args, **kwargs)
        finally:
            self.seconds += time.process_time() - started


async def measure(
    app: Starlette, token: str | None, rounds: int, requests: int, watch: Stopwatch
) -> tuple[float, float]:
    """Medians of a request in all, and of `schema.execute` within, in microseconds of CPU."""
    make = scopes(BODY, token)
    totals, inside = [], []
    for _ in range(rounds + 1):
        watch.seconds = 0.0
        totals.append(await cpu(lambda: app(make(), receive, send), requests) * 1e6)
        inside.append(watch.seconds / requests * 1e6)
    return statistics.median(totals[1:]), statistics.median(inside[1:])  # the first one warms up


async def main(rounds: int, requests: int, profile: bool) -> None:
    with TemporaryDirectory() as folder:
        settings = Settings(
            _env_file=None,
            environment="development",
            log_format="json",
            data_dir=Path(folder),
            explorer=False,
            database_url=SecretStr("postgresql://nobody@127.0.0.1:1/nothing"),  # never connected to
            mongodb_uri=SecretStr("mongodb://127.0.0.1:1/nothing"),
            auth_secret=SecretStr("a secret of the benchmark, with 32 bytes"),
        )
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", buffering=1)
        configure_logging(settings)
        app = create_app(settings)
        watch = Stopwatch()
        schema.execute = watch  # type: ignore[method-assign]
        async with open_stores(settings) as stores:
            app.state.stores = stores
            for name, token in (("anonymous", None), ("signed in", _sign_in(app))):
                total, inside = await measure(app, token, rounds, requests, watch)
                print(f"{name:10} {total:6.1f} us, of which execute {inside:6.1f}, around it {total - inside:6.1f}")  # noqa: T201
            if profile:
                make = scopes(BODY, token)
                with cProfile.Profile() as profiler:
                    for _ in range(requests):
                        await app(make(), receive, send)
                profiler.print_stats("tottime")


def _sign_in(app: Starlette) -> str:
    """A token whose session the process remembers."""
    import math

    from api.accounts.sessions import ActiveSession

    auth, user_id, session_id = app.state.auth, new_id(), new_id()
    auth.sessions._known[session_id] = math.inf, ActiveSession(user_id, "user")
    token: str = auth.tokens.issue(user_id, session_id)[0]
    return token


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.requests, arguments.profile))
