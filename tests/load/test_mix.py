"""What visitors of `python -m tests.load` do works: each kind of them, and nothing fails."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import anyio.to_thread
import pytest

from api.config.settings import Settings
from api.stores.stores import Stores
from tests.load.steps import SHED, Site, step
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.servers import environment, serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="needs locust: uv sync --group load"),
]


async def test_every_kind_of_visitor_is_answered(settings: Settings, stores: Stores, tmp_path: Path) -> None:
    item = await create_catalog_item(stores, name="linen dress")
    owner = await create_user(stores)
    await create_design(stores, user_id=owner.id, status="published", layers=[layer_of(item.id)])
    site = await Site.of(settings, accounts=8, designs=5)
    with serving("serve", folder=tmp_path, variables=environment(settings)) as server:
        came = await anyio.to_thread.run_sync(lambda: step(server.url, 10, site, count=60))

    assert came.errors == []
    assert {name: each["count"] for name, each in came.operations.items()} == {
        "browse": 33,
        "search": 15,
        "edit": 9,
        "follow": 3,
    }
    assert (came.answered, came.shed, came.failed) == (60, 0, 0)
    assert 0 < came.p50 <= came.p99
    assert SHED not in came.operations
    slowest, shed, failed = zip(*came.by_second.values(), strict=True)
    assert (max(slowest) > 0, sum(shed), sum(failed)) == (True, 0, 0)
    edited = await stores.database["designs"].find({"version": {"$gt": 1}}).to_list()
    assert edited  # by those who came again
