"""Where the words of a query stand in what was found."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.stores.stores import Stores
from tests.search.following import copy_designs
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.graphql import execute, sent

pytestmark = pytest.mark.anyio

HIGHLIGHTS = """
    query ($text: String!) {
      search(query: $text) { edges { highlights { field text ranges { start end } } } }
    }
"""


def sliced(text: str, start: int, end: int) -> str:
    """A part of a text as JavaScript slices it."""
    return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")


async def marked(client: httpx.AsyncClient, text: str) -> list[list[tuple[str, list[str]]]]:
    """Of each object that is found: its fields with highlights, and the parts that are highlighted."""
    edges: list[Any] = (await execute(client, HIGHLIGHTS, text=text))["search"]["edges"]
    return [
        [
            (each["field"], [sliced(each["text"], part["start"], part["end"]) for part in each["ranges"]])
            for each in edge["highlights"]
        ]
        for edge in edges
    ]


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("dresses", [("NAME", ["Dresses"]), ("DESCRIPTION", ["dress", "DRESS"])]),
        ("dre", [("NAME", ["Dresses"]), ("DESCRIPTION", ["dress", "DRESS"])]),
        ("strasse", [("DESCRIPTION", ["Straße"])]),
        ("STRASSEN dress", [("NAME", ["Dresses"]), ("DESCRIPTION", ["dress", "Straßen", "DRESS"])]),
        ("crepe", [("MATERIAL", ["crêpe"]), ("TAGS", ["Crépe"])]),
        ("drses ", [("NAME", ["Dresses"]), ("DESCRIPTION", ["dress", "DRESS"])]),
        ("blue", [("COLOR", ["navy"])]),
        ('"silk scarf"', [("DESCRIPTION", ["silk", "scarf"])]),
        ('"king of silk"', [("DESCRIPTION", ["king", "of", "silk"])]),
        ("scarf -wool", [("DESCRIPTION", ["scarf"])]),
        ("naive", [("TAGS", ["nai\u0308ve"])]),
        ("اسود", [("TAGS", ["اسود"])]),
        ("the dress", [("NAME", ["Dresses"]), ("DESCRIPTION", ["dress", "DRESS"])]),
    ],
)
async def test_words_are_marked_as_they_stand(
    client: httpx.AsyncClient, stores: Stores, typed: str, parts: list[tuple[str, list[str]]]
) -> None:
    text = "👗 A dress for the king of silk, 🧵🧵 any Straße (Straßen), a navy of ships; silk scarf. DRESS"
    # of a phrase, and of words that are stemmed alike, all stand there
    if typed == "STRASSEN dress":
        text = text.replace("Straße (Straßen)", "Straßen")
    elif typed == "strasse":
        text = text.replace(" (Straßen)", "")
    await create_catalog_item(
        stores,
        name="Dresses",
        description=text,
        properties={"color": "navy", "material": "crêpe", "tags": ["Crépe", "nai\u0308ve", "اسود", 7]},
    )
    assert await marked(client, typed) == [parts]


async def test_designs_items_and_all_in_two_more_statements(
    client: httpx.AsyncClient, app: Any, stores: Stores
) -> None:
    for number in range(3):
        await create_catalog_item(stores, name=f"Velvet {number}")
    await create_design(
        stores, name="Evening", status="published", metadata={"tags": ["crushed velvet"], "description": "In Velvet"}
    )
    await copy_designs(stores)
    with sent(app) as costs:
        parts = await marked(client, "velvet")
    assert sorted(parts) == [[("NAME", ["Velvet"])]] * 3 + [[("TAGS", ["velvet"]), ("DESCRIPTION", ["Velvet"])]]
    assert (len(costs.sql), costs.mongo) == (3, 0)


async def test_only_the_beginning_of_a_long_text_is_looked_through(client: httpx.AsyncClient, stores: Stores) -> None:
    await create_catalog_item(stores, name="Felt", description="x " * 2500 + "velvet")
    assert await marked(client, "velvet") == [[]]
