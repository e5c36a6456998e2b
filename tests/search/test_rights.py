"""What somebody may not see is neither found nor given away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.search.conftest import SEARCH, names
from tests.search.following import copy_designs
from tests.search.test_suggestions import SUGGEST
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.graphql import execute
from tests.support.world import DELETED, OPEN, VIEWERS, WALLED, World

pytestmark = pytest.mark.anyio

COUNTED: Final = """query ($text: String!) { search(query: $text) { totalCount facets {
    catalogItems { type { count } tags { value count } } designs { status { count } tags { value count } }
} } }"""

FINDERS: Final[Mapping[str, frozenset[str]]] = {
    "zebrawood": frozenset({"owner", "admin"}),
    "quetzalia": frozenset({"owner", "admin"}),
    "okapia": frozenset({"maker", "admin"}),
    "narwhalia": frozenset(),
    "axolotlia": frozenset(),
    "published": frozenset(VIEWERS),
}
"""Who finds the words that stand in a draft, an archived design, an inactive item, what is deleted, and what is not."""


@pytest.fixture(scope="module")
async def words(worlds: Mapping[str, World]) -> None:
    world = worlds[OPEN]
    ada, stores = world.users["ada"].id, world.stores
    await create_design(stores, user_id=ada, name="Zebrawood draft")
    await create_design(stores, user_id=ada, name="Old", status="archived", metadata={"tags": ["quetzalia"]})
    await create_design(stores, user_id=ada, name="Narwhalia", status="published", deleted_at=DELETED)
    await create_catalog_item(stores, name="Okapia", is_active=False, created_by=world.users["cleo"].id)
    await create_catalog_item(stores, name="Axolotlia", deleted_at=DELETED, created_by=world.users["cleo"].id)
    await copy_designs(stores)


@pytest.mark.parametrize("word", FINDERS)
@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("world", [OPEN, WALLED], indirect=True)
async def test_who_finds_a_word(words: None, world: World, viewer: str, word: str) -> None:
    client = world.viewer(viewer)
    found = (await execute(client, SEARCH, text=word))["search"]
    mistyped = (await execute(client, SEARCH, text=word[:3] + word[4:]))["search"]
    begun = (await execute(client, SEARCH, text=word[:-1]))["search"]
    suggested = (await execute(client, SUGGEST, prefix=word[:4]))["suggest"]
    assert bool(suggested) is (viewer in FINDERS[word])
    counted = (await execute(client, COUNTED, text=word))["search"]
    items, designs = counted["facets"]["catalogItems"], counted["facets"]["designs"]
    assert counted["totalCount"] == sum(each["count"] for each in items["type"] + designs["status"])
    tagged = word in ("quetzalia", "published") and viewer in FINDERS[word]
    assert (word in [each["value"] for each in designs["tags"]]) is tagged
    if viewer not in FINDERS[word]:
        assert not any([*items.values(), *designs.values()])
    if viewer in FINDERS[word]:
        assert found["totalCount"] == len(found["edges"]) > 0
        assert mistyped["correctedQuery"] == word
        assert mistyped["edges"]
        assert begun["edges"]
        assert None not in [edge["node"] for edge in found["edges"]]
        return
    nothing: dict[str, Any] = {"edges": [], "totalCount": 0, "correctedQuery": None}
    for answer in (found, mistyped, begun):
        assert {name: answer[name] for name in nothing} == nothing


async def test_emails_and_measurements_are_no_words(words: None, world: World) -> None:
    for secret in ("ada@example.com", "example", "100"):
        assert names(await execute(world.viewer("admin"), SEARCH, text=secret)) == []
