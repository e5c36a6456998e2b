"""What a search finds among catalog items."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.stores.stores import Stores
from tests.search.conftest import SEARCH, Search, names
from tests.support.factories.catalog import catalog_items, create_catalog_item
from tests.support.graphql import error_of, execute

pytestmark = pytest.mark.anyio


async def items(stores: Stores, *given: dict[str, Any]) -> None:
    for values in given:
        await create_catalog_item(stores, **values)


@pytest.mark.parametrize(
    "query",
    [
        "midi dress",
        "dress midi",
        "DRESSES",
        "mid",
        "summer dress",
        "crepe",
        "CRÊPE dress",
        "ısparta",
        "istanbul",
        "strasse",
        "Straße",
        "rose silk",
        '"midi dress"',
        "dress -wool",
        "-wool dress",
        "dress 👗 %%% :* &|!",
        "dress\0",
    ],
)
async def test_how_a_dress_is_found(stores: Stores, search: Search, query: str) -> None:
    await items(
        stores,
        {
            "name": "Midi dress",
            "description": "For the summer, in crêpe; worn in İstanbul, Isparta and any Straße",
            "properties": {"color": "rose", "material": "silk", "tags": ["airy"]},
        },
        {"name": "Felt", "properties": {"material": "wool"}},
    )
    assert await search(query) == ["Midi dress"]


@pytest.mark.parametrize(
    "query",
    ['"dress midi"', "dress wool", "idi", "dress -summer", "the", "&|!", "-wool", "👗", "🧵" * 500, "<>" * 1000],
)
async def test_what_does_not_find_it(stores: Stores, search: Search, query: str) -> None:
    await items(stores, {"name": "Midi dress", "description": "For the summer"}, {"name": "Felt"})
    assert await search(query) == []


async def test_names_come_before_properties_tags_and_descriptions(stores: Stores, search: Search) -> None:
    await items(
        stores,
        {"name": "D", "description": "with silk"},
        {"name": "T", "properties": {"tags": ["silk"]}},
        {"name": "P", "properties": {"material": "silk"}},
        {"name": "Silk"},
    )
    assert await search("silk") == ["Silk", "P", "T", "D"]


async def test_what_is_exact_comes_before_what_is_only_begun(stores: Stores, search: Search) -> None:
    await items(stores, {"name": "Linens"}, {"name": "Lining"}, {"name": "Lin"})
    assert (await search("lin"))[0] == "Lin"
    assert sorted(await search("lin")) == ["Lin", "Linens", "Lining"]
    assert await search("lin ") == ["Lin"]


@pytest.mark.parametrize(
    ("typed", "better"),
    [
        ("sumer dres", "summer dress"),
        ("pinstrpe", "pinstripe"),
        ("pnistripe", "pinstripe"),
        ("pinnstripe", "pinstripe"),
        ("pimstripe", "pinstripe"),
        ("pinstirpw", "pinstripe"),
        ("pin stripe", "pinstripe"),
        ("softwool", "soft wool"),
        ("dres -silk", "dress -silk"),
        ("CREPPE", "crepe"),
    ],
)
async def test_mistyped(client: httpx.AsyncClient, stores: Stores, typed: str, better: str) -> None:
    await items(
        stores,
        {"name": "Summer dress"},
        {"name": "Pinstripe"},
        {"name": "Soft wool"},
        {"name": "Crêpe"},
        {"name": "Silken dress", "properties": {"material": "silk"}},
    )
    data = await execute(client, SEARCH, text=typed)
    assert data["search"]["correctedQuery"] == better
    assert names(data) == names(await execute(client, SEARCH, text=better + " "))
    assert len(names(data)) == 1


@pytest.mark.parametrize("typed", ["slk", "sulky", "pnistrrrpe", "wol", "xyzzy"])
async def test_too_far_from_every_word(client: httpx.AsyncClient, stores: Stores, typed: str) -> None:
    await items(stores, {"name": "Silk"}, {"name": "Pinstripe"}, {"name": "Wool"})
    data = await execute(client, SEARCH, text=typed)
    assert data["search"]["correctedQuery"] is None
    assert names(data) == []


async def test_a_word_that_there_is_stays(client: httpx.AsyncClient, stores: Stores) -> None:
    await items(stores, {"name": "Form"}, *({"name": f"From {number}"} for number in range(3)))
    data = await execute(client, SEARCH, text="form ")
    assert (names(data), data["search"]["correctedQuery"]) == (["Form"], None)
    # two words that there are, in no item together
    await items(stores, {"name": "Farm"})
    data = await execute(client, SEARCH, text="form farm")
    assert (names(data), data["search"]["correctedQuery"]) == ([], None)


async def test_of_words_as_close_the_more_frequent_is_meant(client: httpx.AsyncClient, stores: Stores) -> None:
    await items(stores, {"name": "Mauve"}, {"name": "Maude"}, {"name": "Maude too"})
    data = await execute(client, SEARCH, text="maube")
    assert data["search"]["correctedQuery"] == "maude"


@pytest.mark.parametrize(
    ("typed", "better"),
    [
        ("cips", "chips"),
        ("evey", "every"),
        ("doble", "double"),
        ("fuschia", "fuchsia"),
        ("folowws", "follows"),
        ("shepard", "shepherd"),
    ],
)
async def test_of_words_as_close_the_likelier_is_meant(
    client: httpx.AsyncClient, stores: Stores, typed: str, better: str
) -> None:
    await items(stores, {"name": "Chips follows every double fuchsia shepherd"})
    await items(stores, *({"name": f"Hips fall even lobed {number}"} for number in range(2)))
    data = await execute(client, SEARCH, text=typed)
    assert data["search"]["correctedQuery"] == better


@pytest.mark.parametrize("typed", ["gental", "fallen"])
async def test_two_edits_need_eight_letters(client: httpx.AsyncClient, stores: Stores, typed: str) -> None:
    await items(stores, {"name": "Gentle"}, {"name": "Falling"})
    data = await execute(client, SEARCH, text=typed)
    assert data["search"]["correctedQuery"] is None


async def test_pages_are_the_whole(client: httpx.AsyncClient, stores: Stores) -> None:
    await items(
        stores,
        *({"name": "Silk", "description": "silk " * (number % 4)} for number in range(13)),
        {"name": "Felt"},
    )
    whole = (await execute(client, SEARCH, text="silk", first=100))["search"]
    assert len(whole["edges"]) == whole["totalCount"] == 13
    assert whole["pageInfo"]["hasNextPage"] is False
    for size in (1, 3, 13):
        found: list[Any] = []
        after = None
        while True:
            page = (await execute(client, SEARCH, text="silk", first=size, after=after))["search"]
            found += page["edges"]
            assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
            assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
            assert page["pageInfo"]["endCursor"] == page["edges"][-1]["cursor"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert found == whole["edges"]
    assert (await execute(client, SEARCH, text="silk", first=0))["search"]["edges"] == []


async def test_pages_of_a_corrected_query(client: httpx.AsyncClient, stores: Stores) -> None:
    await items(stores, {"name": "Silk one"}, {"name": "Silk two"})
    first = (await execute(client, SEARCH, text="slik", first=1))["search"]
    second = (await execute(client, SEARCH, text="slik", first=1, after=first["pageInfo"]["endCursor"]))["search"]
    assert first["correctedQuery"] == second["correctedQuery"] == "silk"
    assert {*(edge["node"]["name"] for edge in first["edges"] + second["edges"])} == {"Silk one", "Silk two"}
    last = (await execute(client, SEARCH, text="slik", first=1, after=second["pageInfo"]["endCursor"]))["search"]
    assert (last["edges"], last["pageInfo"]["hasNextPage"]) == ([], False)


async def test_bad_input(client: httpx.AsyncClient, stores: Stores) -> None:
    await items(stores, {"name": "Silk"})
    cursor = (await execute(client, SEARCH, text="silk"))["search"]["pageInfo"]["endCursor"]
    for query in ("", "  ", "x" * 2001):
        assert (await error_of(client, SEARCH, text=query))[0] == "BAD_USER_INPUT"
    for first in (-1, 101):
        assert (await error_of(client, SEARCH, text="silk", first=first))[0] == "BAD_USER_INPUT"
    for after in ("", "x", cursor[:-4], "W10=", "WzEsMiwzLDRd"):
        assert (await error_of(client, SEARCH, text="silk", after=after))[0] == "BAD_CURSOR"
    assert (await error_of(client, SEARCH, text="wool", after=cursor))[0] == "BAD_CURSOR"
    assert (await error_of(client, SEARCH, text="silk", types=["DESIGN"], after=cursor))[0] == "BAD_CURSOR"


async def test_types(stores: Stores, search: Search) -> None:
    await items(stores, {"name": "Silk"})
    assert await search("silk", types=["CATALOG_ITEM"]) == ["Silk"]
    assert await search("silk", types=["DESIGN"]) == []
    assert await search("silk", types=[]) == []


async def test_an_item_is_found_as_it_is_now(stores: Stores, search: Search) -> None:
    item = await create_catalog_item(stores, name="Silk")
    await catalog_items(stores).update(item.id, {"name": "Wool"})
    assert await search("silk ") == []
    assert await search("wool") == ["Wool"]
    await catalog_items(stores).delete(item.id)
    assert await search("wool") == []


@pytest.mark.parametrize(
    "properties", [{"color": 1, "tags": "silk"}, {"tags": [1, None, ["silk"], "felt"]}, {"material": {"silk": "silk"}}]
)
async def test_odd_properties(stores: Stores, search: Search, properties: dict[str, Any]) -> None:
    await items(stores, {"name": "Odd", "properties": properties})
    assert await search("odd") == ["Odd"]
    assert await search("silk") == []


async def test_a_colour_stands_for_its_shades(stores: Stores, search: Search) -> None:
    await items(
        stores,
        {"name": "Blue", "properties": {"color": "blue"}},
        {"name": "Dark", "properties": {"color": "navy"}},
        {"name": "Light", "properties": {"color": "sky blue"}},
        {"name": "Ruby", "description": "A navy of ships, and teal in a text", "properties": {"color": "ruby"}},
    )
    assert (await search("blue"))[0] == "Blue"
    assert sorted(await search("blue")) == ["Blue", "Dark", "Light"]
    assert sorted(await search("navy")) == ["Dark", "Ruby"]
    assert await search("red") == ["Ruby"]
