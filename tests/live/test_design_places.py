"""Which places in the changes of designs a process takes: those of its collection, as far as the server knows them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from api.config.settings import Settings
from api.live.designs import Designs
from api.live.source import PlaceGone
from api.stores.stores import Stores
from tests.live.conftest import READING
from tests.support.applications import listening, running
from tests.support.factories.designs import create_design, designs
from tests.support.graphql import gid
from tests.support.live import DESIGNS, StreamEnded, followed, place_of, refusal, streamed, token_of
from tests.support.requests.sockets import socket
from tests.support.stores.unindexed import make_collections

pytestmark = pytest.mark.anyio


async def test_the_server_is_asked_for_the_collection_before_it_is_read(stores: Stores, way: str) -> None:
    """Also where the reader has not noticed yet that another server answers."""
    source = Designs(stores)
    place = await source.begin()
    elsewhere = replace(place, collection="0" * 32)

    with pytest.raises(PlaceGone):
        await anext(source.read(elsewhere))
    with pytest.raises(PlaceGone):
        await source.page(elsewhere, elsewhere)
    with pytest.raises(PlaceGone):
        await source.count(elsewhere, elsewhere, 1)
    assert await source.count(place, place, 1) == 0


async def token_of_start(port: int) -> str:
    async with socket(port) as opened:
        await opened.begin()
        await opened.subscribe("started", DESIGNS)
        token: str = (await opened.receive())["payload"]["data"]["designsChanged"]["resumeToken"]
        return token


async def make_anew(stores: Stores) -> None:
    for name in ("designs", "designs_elsewhere"):
        await stores.database.drop_collection(name)
    await make_collections(stores.database)


@pytest.fixture
async def made_anew(stores: Stores, anyio_backend: str) -> AsyncIterator[None]:
    """For tests that take the collection away: it is made again, with the index that other tests need."""
    yield
    await make_anew(stores)


async def test_a_place_that_the_server_does_not_know_has_expired(port: int, stores: Stores, way: str) -> None:
    """Also one of a server that is followed in another way."""
    async with followed(port, DESIGNS) as events:
        await create_design(stores, status="published")
        fingerprint, place = place_of((await events.next())["resumeToken"])
    id = place[0]
    streamed_place = [id, 1_700_000_000, 1, 1, "8265f0a7c1000000012b0229296e04"]
    most = base64.b64encode(bytes(6 + 64 * 10)).decode()
    read_places = [[id, "read", 2**48 - 1, "A" * 8], [id, "read", 1_700_000_000_000, most]]
    places = [streamed_place] if way == READING else [streamed_place, *read_places]

    for each in places:
        assert await refusal(port, DESIGNS, after=token_of(fingerprint, each)) == "RESUME_TOKEN_EXPIRED"
    odds: tuple[Any, ...] = (
        [*place, 1],
        ["no id", *place[1:]],
        [id.upper() + "F", *place[1:]],
        [id],
        [],
        {},
        "read",
        [id, 0, 0, 0, None],
        [id, 1, 1, 1, "x" * 3000],
        [id, "read", 1, "AAAA"],
        [id, "read", -1, "A" * 8],
        [id, "read", 2**48, "A" * 8],
        [id, "read", 1, ""],
        [id, "read", 1, base64.b64encode(bytes(6 + 9)).decode()],
        [id, "read", 1, base64.b64encode(bytes(6 + 65 * 10)).decode()],
        [id, 1.5, 1, 1, None],
    )
    for odd in odds:
        assert await refusal(port, DESIGNS, after=token_of(fingerprint, odd)) == "BAD_USER_INPUT"


async def test_a_place_in_another_collection_has_expired(
    settings: Settings, port: int, stores: Stores, made_anew: None, way: str
) -> None:
    """Also where nobody has followed yet, and where the same place of this collection is kept."""
    start = await token_of_start(port)
    async with followed(port, DESIGNS) as events:
        await create_design(stores, status="published")
        event = (await events.next())["resumeToken"]
    await make_anew(stores)

    async with running(settings) as (app, _), listening(app) as other:
        assert [await refusal(other, DESIGNS, after=each) for each in (start, event)] == ["RESUME_TOKEN_EXPIRED"] * 2
    async with followed(port, DESIGNS) as events:
        design = await create_design(stores, status="published")
        told = await events.next()
        assert told["designId"] == gid(design)
        fingerprint, here = place_of(told["resumeToken"])
        elsewhere = [place_of(event)[1][0], *here[1:]]
        assert len(here[0]) == 32
        for old in (start, event, token_of(fingerprint, elsewhere)):
            assert await refusal(port, DESIGNS, after=old) == "RESUME_TOKEN_EXPIRED"


async def test_a_token_from_before_it_named_its_collection_has_expired(port: int, stores: Stores, way: str) -> None:
    async with followed(port, DESIGNS) as events:
        await create_design(stores, status="published")
        fingerprint, place = place_of((await events.next())["resumeToken"])

        assert await refusal(port, DESIGNS, after=token_of(fingerprint, place[1:])) == "RESUME_TOKEN_EXPIRED"


@pytest.mark.parametrize("ending", ["drop", "rename", "another one"])
async def test_a_collection_that_goes_away_ends_those_who_follow(
    port: int, stores: Stores, made_anew: None, way: str, ending: str, request: pytest.FixtureRequest
) -> None:
    if ending == "rename" and request.config.getoption("--mongodb") == "documentdb":
        pytest.skip("this server can't rename")
    collection = designs(stores).collection
    await create_design(stores, status="published")
    async with followed(port, DESIGNS) as events, streamed(port, DESIGNS) as stream:
        assert (await anext(stream))["kind"] == "STARTED"
        if ending == "rename":
            await collection.rename("designs_elsewhere")
        else:
            await collection.drop()
        if ending == "another one":
            await make_collections(stores.database)
            await create_design(stores, status="published")
        message = await events.socket.receive()
        with pytest.raises(StreamEnded) as ended:
            await anext(stream)

        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "RESUME_TOKEN_EXPIRED")
        assert ended.value.code == "RESUME_TOKEN_EXPIRED"
        async with followed(port, DESIGNS) as again:
            design = await create_design(stores, status="published")
            assert (await again.next())["designId"] == gid(design)
