"""Quotas that instances share in Redis: two that count together, and a Redis that dies, freezes and comes back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from anyio import lowlevel
from pydantic import SecretStr

from api.config.settings import Settings
from api.rates.counts import SharedCounts
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.users import create_user
from tests.support.mutations.accounts import PASSWORD
from tests.support.requests.rate_limits import ITEMS, TYPENAME, assert_refused, left, post
from tests.support.stores.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

PATIENT = 10.0
"""Seconds for an answer of Redis, where a test is about what it says and the machine may be busy."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


def sharing(redis: RedisServer, **changes: Any) -> dict[str, Any]:
    """Changes of settings."""
    return {"redis_url": SecretStr(redis.url), "redis_timeout": PATIENT, **changes}


async def test_two_instances_share_a_quota(settings: Settings, redis: RedisServer, clean_stores: None) -> None:
    changes = sharing(redis, rate_limit_address="4/day")
    async with running(settings, **changes) as (_, one), running(settings, **changes) as (_, two):
        seen = [left(await post(client, TYPENAME)) for client in (one, two, two, one)]
        assert seen == [3, 2, 1, 0]
        assert_refused(await post(one, TYPENAME))
        assert_refused(await post(two, TYPENAME))
    async with running(settings, **changes) as (_, restarted):
        assert_refused(await post(restarted, TYPENAME))


async def test_unused_cost_is_given_back_to_all(settings: Settings, redis: RedisServer, stores: Stores) -> None:
    await create_catalog_item(stores, name="Silk")
    changes = sharing(redis, rate_limit_address="1000/day", report_cost=True)
    async with running(settings, **changes) as (_, client):
        first = await post(client, ITEMS)
        cost = first.json()["extensions"]["cost"]["actual"]
        assert left(first) == 1000 - cost
    # the points have arrived when the first instance has stopped
    async with running(settings, **changes) as (_, client):
        assert left(await post(client, ITEMS)) == 1000 - 2 * cost


async def test_counts_end_by_themselves(settings: Settings, redis: RedisServer, clean_stores: None) -> None:
    async with running(settings, **sharing(redis, rate_limit_address="4/day")) as (_, client):
        await post(client, TYPENAME)
    (key,) = [line for line in redis.command("KEYS", "*").decode().split("\r\n") if ":" in line]
    assert key.startswith("fashion-wallet:")
    assert 0 < int(redis.command("TTL", f'"{key}"')[1:]) <= 24 * 3600


async def test_sign_ins_are_counted_together(settings: Settings, redis: RedisServer, stores: Stores) -> None:
    user = await create_user(stores, email="ada@example.com")
    attempt = {
        "query": "mutation ($input: SignInInput!) { signIn(input: $input) { errors { code } } }",
        "variables": {"input": {"email": user.email, "password": "not " + PASSWORD}},
    }
    wrong = {"data": {"signIn": {"errors": [{"code": "INVALID_CREDENTIALS"}]}}}
    changes = sharing(redis, sign_in_limit_account="3/day")
    async with running(settings, **changes) as (_, one), running(settings, **changes) as (_, two):
        for client in (one, two, one):
            assert (await post(client, attempt)).json() == wrong
        for client in (one, two):
            (error,) = (await post(client, attempt)).json()["errors"]
            assert error["extensions"]["code"] == "RATE_LIMITED"


async def load(client: httpx.AsyncClient, stop: asyncio.Event, statuses: list[int]) -> None:
    """Requests one after the other."""
    while not stop.is_set():
        statuses.append((await post(client, TYPENAME)).status_code)
        assert statuses[-1] == 200
        await lowlevel.checkpoint()


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_requests_go_on_without_redis_and_share_again_with_it(
    settings: Settings, redis: RedisServer, clean_stores: None, fault: signal.Signals
) -> None:
    changes = sharing(redis, rate_limit_address="1000000/day", redis_timeout=1.0)
    async with running(settings, **changes) as (app, client):
        counts: SharedCounts = app.state.counts
        while counts.is_down or left(await post(client, TYPENAME)) == 1_000_000:
            await lowlevel.checkpoint()  # a busy machine may have missed the time
        stop, statuses = asyncio.Event(), list[int]()
        with structlog.testing.capture_logs() as logs:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(3):
                    tasks.create_task(load(client, stop, statuses))
                redis.signal(fault)
                while not counts.is_down:
                    await lowlevel.checkpoint()
                before = len(statuses)
                while len(statuses) < before + 200:  # they cost Redis's silence nothing
                    await lowlevel.checkpoint()
                if fault is signal.SIGSTOP:
                    redis.signal(signal.SIGCONT)
                else:
                    redis.start()
                stop.set()  # a busy machine would leave the probe no time
            while counts.is_down:
                await lowlevel.checkpoint()
        assert set(statuses) == {200}
    said = [entry for entry in logs if entry["event"] != "request"]
    assert said[0]["event"] == "rate limits count in memory: Redis does not answer"
    assert said[0]["log_level"] == "error"
    assert said[1]["event"] == "rate limits are shared again"
    # once an outage, whatever the load; a busy machine may have made a second one
    assert [entry["event"] for entry in said] == [said[0]["event"], said[1]["event"]] * (len(said) // 2)


async def test_an_instance_starts_while_redis_is_down(
    settings: Settings, redis: RedisServer, clean_stores: None
) -> None:
    redis.signal(signal.SIGKILL)
    with structlog.testing.capture_logs() as logs:
        async with running(settings, **sharing(redis, rate_limit_address="2/day")) as (_, client):
            assert [left(await post(client, TYPENAME)) for _ in range(2)] == [1, 0]
            assert_refused(await post(client, TYPENAME))
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "rate limits count in memory: Redis does not answer"
    ]
    assert str(redis.port) not in str(logs)
