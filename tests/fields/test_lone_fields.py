"""Each field by itself says what it says among all others: every way to it, one leaf or only the type asked.

What a query needs is read off its selection, so a field that finds its column only because another one asked for it
would be wrong alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLObjectType, is_leaf_type

from tests.support.graphql import execute
from tests.support.requests.selections import ARGUMENTS, is_node, object_type, type_of
from tests.support.world import SUBJECTS, World

pytestmark = pytest.mark.anyio

Path = tuple[str, ...]


def paths(of: GraphQLObjectType, before: Path = ()) -> Iterator[Path]:
    """Every way from an object of this type to a leaf, or to the type of what is there; other objects end a way."""
    yield (*before, "__typename")
    for name, field in of.fields.items():
        named, way = type_of(field), (*before, name + ARGUMENTS.get(f"{of.name}.{name}", ""))
        if is_leaf_type(named):
            yield way
        elif isinstance(named, GraphQLObjectType) and not is_node(named):
            yield from paths(named, way)
        else:
            yield (*way, "__typename")


def whole(ways: list[Path]) -> str:
    """One selection of all these ways."""
    heads = dict.fromkeys(way[0] for way in ways)
    inner = {head: [way[1:] for way in ways if way[0] == head and way[1:]] for head in heads}
    return "{ " + " ".join(f"{head} {whole(rest)}" if (rest := inner[head]) else head for head in heads) + " }"


def part(data: Any, way: Path) -> Any:
    """What of the data lies on the way."""
    if not way or data is None:
        return data
    if isinstance(data, list):
        return [part(item, way) for item in data]
    name = way[0].partition("(")[0]
    return {name: part(data[name], way[1:])}


@pytest.mark.parametrize("name", SUBJECTS)
async def test_each_field_alone(world: World, name: str) -> None:
    admin, ways = world.viewer("admin"), list(paths(object_type(name)))

    async def ask(selection: str) -> Any:
        query = f"query ($id: ID!) {{ node(id: $id) {{ ... on {name} {selection} }} }}"
        return (await execute(admin, query, id=SUBJECTS[name](world)))["node"]

    everything = await ask(whole(ways))
    for way in ways:
        alone = await ask(whole([way]))
        assert alone == part(everything, way), way


def test_the_ways_lead_through_everything_that_objects_are_made_of() -> None:
    ways = {way for name in SUBJECTS for way in paths(object_type(name))}
    assert ("layers", "position", "z") in ways
    assert ("metadata", "canvasSize", "__typename") in ways
    assert ("revisions", "nodes", "__typename") in ways
    assert len(ways) > 200
