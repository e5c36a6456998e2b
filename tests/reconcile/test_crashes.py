"""Processes that are killed (SIGKILL) between any two steps of what spans both stores.

Nothing is lost, and a repetition or `reconcile` completes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import asyncpg
import httpx
import pytest
from sqlalchemy import func, select, update

from api.config.settings import Settings
from api.reconcile.run import reconcile
from api.stores.stores import Stores
from documents import Design
from models import Avatar, IdempotencyKey, User
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, designs
from tests.support.factories.users import create_user, users
from tests.support.graphql import execute, gid
from tests.support.mutations.designs import query as design_mutation
from tests.support.processes import Process, start
from tests.support.servers import Server, environment
from tests.support.signing_in import signed_in
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

ROOT: Final = Path(__file__).parents[2]
if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
State = tuple[bool, bool, bool]
"""Whether the account, its avatar and its designs are there."""

BEFORE: Final = {"delete": (True, True, True), "restore": (False, False, False)}
AFTER: Final = {"delete": (False, False, False), "restore": (True, True, True)}
BEGUN: Final = {"delete": (False, False, True), "restore": (False, False, False)}
# designs without their owner, which nobody misses; never an owner who misses designs
ALMOST: Final = {"delete": (False, False, False), "restore": (False, False, True)}

MUTATION: Final = "mutation ($id: ID!) {{ {}User(input: {{id: $id}}) {{ errors {{ code }} }} }}"
AT_THE_ANSWER: Final = 4711
"""The advisory lock that keeps answers from being stored."""


@dataclass
class Child:
    """A process of `tests.support.failures.crashing`: what it reads, and what it writes."""

    process: Process | subprocess.Popen[bytes]
    stdin: IO[bytes]
    stdout: IO[bytes]

    def await_line(self, expected: str) -> None:
        assert self.stdout.readline() == f"{expected}\n".encode()

    def go_on(self) -> None:
        self.stdin.write(b"\n")
        self.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        assert self.process.wait(30) == -signal.SIGKILL


@contextlib.contextmanager
def child(kind: str, *people: User, settings: Settings) -> Iterator[Child]:
    """A process that is about to delete or restore these users."""
    (reads, stdin), (stdout, writes) = os.pipe(), os.pipe()
    arguments = ("-m", "tests.support.failures.crashing", kind, *(str(user.id) for user in people))
    streams = {"stdin": reads, "stdout": writes, "stderr": 2}
    process = start(*arguments, folder=ROOT, variables=environment(settings), **streams)
    os.close(reads)
    os.close(writes)
    with os.fdopen(stdin, "wb") as to, os.fdopen(stdout, "rb") as by:
        try:
            yield Child(process, to, by)
        finally:
            process.kill()
            process.wait()


async def waiting(connection: Connection, number: int = 1) -> list[int]:
    """The processes of PostgreSQL that wait for a lock, once there are so many."""
    with anyio.fail_after(30):
        while len(rows := await connection.fetch("SELECT DISTINCT pid FROM pg_locks WHERE NOT granted")) < number:
            await pause()
    return [row["pid"] for row in rows]


async def gone(connection: Connection, pids: list[int]) -> None:
    """Return once PostgreSQL has noticed that the client of these processes is no more."""
    with anyio.fail_after(30):
        while await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)", pids):
            await pause()


async def state(stores: Stores, user: User) -> State:
    """What is there of the user; all designs or none."""
    live = [design.deleted_at is None for design in await all_designs(stores, user)]
    assert len(set(live)) == 1
    account = await users(stores).find_by_id(user.id)
    return account is not None, bool(await avatars(stores).count(Avatar.user_id == user.id)), live[0]


async def all_designs(stores: Stores, user: User) -> list[Design]:
    return await designs(stores).find_all({"userId": str(user.id), "name": "Kept"}, include_deleted=True)


async def someone(stores: Stores) -> User:
    """A user with an avatar and designs, and one of each that were deleted before."""
    user = await create_user(stores)
    await create_avatar(stores, user_id=user.id, is_default=True)
    gone = await create_avatar(stores, user_id=user.id)
    await avatars(stores).soft_delete(gone.id)
    for _ in range(3):
        await create_design(stores, user_id=user.id, name="Kept")
    await create_design(stores, user_id=user.id, name="Gone", deleted_at=datetime.now().astimezone())
    return user


@pytest.mark.parametrize("step", ["begun", "almost done"])
@pytest.mark.parametrize("kind", ["delete", "restore"])
async def test_users_that_were_half_deleted_or_restored(
    kind: str, step: str, client: httpx.AsyncClient, stores: Stores, settings: Settings, locks: Connection
) -> None:
    # given
    admin, _ = await signed_in(client, stores, "admin")
    people = one, other = await someone(stores), await someone(stores)
    for user in people:
        if kind == "restore":
            await execute(admin, MUTATION.format("delete"), id=gid(user))
        assert await state(stores, user) == BEFORE[kind]

    # when
    with child(kind, *people, settings=settings) as process:
        await anyio.to_thread.run_sync(process.await_line, "ready")
        process.go_on()
        await anyio.to_thread.run_sync(process.await_line, "begun")
        if step == "almost done":
            async with locks.transaction():
                # rows can still be locked, not changed
                await locks.execute("LOCK TABLE shared.operations IN SHARE MODE")
                process.go_on()
                pids = await waiting(locks, 2)
                process.kill()
            await gone(locks, pids)
        else:
            process.kill()

    # then
    for user in people:
        assert await state(stores, user) == (BEGUN if step == "begun" else ALMOST)[kind]
    assert await locks.fetchval("SELECT count(*) FROM shared.operations WHERE finished_at IS NULL") == 2

    # when
    answer = await execute(admin, MUTATION.format(kind), id=gid(one))
    assert answer == {f"{kind}User": {"errors": []}}
    report = await reconcile(stores, settings, repair=True)
    assert report.unfinished_operations.examples == [str(other.id)]
    assert (report.unfinished_operations.repaired, report.problems) == (1, 0)

    # then
    assert (await reconcile(stores, settings, repair=False)).problems == 0
    for user in people:
        assert await state(stores, user) == AFTER[kind]
        if kind == "delete":
            await execute(admin, MUTATION.format("restore"), id=gid(user))
            assert await state(stores, user) == AFTER["restore"]
        (avatar,) = await avatars(stores).find_all(Avatar.user_id == user.id)
        assert avatar.is_default
    assert [design.name for design in await designs(stores).find_all()] == ["Kept"] * 6


@pytest.mark.parametrize("kind", ["delete", "restore"])
async def test_a_crash_in_the_first_step_changes_nothing(
    kind: str, client: httpx.AsyncClient, stores: Stores, settings: Settings, locks: Connection
) -> None:
    admin, _ = await signed_in(client, stores, "admin")
    user = await someone(stores)
    if kind == "restore":
        await execute(admin, MUTATION.format("delete"), id=gid(user))
    with child(kind, user, settings=settings) as process:
        await anyio.to_thread.run_sync(process.await_line, "ready")
        async with locks.transaction():
            await locks.execute("LOCK TABLE shared.operations IN SHARE MODE")
            process.go_on()
            pids = await waiting(locks)
            process.kill()
        await gone(locks, pids)

    assert await state(stores, user) == BEFORE[kind]
    assert (await reconcile(stores, settings, repair=False)).problems == 0
    await execute(admin, MUTATION.format(kind), id=gid(user))
    assert await state(stores, user) == AFTER[kind]


@pytest.fixture
async def answers_wait(locks: Connection) -> AsyncIterator[None]:
    """No answer to an idempotency key can be stored: whoever tries waits."""
    await locks.execute(
        f"""
        CREATE FUNCTION shared.wait_at_the_answer() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock_shared({AT_THE_ANSWER}); RETURN NEW; END $$;
        CREATE TRIGGER wait_at_the_answer BEFORE UPDATE ON shared.idempotency_keys
        FOR EACH ROW WHEN (NEW.response IS NOT NULL) EXECUTE FUNCTION shared.wait_at_the_answer();
        """
    )
    await locks.execute(f"SELECT pg_advisory_lock({AT_THE_ANSWER})")
    yield
    await locks.execute(
        """
        SELECT pg_advisory_unlock_all();
        DROP TRIGGER wait_at_the_answer ON shared.idempotency_keys;
        DROP FUNCTION shared.wait_at_the_answer();
        """
    )


async def send(client: httpx.AsyncClient, query: str, **given: Any) -> httpx.Response:
    return await client.post(
        "/graphql", json={"query": query, "variables": {"input": given}}, headers={"idempotency-key": "once"}
    )


async def killed(server: Server, request: asyncio.Task[httpx.Response]) -> None:
    """Kill the server, whose client learns that the connection is lost."""
    server.process.kill()
    await anyio.to_thread.run_sync(server.process.wait, 30)
    with pytest.raises(httpx.TransportError):
        await request


async def let_lapse(stores: Stores) -> None:
    """End all leases, as time would."""
    async with stores.sessions.begin() as session:
        await session.execute(update(IdempotencyKey).values(locked_until=func.now()))


async def test_a_design_whose_creation_was_claimed_only(
    client: httpx.AsyncClient, stores: Stores, settings: Settings, server: Server, locks: Connection
) -> None:
    mine, item = (await signed_in(client, stores))[0], await create_catalog_item(stores)
    given = {"name": "Once", "layers": [{"id": "a", "type": "FABRIC", "itemId": gid(item)}]}
    async with httpx.AsyncClient(base_url=server.url, headers=mine.headers) as theirs, locks.transaction():
        # the claim is there; the items, which the design is checked against, can't be read
        await locks.execute("LOCK TABLE catalog.catalog_items IN ACCESS EXCLUSIVE MODE")
        request = asyncio.create_task(send(theirs, design_mutation("createDesign"), **given))
        await waiting(locks)
        await killed(server, request)
    assert await designs(stores).count() == 0
    await let_lapse(stores)

    answer = await send(mine, design_mutation("createDesign"), **given)

    assert answer.json()["data"]["createDesign"]["errors"] == []
    assert await designs(stores).count() == 1


@pytest.mark.undistributed("makes a trigger on idempotency keys, which Citus refuses")
async def test_a_design_that_was_created_and_not_answered(
    client: httpx.AsyncClient,
    stores: Stores,
    server: Server,
    locks: Connection,
    answers_wait: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.idempotency.keys.PATIENCE", 0.1)
    mine, _ = await signed_in(client, stores)
    async with httpx.AsyncClient(base_url=server.url, headers=mine.headers) as theirs:
        request = asyncio.create_task(send(theirs, design_mutation("createDesign"), name="Once"))
        pids = await waiting(locks)
        await killed(server, request)
    (design,) = await designs(stores).find_all()
    await locks.execute("SELECT pg_terminate_backend($1)", pids[0])
    await gone(locks, pids)
    await locks.execute(f"SELECT pg_advisory_unlock({AT_THE_ANSWER})")

    # the lease has not lapsed
    early = await send(mine, design_mutation("createDesign"), name="Once")
    assert (early.status_code, early.json()["errors"][0]["extensions"]["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
    await let_lapse(stores)
    answer = await send(mine, design_mutation("createDesign"), name="Once")

    assert answer.json()["data"]["createDesign"]["design"]["id"] == gid(design)
    assert await designs(stores).count() == 1
    again = await send(mine, design_mutation("createDesign"), name="Once")
    assert (again.content, again.headers["idempotency-replayed"]) == (answer.content, "true")


@pytest.mark.undistributed("makes a trigger on idempotency keys, which Citus refuses")
async def test_an_avatar_that_was_created_and_not_answered(
    client: httpx.AsyncClient, stores: Stores, server: Server, locks: Connection, answers_wait: None
) -> None:
    create = "mutation ($input: CreateAvatarInput!) { createAvatar(input: $input) { avatar { id } errors { code } } }"
    mine, user = await signed_in(client, stores)
    async with httpx.AsyncClient(base_url=server.url, headers=mine.headers) as theirs:
        request = asyncio.create_task(send(theirs, create, name="Once"))
        pids = await waiting(locks)
        await killed(server, request)
    await locks.execute("SELECT pg_terminate_backend($1)", pids[0])
    await gone(locks, pids)
    await let_lapse(stores)

    answer = await send(mine, create, name="Once")

    # it is there, and it is not made again: nobody knows what was answered
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (409, "IDEMPOTENCY_INTERRUPTED")
    async with stores.engine.connect() as connection:
        assert await connection.scalar(select(func.count()).where(Avatar.user_id == user.id)) == 1
