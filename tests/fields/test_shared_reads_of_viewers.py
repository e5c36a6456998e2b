"""Viewers who ask at the same time: each sees what they may, and what they share stays as it was read."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.graphql import execute
from tests.support.world import VIEWERS, WALLED, World

# a second execution would be a reader more
pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

EVERYTHING = """{
    designs(first: 50) { totalCount nodes { id name status owner { id firstName email role }
        avatar { id measurements { height } } layers { catalogItem { id name assetUrl price isActive } }
        metadata { tags } } }
    catalogItems(first: 50, filter: {not: {name: {equals: "nothing"}}}) { totalCount nodes { id name assetUrl
        brand { id } designs(first: 3) { totalCount
        nodes { id } } } } }"""


async def test_everybody_sees_what_they_may_and_changes_nothing_of_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = {name: world.viewer(name) for name in VIEWERS}
    alone = {name: await execute(client, EVERYTHING) for name, client in clients.items()}
    coalescer = world.stores.coalescer
    assert coalescer is not None
    shared: list[tuple[Any, bytes]] = []
    read = coalescer.read

    async def noted(name: Any, keys: Sequence[Any], send: Any) -> Sequence[Any]:
        values = await read(name, keys, send)
        shared.append((values, pickle.dumps([_plain(value) for value in values])))
        return values

    monkeypatch.setattr(coalescer, "read", noted)
    before = coalescer.sharing.reads - coalescer.sharing.sent

    for _ in range(3):
        answers = await asyncio.gather(*(execute(client, EVERYTHING) for client in list(clients.values()) * 3))
        for name, answer in zip(list(clients) * 3, answers, strict=True):
            assert answer == alone[name], name

    assert coalescer.sharing.reads - coalescer.sharing.sent > before
    assert len(shared) > 100
    for values, was in shared:
        assert pickle.dumps([_plain(value) for value in values]) == was


def _plain(value: Any) -> Any:
    """Rows and documents as what they hold."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return dict(value) if hasattr(value, "keys") and not isinstance(value, dict) else value


@pytest.mark.parametrize("world", [WALLED], indirect=True)
async def test_behind_row_level_security_nothing_is_shared(world: World) -> None:
    assert world.stores.coalescer is None
