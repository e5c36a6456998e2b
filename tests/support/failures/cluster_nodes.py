"""Writers and readers at work while the nodes of a Citus cluster are killed and frozen under them, one after the other.

Each worker has an account whose avatars and idempotency keys are there, and each account has its ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
import httpx

from api.config.settings import Settings
from api.errors import StoreUnavailable
from api.stores.stores import Stores, open_stores
from models import User
from tests.support.failures.application import PATIENCE, Application
from tests.support.failures.ledger import UNCERTAIN, Ledger, Outcome, differences, read, write
from tests.support.signing_in import signed_in
from tests.support.stores.databases import sql
from tests.support.stores.engines import Cluster
from tests.support.stores.nodes import Node

QUICK: Final[dict[str, Any]] = {
    "breaker_failures": 3,
    "breaker_patience": 0.5,
    "breaker_probe_timeout": 5.0,  # a coordinator that is slow to answer isn't frozen
    "breaker_probe_interval": 0.1,
    "statement_timeout": 2.0,  # as long as a frozen worker is waited for
    "workers": 1,
}
NEWEST: Final = "{ avatars(first: 50) { nodes { id name } } }"
PREPARED: Final = "SELECT sum(result::int) FROM run_command_on_workers('SELECT count(*) FROM pg_prepared_xacts')"
LOGGED: Final = "SELECT count(*) FROM audit.audit_log WHERE table_name = 'avatar.avatars' AND actor_id = '{}'"


@dataclass
class Owner:
    """An account whose avatars and idempotency keys are at the worker of this number, from 0 on."""

    worker: int
    user: User
    client: httpx.AsyncClient
    ledger: Ledger = field(default_factory=Ledger)


@dataclass
class Report:
    """What came of it: a ledger of each worker, what is wrong, and breakers that opened and closed."""

    ledgers: list[Ledger]
    wrong: list[str]
    log: list[str]


async def run(cluster: Cluster, settings: Settings, *, rounds: int = 1, freeze: float = 0.0) -> Report:
    """Kill and freeze the coordinator and each worker, that many times, while writers write.

    While a worker is away, the others' accounts must get on, and no breaker may open.
    """
    settings = settings.model_copy(update=QUICK)
    async with contextlib.AsyncExitStack() as stack:
        own = await stack.enter_async_context(open_stores(settings))
        application = Application(settings, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.push_async_callback(application.stop)
        await application.start()
        owners = [await _owner(number, cluster, settings, own, application, stack) for number in _workers(cluster)]
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for owner in owners:
                for name, keys in ((f"writer {owner.worker}", False), (f"writer {owner.worker} with keys", True)):
                    tasks.create_task(write(owner.ledger, owner.client, application.url, name, stop, keys=keys))
                tasks.create_task(read(owner.ledger, owner.client, application.url, stop))
                tasks.create_task(_look(owner, application, stop))
            for _ in range(rounds):
                await _progress(owners)
                for fault in (_killed, _frozen):
                    async with fault(cluster.nodes[0], freeze):
                        await application.until(lambda checks: bool(checks["PostgreSQL"]["cutOff"]))
                    await application.until(_is_whole)
                    await _progress(owners)
                    for number in _workers(cluster):
                        async with fault(cluster.nodes[1 + number], freeze):
                            await application.until(_misses(number))
                            await _progress([owner for owner in owners if owner.worker != number])
                        await application.until(_is_whole)
                        await _progress(owners)
            stop.set()
        wrong = []
        for owner in owners:
            wrong += await _without_failures(owner, settings, own)
        if any(owner.ledger.surprises for owner in owners):
            wrong += application.bugs()
        return Report([owner.ledger for owner in owners], wrong, application.breakers())


@contextlib.asynccontextmanager
async def _killed(node: Node, seconds: float) -> AsyncIterator[None]:
    await asyncio.to_thread(node.kill)
    try:
        yield
    finally:
        await node.restart()


@contextlib.asynccontextmanager
async def _frozen(node: Node, seconds: float) -> AsyncIterator[None]:
    node.freeze()
    try:
        yield
        await asyncio.sleep(seconds)
    finally:
        node.thaw()


def _workers(cluster: Cluster) -> range:
    return range(len(cluster.nodes) - 1)


async def _owner(
    worker: int,
    cluster: Cluster,
    settings: Settings,
    own: Stores,
    application: Application,
    stack: contextlib.AsyncExitStack,
) -> Owner:
    """A new account of this worker: accounts are made until one is."""
    plain = httpx.AsyncClient(base_url=application.url[0], timeout=PATIENCE)
    await stack.enter_async_context(plain)
    while True:
        client, user = await signed_in(plain, own, settings=settings)
        await stack.enter_async_context(client)
        client.timeout = httpx.Timeout(PATIENCE)
        asked = (
            "SELECT DISTINCT nodeport FROM citus_shards WHERE shardid IN ("
            f"get_shard_id_for_distribution_column('avatar.avatars', '{user.id}'::uuid), "
            f"get_shard_id_for_distribution_column('shared.idempotency_keys', 'account:{user.id}'::text))"
        )
        ports = [row["nodeport"] for row in await asyncio.to_thread(sql, settings, asked)]
        if ports == [cluster.nodes[1 + worker].port]:
            return Owner(worker, user, client)


async def _look(owner: Owner, application: Application, stop: asyncio.Event) -> None:
    """Look at the owner's newest avatars until told to stop: each is there once, and none that was refused.

    One that was acknowledged may be seen later: when what a commit has left half done is finished.
    """
    ledger = owner.ledger
    while not stop.is_set():
        await asyncio.sleep(0.05)
        try:
            answer = await owner.client.post(f"{application.url[0]}/graphql", json={"query": NEWEST})
        except httpx.TransportError:
            continue
        body = answer.json()
        if codes := {error["extensions"]["code"] for error in body.get("errors", ())}:
            if not codes <= UNCERTAIN:
                ledger.surprises.append((answer.status_code, body))
            continue
        ledger.reads += 1
        names = Counter(each["name"] for each in body["data"]["avatars"]["nodes"])
        refused = [name for name in names if ledger.avatars.get(name) is Outcome.REFUSED]
        if refused or any(count > 1 for count in names.values()):
            ledger.surprises.append((f"refused: {refused}", names))


async def _progress(owners: list[Owner]) -> None:
    """Return when each of these owners has two more avatars, and designs."""

    def done() -> list[Counter[bool]]:
        return [
            Counter(outcome is Outcome.ACKNOWLEDGED for outcome in owner.ledger.avatars.values()) for owner in owners
        ]

    before = done()
    with anyio.fail_after(PATIENCE):
        while any(now[True] < then[True] + 2 for now, then in zip(done(), before, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _misses(worker: int) -> Callable[[dict[str, Any]], bool]:
    return lambda checks: not checks["PostgreSQL"]["nodes"][1 + worker]["reachable"]


def _is_whole(checks: dict[str, Any]) -> bool:
    postgres = checks["PostgreSQL"]
    return (
        postgres["healthy"]
        and not postgres["cutOff"]
        and all(each["reachable"] for each in postgres.get("nodes", [{"reachable": False}]))
    )


async def _without_failures(owner: Owner, settings: Settings, own: Stores) -> list[str]:
    """What the cluster has otherwise than the ledger says, once no commit is half done, and no connection is lost."""
    with anyio.fail_after(PATIENCE):
        while (await asyncio.to_thread(sql, settings, PREPARED))[0][0]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        while True:
            try:
                wrong = await differences(owner.ledger, own, owner.user.id)
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)
    there = "SELECT count(*) FROM avatar.avatars WHERE user_id = '{}'"
    avatars, entries = [
        (await asyncio.to_thread(sql, settings, question.format(owner.user.id)))[0][0] for question in (there, LOGGED)
    ]
    if avatars != entries:
        wrong.append(f"{avatars} avatars, and {entries} entries in the audit log")
    return wrong
