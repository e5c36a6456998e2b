"""Writers and readers at work while the stores and the application are killed and frozen under them.

At the end a ledger of the writes is checked. A reader must never see less than what was acknowledged before it asked.

    python -m tests.chaos --rounds 3 --freeze 10

kills (SIGKILL) and freezes (SIGSTOP) each store, and kills the application, that many times. `--freeze` is how long a
store stays frozen, in seconds. It prints what happened, and exits with 1 where the ledger and the stores differ.

    python -m tests.chaos --distributed

does it to the coordinator and the workers of a Citus cluster (`tests.support.failures.cluster_nodes`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
import httpx

from api.config.settings import Settings
from api.errors import StoreUnavailable
from api.stores.stores import open_stores
from migrations.runner import upgrade
from tests.support.failures import cluster_nodes
from tests.support.failures.application import PATIENCE, STORES, Application
from tests.support.failures.ledger import Ledger, Outcome, differences, read, write
from tests.support.failures.restartable import RestartableStores, restartable_cluster, restartable_stores
from tests.support.signing_in import signed_in
from tests.support.stores.distributed import distribute

WRITERS: Final = 4
READERS: Final = 2
QUICK: Final[dict[str, Any]] = {
    "breaker_failures": 3,
    "breaker_patience": 0.5,
    "breaker_probe_timeout": 1.0,
    "breaker_probe_interval": 0.1,
    "mongodb_selection_timeout": 1.0,
    "workers": 1,
}


@dataclass
class Report:
    """What came of it. `left` is what the application still held at the end: connections in use, stores cut off."""

    ledger: Ledger
    wrong: list[str] = field(default_factory=list)
    left: Any = None
    log: list[str] = field(default_factory=list)
    """Breakers that opened and closed, one after the other."""


async def run(stores: RestartableStores, settings: Settings, *, rounds: int = 1, freeze: float = 0.0) -> Report:
    """All faults, one after the other, that many times, while writers write."""
    ledger, stop = Ledger(), asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        own = await stack.enter_async_context(open_stores(settings))
        application = Application(settings, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.push_async_callback(application.stop)
        await application.start()
        plain = await stack.enter_async_context(httpx.AsyncClient(base_url=application.url[0], timeout=PATIENCE))
        mine, user = await signed_in(plain, own, settings=settings)
        mine.timeout = httpx.Timeout(PATIENCE)
        await stack.enter_async_context(mine)
        async with asyncio.TaskGroup() as tasks:
            for number in range(WRITERS):
                tasks.create_task(write(ledger, mine, application.url, f"writer {number}", stop, keys=number % 2 == 1))
            for _ in range(READERS):
                tasks.create_task(read(ledger, mine, application.url, stop))

            for _ in range(rounds):
                await _progress(ledger)
                await application.kill_and_restart()
                await _progress(ledger)
                for store in STORES:
                    await _kill(stores, store, application, ledger)
                    await _freeze(stores, store, application, ledger, freeze)
            stop.set()
        report = Report(ledger)
        report.left = _left(await application.until(_is_idle))  # soon after, it may sweep again
        report.wrong = await _without_failures(lambda: differences(ledger, own, user.id))
        report.log = application.breakers()
    return report


async def _kill(stores: RestartableStores, store: str, application: Application, ledger: Ledger) -> None:
    server = stores.servers[store]
    server.kill()
    await application.until(lambda checks: bool(checks[store]["cutOff"]))
    await server.restart()
    await application.until(_is_idle_of(store))
    await _progress(ledger)


async def _freeze(
    stores: RestartableStores, store: str, application: Application, ledger: Ledger, seconds: float
) -> None:
    server = stores.servers[store]
    server.freeze()
    try:
        await application.until(lambda checks: bool(checks[store]["cutOff"]))
        await asyncio.sleep(seconds)
    finally:
        server.thaw()
    await application.until(_is_idle_of(store))
    await _progress(ledger)


async def _progress(ledger: Ledger) -> None:
    """Return when a few more writes have been acknowledged."""
    wanted = ledger.counts[Outcome.ACKNOWLEDGED] + 2 * WRITERS
    with anyio.fail_after(PATIENCE):
        while ledger.counts[Outcome.ACKNOWLEDGED] < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _is_idle_of(store: str) -> Callable[[dict[str, Any]], bool]:
    return lambda checks: checks[store]["healthy"] and not checks[store]["cutOff"]


def _is_idle(checks: dict[str, Any]) -> bool:
    return _left(checks) == [0, False, False] and all(checks[store]["healthy"] for store in STORES)


def _left(checks: dict[str, Any]) -> list[Any]:
    return [checks["PostgreSQL"]["connections"]["active"], *(checks[store]["cutOff"] for store in STORES)]


async def _without_failures(work: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """What the work returns, once this process has noticed too that the stores are back."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                return await work()
            except StoreUnavailable:
                await asyncio.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--freeze", type=float, default=10.0)
    parser.add_argument("--distributed", action="store_true")
    options = parser.parse_args()
    if options.distributed:
        with restartable_cluster() as (cluster, settings):
            upgrade(settings)
            distribute(settings)
            told = asyncio.run(cluster_nodes.run(cluster, settings, rounds=options.rounds, freeze=options.freeze))
        ledgers, log, wrong = told.ledgers, told.log, told.wrong
    else:
        with restartable_stores() as stores:
            settings = stores.settings(**QUICK)
            upgrade(settings)
            report = asyncio.run(run(stores, settings, rounds=options.rounds, freeze=options.freeze))
        ledgers, log, wrong = [report.ledger], report.log, report.wrong
    wrong = [*wrong, *(f"answered: {surprise}" for ledger in ledgers for surprise in ledger.surprises)]
    for ledger in ledgers:
        counts = ", ".join(f"{ledger.counts[outcome]} {outcome.value}" for outcome in Outcome)
        log.append(
            f"{options.rounds} rounds, writes: {counts}; reads: {ledger.reads}, "
            f"with {ledger.joined} statements together with others'"
        )
    sys.stdout.write("\n".join([*log, *wrong, f"{len(wrong)} things wrong", ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
