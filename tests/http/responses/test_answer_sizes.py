"""MAX_RESPONSE_SIZE: answers end where they get too large, before they are written out."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest

from api.admission.refusals import CAP
from api.config.settings import Settings
from api.http.responses.answer import Answer
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import respond

pytestmark = pytest.mark.anyio

MAXIMUM: Final = 10 * 1024 * 1024
EMOJI: Final = "\N{DRESS}" * 10_000
_LEAVES: Final = " ".join(f"d{number}: description" for number in range(24))
AMPLIFYING: Final = (
    f"{{ designs(first: 20) {{ nodes {{ metadata {{ {_LEAVES} }}"
    f" owner {{ designs(first: 20) {{ nodes {{ metadata {{ {_LEAVES} }} }} }} }} }} }} }}"
)
"""48 aliases at two levels of 20 designs each: 400 million bytes of designs that are executed once."""


async def _designs(stores: Stores, description: str) -> None:
    owner = await create_user(stores)
    for _ in range(20):
        await create_design(
            stores, user_id=owner.id, name="Large", status="published", metadata={"description": description}
        )


def _refused(body: Any) -> tuple[int, int]:
    """The maximum and the value of a refusal, which is all of the answer."""
    (error,) = body["errors"]
    extensions = error["extensions"]
    assert "data" not in body
    assert (extensions["code"], extensions["limit"]) == ("TOO_COMPLEX", "MAX_RESPONSE_SIZE")
    assert error["message"] == f"The answer is too large: {extensions['value']}, at most {extensions['maximum']}."
    return extensions["maximum"], extensions["value"]


async def test_what_shared_objects_make_large_ends_early(
    settings: Settings, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _designs(stores, EMOJI)
    written: list[int] = []

    content = Answer.content

    def counted(answer: Answer) -> bytes:
        written.append(len(content(answer)))
        return content(answer)

    monkeypatch.setattr(Answer, "content", counted)
    assert len(AMPLIFYING) < 954
    async with running(settings) as (_, client):
        by_cost = await respond(client, AMPLIFYING)
    async with running(settings, max_cost=CAP) as (_, client):
        body = await respond(client, AMPLIFYING)
        batch = await respond_to_all(client, [AMPLIFYING] * 3)

    assert by_cost["errors"][0]["extensions"]["limit"] == "MAX_COST"
    maximum, value = _refused(body)
    assert maximum == MAXIMUM
    assert MAXIMUM < value < 2 * MAXIMUM  # not the 393 million of the answer
    assert [_refused(each)[0] for each in batch] == [MAXIMUM] * 3
    assert max(written) < 1000


async def test_an_answer_of_the_size_is_whole_and_one_byte_more_is_none(settings: Settings, stores: Stores) -> None:
    await create_catalog_item(stores, description="d" * 3000, is_active=True)
    await create_catalog_item(stores, description="\x01" * 1500, is_active=True)  # six bytes each, once written
    query = "{ catalogItems { nodes { description } } }"
    async with running(settings) as (_, client):
        whole = (await client.post("/graphql", json={"query": query})).content
        exact = len(whole)
    async with running(settings, max_response_size=exact) as (_, client):
        assert (await client.post("/graphql", json={"query": query})).content == whole
        # each fits, both together don't: what is escaped shows when they are written
        batch = await respond_to_all(client, [query, query])
    async with running(settings, max_response_size=exact - 1) as (_, client):
        body = await respond(client, query)
    assert _refused(body) == (exact - 1, exact)
    assert _refused(batch) == (exact, 2 * exact + 3)


async def respond_to_all(client: httpx.AsyncClient, queries: list[str]) -> Any:
    """The body of the answer to a batch."""
    return (await client.post("/graphql", json=[{"query": query} for query in queries])).json()


async def test_texts_cost_by_their_size_and_leaves_count(settings: Settings, stores: Stores) -> None:
    for size in (10_000, 9_000, 999):
        await create_catalog_item(stores, description="d" * size, is_active=True)
    leaves = " ".join(f"a{number}: name" for number in range(10))
    async with running(settings, max_cost=CAP, report_cost=True) as (_, client):
        texts = await respond(client, "{ catalogItems(first: 3) { nodes { description } } }")
        many = await respond(client, f"{{ catalogItems(first: 3) {{ nodes {{ {leaves} }} }} }}")
        nine = [" ".join(f"{letter}{number}: color" for number in range(9)) for letter in "ab"]
        merged = await respond(
            client,
            f"{{ catalogItems(first: 3) {{ nodes {{ properties {{ {nine[0]} }} properties {{ {nine[1]} }} }} }} }}",
        )
    assert texts["extensions"]["cost"] == {"requested": 2 + 3 * 2, "actual": 2 + 3 + 1}
    assert many["extensions"]["cost"] == {"requested": 2 + 3 * 2, "actual": 2 + 3 * 2}
    assert merged["extensions"]["cost"] == {"requested": 2 + 3, "actual": 2 + 3}
