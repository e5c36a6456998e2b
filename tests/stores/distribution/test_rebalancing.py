"""A worker that is added under writers and readers, to which shards then move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import anyio
import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from api.config.settings import Settings
from tests.support.applications import running
from tests.support.failures.ledger import Ledger, Outcome, differences, read, write
from tests.support.graphql import respond
from tests.support.signing_in import signed_in
from tests.support.stores import databases
from tests.support.stores.distributed import distribute
from tests.support.stores.engines import Cluster, citus_cluster
from tests.support.stores.nodes import Node
from tests.support.waiting import pause

pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

OWNERS: Final = 4
URL: Final = ["http://127.0.0.1:8000"]
MOVED: Final = "SELECT count(*) FROM citus_shards WHERE nodeport = {port} AND citus_table_type = 'distributed'"


@pytest.fixture(scope="module")
def cluster(of_distribution: None) -> Iterator[Cluster]:
    """A cluster whose last worker isn't part of it yet. Shards can move while they are written to."""
    with citus_cluster(workers=3) as cluster, ThreadPoolExecutor() as threads:
        settings = Settings(_env_file=None, database_url=SecretStr(cluster.url))
        databases.sql(settings, f"SELECT citus_remove_node('127.0.0.1', {cluster.nodes[-1].port})")
        list(threads.map(_replicate, cluster.nodes))
        yield cluster


def _replicate(node: Node) -> None:
    node.configure("wal_level = logical", "citus.background_task_queue_interval = '1s'")
    node.kill()
    node.start()


@pytest.fixture
async def served(on_cluster: Settings, anyio_backend: str) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    await asyncio.to_thread(distribute, on_cluster)
    async with running(on_cluster, row_level_security=True) as served:
        yield served


async def test_nothing_is_lost_or_repeated_while_shards_move_to_a_new_worker(
    served: tuple[Starlette, httpx.AsyncClient], on_cluster: Settings, cluster: Cluster
) -> None:
    app, client = served

    async def ask(statement: str) -> str:
        return str((await asyncio.to_thread(databases.sql, on_cluster, statement))[0][0])

    accounts = [await signed_in(client, app.state.stores) for _ in range(OWNERS)]
    ledgers, stop, new = [Ledger() for _ in accounts], asyncio.Event(), cluster.nodes[-1].port
    async with asyncio.TaskGroup() as tasks:
        for ledger, (mine, _) in zip(ledgers, accounts, strict=True):
            tasks.create_task(write(ledger, mine, URL, "plain", stop, keys=False))
            tasks.create_task(write(ledger, mine, URL, "with keys", stop, keys=True))
            tasks.create_task(read(ledger, mine, URL, stop))
            tasks.create_task(_look(ledger, mine, stop))
        await _progress(ledgers)
        await ask(f"SELECT citus_add_node('127.0.0.1', {new})")
        await _progress(ledgers)
        await ask("SELECT citus_rebalance_start()")
        with anyio.fail_after(120):
            while (state := await ask("SELECT state FROM citus_rebalance_status()")) != "finished":
                assert state in ("scheduled", "running"), await ask("SELECT details FROM citus_rebalance_status()")
                await pause()
        await _progress(ledgers)
        stop.set()

    assert int(await ask(MOVED.format(port=new))) > 0
    for ledger, (_, user) in zip(ledgers, accounts, strict=True):
        assert ledger.surprises == []
        assert ledger.counts.keys() == {Outcome.ACKNOWLEDGED}
        assert await differences(ledger, app.state.stores, user.id) == []


async def _look(ledger: Ledger, client: httpx.AsyncClient, stop: asyncio.Event) -> None:
    """See at least as many avatars as were acknowledged before, until told to stop."""
    while not stop.is_set():
        known = {name for name, outcome in ledger.avatars.items() if outcome is Outcome.ACKNOWLEDGED}
        body = await respond(client, "{ avatars { totalCount } }")
        if "errors" in body or body["data"]["avatars"]["totalCount"] < len(known):
            ledger.surprises.append((len(known), body))
        await pause()


async def _progress(ledgers: list[Ledger]) -> None:
    """Return when a few more writes of each owner have been acknowledged."""
    wanted = [ledger.counts[Outcome.ACKNOWLEDGED] + 5 for ledger in ledgers]
    with anyio.fail_after(60):
        while any(each.counts[Outcome.ACKNOWLEDGED] < least for each, least in zip(ledgers, wanted, strict=True)):
            await pause()
