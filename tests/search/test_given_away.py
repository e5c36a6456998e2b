"""What somebody may not see is told by no list, count, facet, suggestion, or anything that is sought for an object.

Each secret is a word that stands in one hidden object alone, in all of its texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
import orjson
import pytest

from tests.search.following import copy_designs
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.graphql import execute, gid
from tests.support.world import DELETED, OPEN, VIEWERS, WALLED, World

pytestmark = pytest.mark.anyio

INACTIVE, DELETED_ITEM, DRAFT, ARCHIVED, DELETED_DESIGN = "okapia", "axolotlia", "zebrawood", "quetzalia", "narwhalia"
PRICE, CHEST, EMAIL = "77777", "97.125", "ada@example.com"
SECRETS: Final[Mapping[str, frozenset[str]]] = {
    INACTIVE: frozenset({"maker", "admin"}),
    PRICE: frozenset({"maker", "admin"}),
    DELETED_ITEM: frozenset(),
    DRAFT: frozenset({"owner", "admin"}),
    ARCHIVED: frozenset({"owner", "admin"}),
    DELETED_DESIGN: frozenset(),
    CHEST: frozenset({"owner", "admin"}),
    EMAIL: frozenset({"owner", "admin"}),
}
"""Who is told each secret: of the inactive item that and its price, of an avatar its chest, of its owner the email."""

LOOKS: Final = ("color", "material", "texture", "patternType")
EVERYTHING: Final = (
    """{
      catalogItems(first: 50) {
        pageInfo { hasNextPage }
        totalCount
        facets {
          type { value count } category { value count } color { value count } material { value count }
          texture { value count } patternType { value count } tags { value count } isPremium { value count }
          price { min max histogram { from to count } }
        }
        nodes {
          name description type category price isPremium usage { designs users }
          properties { color material texture patternType tags }
        }
      }
    }""",
    """{
      designs(first: 50) {
        pageInfo { hasNextPage }
        totalCount
        facets { status { value count } tags { value count } }
        nodes { name status metadata { tags description } owner { email } avatar { measurements { chest } } }
      }
    }""",
    """{
      similarItems: catalogItems(first: 25) { nodes { similar(first: 10) { item { name price } reasons { values } } } }
    }""",
    "{ similarDesigns: designs(first: 25) { nodes { similar(first: 10) { design { name } reasons { values } } } } }",
    """{
      fitting: designs(first: 25) {
        nodes { avatar { fittingItems(first: 10) { size item { name } ease { chest } } } }
      }
    }""",
)
WHERE: Final[Mapping[str, str]] = {
    "CatalogItemFilter": "catalogItems(filter: $filter) { totalCount facets { type { value count } } }",
    "DesignFilter": "designs(filter: $filter) { totalCount facets { status { value count } } }",
}
SOUGHT: Final = "query ($t: String!) { search(query: $t) { totalCount correctedQuery edges { score } } }"
SUGGESTED: Final = "query ($t: String!) { suggest(prefix: $t) { text count } }"


@pytest.fixture(scope="module")
async def secrets(worlds: Mapping[str, World]) -> None:
    """The hidden objects, and others that have something in common with them."""
    world = worlds[OPEN]
    stores, ada, cleo = world.stores, world.users["ada"].id, world.users["cleo"].id
    avatar = await create_avatar(
        stores, user_id=ada, name="Worn", measurements={"chest": float(CHEST), "waist": 90.5, "hips": 99.5}
    )
    hidden = []
    items: dict[str, dict[str, Any]] = {INACTIVE: {"is_active": False}, DELETED_ITEM: {"deleted_at": DELETED}}
    for word, values in items.items():
        looks = {look: f"{look} {word}" for look in LOOKS}
        sizes = {f"size {word}": {"chest": 98.0, "waist": 91.0, "hips": 100.0}}
        properties = {**looks, "tags": [f"tag {word}", "silky"], "sizes": sizes}
        item: dict[str, Any] = {"name": word, "description": word, "properties": properties, "price": int(PRICE)}
        hidden.append((await create_catalog_item(stores, **item | {"created_by": cleo} | values)).id)
    await create_catalog_item(stores, name="shown", created_by=cleo, properties={"tags": ["silky"]})
    designs: dict[str, dict[str, Any]] = {
        DRAFT: {},
        ARCHIVED: {"status": "archived"},
        DELETED_DESIGN: {"status": "published", "deleted_at": DELETED},
    }
    for word, values in designs.items():
        design: dict[str, Any] = {"name": word, "metadata": {"tags": [f"tag {word}", "silky"], "description": word}}
        await create_design(stores, user_id=ada, avatar_id=avatar.id, **design, **values)
    # what is shown has a layer with the hidden items, and a tag of the hidden designs
    layers = [layer_of(id, id=f"layer {number}") for number, id in enumerate(hidden)]
    shown = {"name": "shown", "status": "published", "metadata": {"tags": ["silky"]}, "layers": layers}
    await create_design(stores, user_id=ada, avatar_id=avatar.id, **shown)
    await copy_designs(stores)


@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("world", [OPEN, WALLED], indirect=True)
async def test_who_is_told_a_secret(secrets: None, world: World, viewer: str) -> None:
    told = orjson.dumps(await _everything(world.viewer(viewer))).decode()

    assert {secret for secret in SECRETS if secret in told} == {
        secret for secret, those in SECRETS.items() if viewer in those
    }


@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("world", [OPEN, WALLED], indirect=True)
async def test_facets_count_what_is_listed(secrets: None, world: World, viewer: str) -> None:
    data = await _everything(world.viewer(viewer))

    items, designs = data["catalogItems"], data["designs"]
    assert not items["pageInfo"]["hasNextPage"] | designs["pageInfo"]["hasNextPage"]
    assert [items["totalCount"], designs["totalCount"]] == [len(items["nodes"]), len(designs["nodes"])]
    looks = {look: Counter((each["properties"] or {}).get(look) for each in items["nodes"]) for look in LOOKS}
    listed = {name: Counter(each[name] for each in items["nodes"]) for name in ("type", "category", "isPremium")}
    tags = Counter(tag for each in items["nodes"] for tag in set((each["properties"] or {}).get("tags") or ()))
    prices = [each["price"] for each in items["nodes"]]
    facets = items["facets"]
    assert {name: _counted(facets[name]) for name in (*LOOKS, *listed, "tags")} == {**looks, **listed, "tags": tags}
    assert [facets["price"]["min"], facets["price"]["max"]] == [min(prices), max(prices)]
    assert sum(each["count"] for each in facets["price"]["histogram"]) == len(prices)
    of_designs = Counter(tag for each in designs["nodes"] for tag in (each["metadata"] or {}).get("tags") or ())
    assert _counted(designs["facets"]["tags"]) == of_designs
    assert _counted(designs["facets"]["status"]) == Counter(each["status"] for each in designs["nodes"])


async def _everything(client: httpx.AsyncClient) -> dict[str, Any]:
    return {name: value for query in EVERYTHING for name, value in (await execute(client, query)).items()}


@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("world", [OPEN, WALLED], indirect=True)
async def test_who_finds_by_a_secret(secrets: None, world: World, viewer: str) -> None:
    """By the filters that lists have, by a search for the word or for what is mistyped, and by suggestions."""
    for word in (INACTIVE, DELETED_ITEM, DRAFT, ARCHIVED, DELETED_DESIGN):
        found = {name: answer async for name, answer in _asked_for(world.viewer(viewer), word)}
        assert set(found.values()) == {viewer in SECRETS[word]}, found


async def _asked_for(client: httpx.AsyncClient, word: str) -> Any:
    """Whether anything is told, by what was asked."""
    for kind, chosen in _filters(word):
        query = f"query ($filter: {kind}) {{ {WHERE[kind]} }}"
        ((_, found),) = (await execute(client, query, filter=chosen)).items()
        facet = next(iter(found["facets"].values()))
        assert bool(facet) is bool(found["totalCount"])
        yield f"{kind} {chosen}", found["totalCount"] > 0
    for text in (word, word[:-1], word[:3] + word[4:], f'"{word}"'):
        found = (await execute(client, SOUGHT, t=text))["search"]
        assert bool(found["edges"]) is bool(found["totalCount"])
        assert found["edges"] or found["correctedQuery"] is None
        yield f"search {text}", found["totalCount"] > 0
    yield "suggest", (await execute(client, SUGGESTED, t=word[:4]))["suggest"] != []


def _filters(word: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if word not in (INACTIVE, DELETED_ITEM):
        yield "DesignFilter", {"name": {"contains": word}}
        yield "DesignFilter", {"tags": {"any": [f"tag {word}"]}}
        return
    yield "CatalogItemFilter", {"name": {"contains": word}}
    yield "CatalogItemFilter", {"tags": {"any": [f"tag {word}"]}}
    for look in LOOKS:
        yield "CatalogItemFilter", {look: {"equals": f"{look} {word}"}}


@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("world", [OPEN, WALLED], indirect=True)
async def test_nobody_finds_by_an_email_or_a_measure(secrets: None, world: World, viewer: str) -> None:
    client = world.viewer(viewer)

    for secret in (EMAIL, "example.com", CHEST, "97", "125"):
        found = (await execute(client, SOUGHT, t=secret))["search"]
        assert found == {"totalCount": 0, "correctedQuery": None, "edges": []}
        assert (await execute(client, SUGGESTED, t=secret))["suggest"] == []


@pytest.mark.parametrize("viewer", VIEWERS)
@pytest.mark.parametrize("world", [OPEN, WALLED], indirect=True)
async def test_who_is_told_how_much_an_item_is_used(secrets: None, world: World, viewer: str) -> None:
    query = "query ($id: ID!) { catalogItem(id: $id) { usage { designs users } } }"

    item = (await execute(world.viewer(viewer), query, id=gid(world.items["plain"])))["catalogItem"]

    assert (item["usage"] is not None) is (viewer in ("maker", "admin"))


def _counted(values: Any) -> Counter[Any]:
    return Counter({each["value"]: each["count"] for each in values})
