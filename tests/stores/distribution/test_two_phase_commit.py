"""Nodes of a cluster that are killed in the middle of a commit of two phases: of an avatar at a worker, and of its
entry in the audit log at the coordinator.

A commit waits, when it is written, for a replica that there isn't, on the node that the test chooses. A worker has then
prepared its part, and hasn't said so; a coordinator has committed its own, and hasn't told the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import anyio
import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from api.config.settings import Settings
from tests.support.applications import running
from tests.support.failures.restartable import FINISHES
from tests.support.graphql import execute
from tests.support.signing_in import signed_in
from tests.support.stores.distributed import distribute
from tests.support.stores.engines import Cluster, citus_cluster
from tests.support.stores.nodes import Node
from tests.support.waiting import pause

pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

COORDINATOR, WORKER = 0, 1
SLOW: Final[dict[str, Any]] = {
    # none of these ends a wait before the node is killed, on however slow a machine
    "statement_timeout": 100.0,
    "execution_timeout": 200.0,
    "breaker_patience": 100.0,
    "breaker_probe_interval": 0.05,
}
CREATE: Final = 'mutation { it: createAvatar(input: {name: "Evening"}) { avatar { name } errors { code } } }'
AVATARS: Final = "{ avatars { nodes { name } } }"
PREPARED: Final = "SELECT count(*) FROM pg_prepared_xacts"
WAITING: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query {} 'SELECT pg_logical%'"
LOGGED: Final = "SELECT count(*) FROM audit.audit_log WHERE table_name = 'avatar.avatars' AND actor_id = '{}'"


@pytest.fixture(scope="module")
def cluster(of_distribution: None) -> Iterator[Cluster]:
    """A cluster of one worker, whose coordinator looks each second for what it has left half done."""
    with citus_cluster(workers=1) as cluster:
        cluster.nodes[COORDINATOR].configure(FINISHES)
        yield cluster


@pytest.fixture
async def served(on_cluster: Settings, anyio_backend: str) -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    await asyncio.to_thread(distribute, on_cluster)
    async with running(on_cluster, **SLOW) as served:
        yield served


async def connect(node: Node) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(host="127.0.0.1", port=node.port, user="postgres", database="fashion_wallet")


async def ask(node: Node, question: str) -> int:
    connection = await connect(node)
    try:
        return int(await connection.fetchval(question))
    finally:
        await connection.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(60):
        while not await condition():
            await pause()


async def let_commits_wait(node: Node) -> None:
    """Whoever commits on this node from now on waits for a replica. Returns when that is so."""
    await asyncio.to_thread(node.configure, "synchronous_standby_names = 'nobody'")
    connection = await connect(node)
    try:

        async def is_waiting() -> bool:
            commit = asyncio.create_task(connection.execute("SELECT pg_logical_emit_message(true, 'a test', '')"))
            while not commit.done():
                if await ask(node, WAITING.format("LIKE")):
                    connection.terminate()
                    await asyncio.gather(commit, return_exceptions=True)
                    return True
                await pause()
            return False

        await until(is_waiting)
    finally:
        connection.terminate()


@pytest.mark.parametrize("killed", [WORKER, COORDINATOR], ids=["worker", "coordinator"])
@pytest.mark.parametrize("decided", [False, True], ids=["before-it-is-decided", "after-it-is-decided"])
async def test_a_commit_in_whose_middle_a_node_is_killed_is_whole_or_nothing(
    served: tuple[Starlette, httpx.AsyncClient], cluster: Cluster, killed: int, decided: bool
) -> None:
    # given: an avatar, prepared by the worker, and decided upon by the coordinator or not
    app, client = served
    coordinator, worker = cluster.nodes
    mine, user = await signed_in(client, app.state.stores)
    waiting = coordinator if decided else worker
    await let_commits_wait(waiting)
    request = asyncio.create_task(mine.post("/graphql", json={"query": CREATE}, timeout=None))

    async def is_in_the_middle() -> bool:
        assert not request.done()
        return bool(await ask(worker, PREPARED) and await ask(waiting, WAITING.format("NOT LIKE")))

    try:
        await until(is_in_the_middle)
        # when
        await asyncio.to_thread(cluster.nodes[killed].kill)
    finally:
        await asyncio.to_thread(waiting.configure, "synchronous_standby_names = ''")
    answer = (await request).json()
    await asyncio.to_thread(cluster.nodes[killed].start)

    # then: what was decided is there, whether or not the client has heard of it, and the rest has never been
    if decided and killed == WORKER:
        assert answer == {"data": {"it": {"avatar": {"name": "Evening"}, "errors": []}}}
    else:
        assert answer["data"] == {"it": None}
        assert [each["extensions"] for each in answer["errors"]] == [
            {"code": "STORE_UNAVAILABLE", "store": "PostgreSQL"}
        ]

    async def is_finished() -> bool:
        return not await ask(worker, PREPARED) and not app.state.stores.is_cut_off("PostgreSQL")

    await until(is_finished)
    there = [{"name": "Evening"}] if decided else []
    assert await execute(mine, AVATARS) == {"avatars": {"nodes": there}}
    assert await ask(coordinator, LOGGED.format(user.id)) == len(there)
    assert await execute(mine, CREATE) == {"it": {"avatar": {"name": "Evening"}, "errors": []}}
    assert await execute(mine, AVATARS) == {"avatars": {"nodes": [*there, {"name": "Evening"}]}}
    assert await ask(coordinator, LOGGED.format(user.id)) == len(there) + 1
