"""What a store costs that is cut off, and what its breaker costs while it works: microseconds of the process's CPU.

    python -m tests.benchmarks.failing [--rounds 9] [--requests 500]

The stores are addresses of this machine where nobody listens, so no server is needed. Prints the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import structlog
from bson import ObjectId
from pydantic import SecretStr

from api.config.settings import Settings
from api.errors import StoreUnavailable
from api.http.application import create_app
from api.ids import encode_id
from api.stores.breakers.breaker import Breaker
from api.stores.stores import Stores
from models import new_id
from tests.benchmarks.in_process import cpu
from tests.support.factories.catalog import catalog_items
from tests.support.factories.designs import designs


def closed_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


async def median(rounds: int, times: int, work: Callable[[], Awaitable[object]]) -> float:
    """Microseconds of CPU that `work` takes."""
    return statistics.median([await cpu(work, times) * 1e6 for _ in range(rounds)])


async def refused(work: Callable[[], Awaitable[object]]) -> None:
    """Raises AssertionError where the store is not cut off."""
    try:
        await work()
    except StoreUnavailable:
        return
    raise AssertionError("not refused")


async def cut_off(stores: Stores) -> None:
    """Ask until both breakers are open."""
    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: catalog_items(stores).find_by_id(new_id()),
        lambda: designs(stores).find_by_id(ObjectId()),
    ]
    while not all(breaker.is_open for breaker in stores.breakers):
        await asyncio.gather(*(ask() for ask in asked), return_exceptions=True)


async def measure(settings: Settings, rounds: int, requests: int) -> dict[str, float]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        stores: Stores = app.state.stores
        await cut_off(stores)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:

            def ask(query: str) -> Callable[[], Awaitable[object]]:
                return lambda: client.post("/graphql", json={"query": query})

            item = f'{{ catalogItem(id: "{encode_id("CatalogItem", new_id())}") {{ name }} }}'
            design = f'{{ design(id: "{encode_id("Design", ObjectId())}") {{ name }} }}'
            pool: Any = stores.engine.pool
            working = Breaker("Nothing", stores.breakers[0].limits, lambda _: False)

            async def nothing() -> None:
                pass

            async def guarded() -> None:
                with working.call():
                    pass

            costs: dict[str, float] = {
                "breaker, closed, a call": await median(rounds, 20 * requests, guarded)
                - await median(rounds, 20 * requests, nothing),
                "PostgreSQL cut off, a connection": await median(rounds, requests, lambda: refused(pool.take)),
                "PostgreSQL cut off, an entity": await median(
                    rounds, requests, lambda: refused(lambda: catalog_items(stores).find_by_id(new_id()))
                ),
                "MongoDB cut off, a document": await median(
                    rounds, requests, lambda: refused(lambda: designs(stores).find_by_id(ObjectId()))
                ),
                "request that needs nothing": await median(rounds, requests, ask("{ __typename }")),
                "request that needs PostgreSQL": await median(rounds, requests, ask(item)),
                "request that needs MongoDB": await median(rounds, requests, ask(design)),
            }
            assert all(breaker.is_open for breaker in stores.breakers)
            return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=500)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with TemporaryDirectory() as folder:
        values: dict[str, Any] = {
            "data_dir": Path(folder),
            "database_url": SecretStr(f"postgresql://nobody@127.0.0.1:{closed_port()}/none"),
            "mongodb_uri": SecretStr(f"mongodb://127.0.0.1:{closed_port()}/none"),
            "mongodb_selection_timeout": 0.05,
            "breaker_probe_interval": 3600.0,
        }
        costs = asyncio.run(measure(Settings(_env_file=None, **values), options.rounds, options.requests))
    width = max(map(len, costs))
    sys.stdout.write("".join(f"{name:{width}}  {cost:8.1f} us\n" for name, cost in costs.items()))


if __name__ == "__main__":
    main()
