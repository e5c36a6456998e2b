"""More than a process can do, at two and a half times its capacity: what it acknowledges is done, the rest is shed.

What bounds it here is PostgreSQL, in which writing an avatar takes a while, so the machine hardly matters.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from api.config.settings import Settings
from api.stores.stores import Stores
from tests.benchmarks import load
from tests.support.factories.users import create_user
from tests.support.requests.arrivals import arriving
from tests.support.requests.sockets import socket
from tests.support.servers import Server, environment, serving
from tests.support.signing_in import access_token, open_session
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

SLOW = """
    CREATE FUNCTION audit.slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON audit.audit_log FOR EACH ROW EXECUTE FUNCTION audit.slow();
"""
"""On the log, which each write has an entry in, and which is on the coordinator where avatars are distributed."""
CREATE = "mutation($name: String!) { createAvatar(input: {name: $name}) { avatar { name } errors { code } } }"
FRESH = 50


@pytest.fixture
async def slow_writes(postgres_url: str, clean_stores: None, anyio_backend: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(SLOW)
    yield
    await connection.execute("DROP TRIGGER slow ON audit.audit_log; DROP FUNCTION audit.slow()")
    await connection.close()


def creating(server: Server, token: str, name: str) -> bytes:
    return load.post(server.url, json.dumps({"query": CREATE, "variables": {"name": name}}).encode(), token)


def created(answer: bytes) -> str:
    """The name of the avatar that an answer acknowledges."""
    payload = json.loads(answer.partition(b"\r\n\r\n")[2])["data"]["createAvatar"]
    assert payload["errors"] == []
    name: str = payload["avatar"]["name"]
    return name


def connections(server: Server) -> int:
    port = int(server.url.rpartition(":")[2])
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return sum(each.laddr.port == port and each.status != psutil.CONN_LISTEN for each in found)


async def test_what_is_too_much_is_shed_and_the_rest_is_done(
    settings: Settings, stores: Stores, slow_writes: None, postgres_url: str, tmp_path: Path
) -> None:
    variables = environment(
        settings, MAX_QUEUE_TIME="0.1", POSTGRES_POOL_SIZE="2", LOG_LEVEL="info", LOG_FORMAT="json", METRICS="true"
    )
    with serving("serve", folder=tmp_path, variables=variables) as server:
        account = await create_user(stores)
        token = access_token(settings, account.id, await open_session(stores, account.id))
        port = int(server.url.rpartition(":")[2])
        before = await load.run(
            server.url, [creating(server, token, f"before {number}") for number in range(60)], count=60, connections=4
        )
        capacity = 60 / before.seconds
        names = [f"avatar {number}" for number in range(round(capacity * 2.5 * 3))]

        async with socket(port) as open_before, httpx.AsyncClient(base_url=server.url, timeout=30) as prober:
            await open_before.begin()
            overload = asyncio.create_task(
                arriving(port, [creating(server, token, name) for name in names], rate=capacity * 2.5, connections=200)
            )
            probes: list[int] = []
            while not overload.done():
                probes += [(await prober.get(path)).status_code for path in ("/livez", "/readyz")]
                assert await open_before.execute("{ __typename }") == {"__typename": "Query"}
                await asyncio.wait([overload], timeout=0.1)
            came = await overload

        acknowledged, shed = [created(answer) for answer in came.of(200)], came.of(503)
        assert came.lost == 0
        assert len(acknowledged) + len(shed) == len(names)
        assert shed
        assert all(b"\r\nretry-after: 1\r\n" in answer and b'"OVERLOADED"' in answer for answer in shed)
        assert set(probes) == {200}
        # it has done what it can do: about as much as before, and not what is left when all fail late
        assert len(acknowledged) / came.seconds > capacity / 3

        fresh = [creating(server, token, f"after {number}") for number in range(FRESH)]
        after = await arriving(port, fresh, rate=capacity / 3, connections=10)
        assert [status for status, _ in after.answers] == [200] * FRESH
        connection = await asyncpg.connect(postgres_url)
        stored = {row["name"] for row in await connection.fetch("SELECT name FROM avatar.avatars")}
        await connection.close()
        expected = {f"before {number}" for number in range(60)} | {f"after {number}" for number in range(FRESH)}
        assert stored == expected | set(acknowledged)
        while connections(server):
            await pause()

    events = [json.loads(line)["event"] for line in server.text().splitlines()]
    assert events.count("load shed") == 1
