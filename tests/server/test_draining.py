"""Leaving: what a process says and does between SIGTERM and its end, and a rolling restart that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import httpx
import pytest

from api.config.settings import Settings
from api.stores.stores import Stores
from tests.support.factories.users import create_user, users
from tests.support.requests.sockets import socket
from tests.support.servers import Server, command, environment, serving, wait_until
from tests.support.signing_in import access_token, open_session
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

ITEMS = {"query": "{ catalogItems(first: 1) { nodes { name } } }"}
NO_ITEMS: dict[str, Any] = {"data": {"catalogItems": {"nodes": []}}}
HURRY = httpx.Timeout(30)


@pytest.fixture(params=["1", "2"])
def patient(request: pytest.FixtureRequest, settings: Settings, clean_stores: None, tmp_path: Path) -> Iterator[Server]:
    """A server that goes on for a long time after SIGTERM, in one process or two."""
    variables = environment(settings, WORKERS=request.param, SHUTDOWN_DELAY="60", SHUTDOWN_TIMEOUT="90")
    with serving("serve", folder=tmp_path, variables=variables) as server:
        yield server


def test_what_is_asked_after_sigterm(patient: Server) -> None:
    """A second signal skips the rest of the delay."""
    with httpx.Client(base_url=patient.url, timeout=HURRY) as kept, httpx.Client(timeout=HURRY) as fresh:
        before = kept.post("/graphql", json=ITEMS)
        assert "connection" not in before.headers
        assert fresh.get(f"{patient.url}/readyz").json()["status"] == "ready"

        patient.process.send_signal(signal.SIGTERM)

        def say_so() -> bool:
            """Whether the processes that answer have had the signal; until then, and from then on, they answer."""
            ready = fresh.get(f"{patient.url}/readyz")
            answers = [kept.post("/graphql", json=ITEMS), fresh.post(f"{patient.url}/graphql", json=ITEMS)]
            assert [(answer.status_code, answer.json()) for answer in answers] == [(200, NO_ITEMS)] * 2
            assert ready.json()["status"] == ("ready" if ready.is_success else "draining")
            return ready.status_code == 503 and all(
                answer.headers.get("connection") == "close" for answer in (ready, *answers)
            )

        wait_until(say_so, "it drains")
        assert say_so()
        assert fresh.get(f"{patient.url}/livez").status_code == 200
        assert patient.process.poll() is None

    assert patient.stop(signal.SIGTERM) == 0


@dataclass
class Balancer:
    """Sends requests to instances in turn, those that say that they are ready. What could not be sent at all goes to
    the next one; what was sent and not answered is lost."""

    urls: list[str]
    ready: dict[str, bool] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    answered: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    _turn: int = 0

    @contextlib.asynccontextmanager
    async def running(self, clients: int) -> AsyncIterator[None]:
        """With as many clients sending one request after the other, over connections that are kept."""
        async with httpx.AsyncClient(timeout=HURRY) as client, httpx.AsyncClient(timeout=HURRY) as prober:
            await asyncio.gather(*(self._probe(prober, url) for url in self.urls))
            probes = [asyncio.create_task(self._watch(prober, url)) for url in self.urls]
            self._goes_on = True
            senders = [asyncio.create_task(self._send(client)) for _ in range(clients)]
            try:
                yield
            finally:
                self._goes_on = False
                await asyncio.gather(*senders)
                for probe in probes:
                    probe.cancel()
                await asyncio.wait(probes)

    async def _watch(self, client: httpx.AsyncClient, url: str) -> None:
        while True:
            await self._probe(client, url)
            await asyncio.sleep(0.02)

    async def _probe(self, client: httpx.AsyncClient, url: str) -> None:
        try:
            answer = await client.get(f"{url}/readyz")
        except httpx.TransportError:
            self.ready[url] = False
        else:
            self.ready[url] = answer.is_success
            self.seen.add((url, answer.json()["status"]))

    async def _send(self, client: httpx.AsyncClient) -> None:
        while self._goes_on:
            self._turn += 1
            usable = [url for url in self.urls if self.ready[url]]
            if not usable:
                self.lost.append("nobody is ready")
                return
            url = usable[self._turn % len(usable)]
            try:
                answer = await client.post(f"{url}/graphql", json=ITEMS)
            except httpx.ConnectError:
                self.ready[url] = False
            except httpx.TransportError as error:
                self.lost.append(repr(error))
            else:
                if answer.status_code == 200 and answer.json() == NO_ITEMS:
                    self.answered[url] += 1
                    self.changed.set()
                else:
                    self.lost.append(answer.text)

    async def until(self, url: str, more: int) -> None:
        """Return once this instance has answered that many requests more."""
        enough = self.answered[url] + more
        with anyio.fail_after(60):
            while self.answered[url] < enough:
                self.changed.clear()
                await self.changed.wait()


async def test_a_rolling_restart_loses_no_request(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    variables = environment(settings, SHUTDOWN_DELAY="1", SHUTDOWN_TIMEOUT="20")

    async def start(stack: contextlib.ExitStack, port: str) -> Server:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        context = serving("serve", "--port", port, folder=folder, variables=variables)
        return await anyio.to_thread.run_sync(stack.enter_context, context)

    with contextlib.ExitStack() as stack:
        instances = [await start(stack, "0"), await start(stack, "0")]
        balancer = Balancer([each.url for each in instances])
        async with balancer.running(clients=6):
            for instance in instances:
                await balancer.until(instance.url, 20)
                assert await anyio.to_thread.run_sync(instance.stop) == 0
                await start(stack, instance.url.rpartition(":")[2])
                await balancer.until(instance.url, 20)

    assert balancer.lost == []
    assert balancer.seen >= {(each.url, status) for each in instances for status in ("ready", "draining")}


def test_a_process_ends_though_a_client_hangs_and_a_task_cannot_be_cancelled(
    settings: Settings, clean_stores: None, tmp_path: Path
) -> None:
    arguments = ("-m", "tests.support.failures.hanging")
    variables = environment(settings, LOG_LEVEL="warning")
    with command(*arguments, folder=tmp_path, variables=variables) as server:
        wait_until(lambda: server.text().count("\n") or server.process.poll() is not None, "its address")
        assert httpx.get(f"{server.text().split()[0]}/livez", timeout=HURRY).status_code == 200
        assert server.stop() == 0
    said = server.text()
    assert "store's client does not close" in said
    assert "tasks left behind" in said
    assert "Traceback" not in said


RENAME = 'mutation { updateProfile(input: {firstName: "Ada"}) { user { firstName } } }'


async def somebody_waits(locks: asyncpg.Connection[asyncpg.Record]) -> None:
    """Return once a statement waits for a lock."""
    with anyio.fail_after(30):
        while not await locks.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await pause()


async def until_it_is_not_ready(server: Server) -> None:
    async with httpx.AsyncClient(timeout=HURRY) as client:
        with anyio.fail_after(60):
            while (answer := await client.get(f"{server.url}/readyz")).is_success:
                await pause()
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")


async def test_sockets_are_answered_and_then_closed_with_1012(
    settings: Settings, stores: Stores, locks: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """As long as the load balancer is told to turn elsewhere, they go on. Then one that waits for nothing is closed at
    once, one whose mutation runs after its answer; new operations aren't begun."""
    variables = environment(settings, SHUTDOWN_DELAY="60", SHUTDOWN_TIMEOUT="30")
    with serving("serve", folder=tmp_path, variables=variables) as server:
        port = int(server.url.rpartition(":")[2])
        account = await create_user(stores)
        token = access_token(settings, account.id, await open_session(stores, account.id))
        async with socket(port) as idle, socket(port) as busy:
            await idle.begin()
            await busy.begin(authorization=f"Bearer {token}")
            async with locks.transaction():
                await locks.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", account.id)
                await busy.subscribe("1", RENAME)
                await somebody_waits(locks)
                server.process.send_signal(signal.SIGTERM)
                await until_it_is_not_ready(server)
                assert await idle.execute("{ __typename }") == {"__typename": "Query"}
                server.process.send_signal(signal.SIGTERM)  # skips the rest of the delay
                assert (await idle.closed())[0] == 1012
                await busy.subscribe("2", "{ __typename }")
            assert await busy.receive() == {
                "id": "1",
                "type": "next",
                "payload": {"data": {"updateProfile": {"user": {"firstName": "Ada"}}}},
            }
            assert await busy.receive() == {"id": "1", "type": "complete"}
            assert await busy.closed() == (1012, "The server restarts: connect anew")
        assert await asyncio.to_thread(server.process.wait, 30) == 0


async def test_a_process_that_can_wait_no_longer_closes_sockets_with_1012(
    settings: Settings, stores: Stores, locks: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """What still runs is cancelled, as over HTTP, and changes nothing."""
    variables = environment(settings, SHUTDOWN_TIMEOUT="1")
    with serving("serve", folder=tmp_path, variables=variables) as server:
        account = await create_user(stores, first_name="Before")
        token = access_token(settings, account.id, await open_session(stores, account.id))
        async with locks.transaction(), socket(int(server.url.rpartition(":")[2])) as busy:
            await busy.begin(authorization=f"Bearer {token}")
            await locks.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", account.id)
            await busy.subscribe("1", RENAME)
            await somebody_waits(locks)
            server.process.send_signal(signal.SIGTERM)
            assert (await busy.closed())[0] == 1012
        assert await asyncio.to_thread(server.process.wait, 30) == 0
    stored = await users(stores).find_by_id(account.id)
    assert stored is not None
    assert stored.first_name == "Before"
