"""What row-level security costs: a page of designs with everything that they refer to, with and without it.

Both applications run in this process, without a socket, over stores of its own with the demo data, and take turns.
CPU time is this process's: the API and its drivers, not the servers.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from functools import partial

import orjson
import typer

from api.accounts.passwords import hasher
from api.config.settings import Settings
from api.demo.loader import load
from api.http.application import create_app
from api.log import configure_logging
from tests.benchmarks.in_process import answer_of, cpu
from tests.support.graphql import sent
from tests.support.servers import migrated_stores

QUERY = """
{
  designs(first: 20) {
    edges { cursor node {
      id name status version createdAt
      owner { id firstName lastName }
      avatar { id name gender }
      layers { layerId type position { x y z } catalogItem { id name type properties { color } } }
      metadata { tags description }
    } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
BODY = orjson.dumps({"query": QUERY})


async def measure(settings: Settings, rounds: int, requests: int) -> None:
    apps = {on: create_app(settings.model_copy(update={"row_level_security": on})) for on in (False, True)}
    costs: dict[bool, list[float]] = {False: [], True: []}
    wall: dict[bool, list[float]] = {False: [], True: []}
    statements: dict[bool, tuple[int, int]] = {}
    async with apps[False].router.lifespan_context(apps[False]), apps[True].router.lifespan_context(apps[True]):
        await load(apps[False].state.stores, password="benchmark", hasher=hasher(settings))
        answers = [orjson.loads(await answer_of(app, BODY)) for app in apps.values()]
        assert answers[0] == answers[1]
        assert len(answers[0]["data"]["designs"]["edges"]) == 20
        for on, app in apps.items():
            configure_logging(settings.model_copy(update={"log_level": "info"}))  # the counter reads the log
            with sent(app) as counted:
                await answer_of(app, BODY)
            statements[on] = counted.counts
        configure_logging(settings)
        for turn in range(rounds + 1):
            for on, app in apps.items():
                clock = time.perf_counter()
                cost = await cpu(partial(answer_of, app, BODY), requests)
                if turn:  # the first warms up
                    costs[on].append(cost * 1000)
                    wall[on].append((time.perf_counter() - clock) / requests * 1000)
    for on in (False, True):
        mongo, sql = statements[on]
        typer.echo(
            f"row-level security {'on ' if on else 'off'}: {sql} SQL statements, {mongo} MongoDB commands, "
            f"{statistics.median(costs[on]):.2f} ms CPU, {statistics.median(wall[on]):.2f} ms"
        )
    for name, found in (("CPU", costs), ("time", wall)):
        low, middle, high = statistics.quantiles(b / a for a, b in zip(found[False], found[True], strict=True))
        typer.echo(f"ratio of {name}: {middle:.2f}, half of the rounds between {low:.2f} and {high:.2f}")


def main(rounds: int = 10, requests: int = 20) -> None:
    """Medians of the rounds; each sends that many requests to both, one after another."""
    with migrated_stores() as settings:
        asyncio.run(measure(settings, rounds, requests))


if __name__ == "__main__":
    typer.run(main)
