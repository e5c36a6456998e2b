"""Viewers who ask at the same time: each sees what they may, and what they share stays as it was read."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.graphql import execute
from tests.support.stores.shared_values import SharedValues
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
    world: World, shared_values: SharedValues
) -> None:
    clients = {name: world.viewer(name) for name in VIEWERS}
    alone = {name: await execute(client, EVERYTHING) for name, client in clients.items()}
    coalescer = world.stores.coalescer
    assert coalescer is not None
    shared_values.read.clear()
    before = coalescer.sharing.reads - coalescer.sharing.sent

    for _ in range(3):
        answers = await asyncio.gather(*(execute(client, EVERYTHING) for client in list(clients.values()) * 3))
        for name, answer in zip(list(clients) * 3, answers, strict=True):
            assert answer == alone[name], name

    assert coalescer.sharing.reads - coalescer.sharing.sent > before
    assert len(shared_values.read) > 100
    assert shared_values.changed() == []


@pytest.mark.parametrize("change", [{"name": "Theirs"}, {"layers": []}])
async def test_whoever_changes_what_is_shared_is_found_out(
    world: World, shared_values: SharedValues, change: dict[str, object]
) -> None:
    """The suite looks at the end of each test."""
    await execute(world.viewer("admin"), "{ designs { nodes { name layers { layerId } } } }")
    assert shared_values.changed() == []
    (kind, ((document, *_),), _) = next(read for read in shared_values.read if read[0][0] == "designs")
    kept = {name: document[name] for name in change}

    document.update(change)

    assert shared_values.changed() == [kind]
    document.update(kept)


@pytest.mark.parametrize("world", [WALLED], indirect=True)
async def test_behind_row_level_security_nothing_is_shared(world: World) -> None:
    assert world.stores.coalescer is None
    assert world.stores.answers is None
