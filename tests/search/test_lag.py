"""How far search is behind designs, as health and metrics tell."""

from __future__ import annotations

from functools import partial
from math import isnan
from typing import Any

import httpx
import pytest

from api.config.settings import Settings
from api.search.following import Lag
from api.stores.stores import Stores
from tests.search.following import eventually
from tests.support.applications import running

pytestmark = pytest.mark.anyio


async def checks(client: httpx.AsyncClient) -> Any:
    return (await client.get("/health/database")).json()["checks"]


async def gauge(client: httpx.AsyncClient) -> list[float]:
    lines = (await client.get("/metrics")).text.splitlines()
    return [float(line.split()[1]) for line in lines if line.startswith("fashion_wallet_search_behind_seconds ")]


async def test_whoever_follows_and_whoever_is_ready_to_tell_how_far_it_is(
    settings: Settings, clean_stores: None, stores: Stores
) -> None:
    async def is_told(client: httpx.AsyncClient) -> bool:
        return "search" in await checks(client)

    indexing = {"search_indexing": True, "metrics": True}
    async with running(settings, **indexing) as (_, follower), running(settings, **indexing) as (_, ready):
        for client in (follower, ready):
            await eventually(partial(is_told, client), True)
            assert 0 <= (await checks(client))["search"]["secondsBehind"] < 20
            (behind,) = await gauge(client)
            assert 0 <= behind < 20


async def test_who_does_not_follow_tells_nothing(settings: Settings, clean_stores: None) -> None:
    async with running(settings, metrics=True) as (_, client):
        assert "search" not in await checks(client)
        (behind,) = await gauge(client)
        assert isnan(behind)


def test_it_grows_until_search_has_caught_up() -> None:
    lag = Lag()
    assert lag.seconds is None
    lag.note(30)
    assert lag.seconds is not None
    assert lag.seconds >= 30
    lag.note(0)
    assert lag.seconds < 30
