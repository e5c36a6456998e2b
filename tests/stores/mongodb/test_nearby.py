"""MongoDB's read preference is for queries, and what somebody has written is waited for by cluster time.

SecantusDB is a replica set of one member, so what is tested is what is sent, and what is done where it fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from bson import Timestamp
from pydantic import SecretStr
from pymongo import AsyncMongoClient, message

from api.config.settings import Settings
from api.embedded.servers import embedded_stores
from api.stores.mongodb.nearby import nearby_database
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.factories.designs import create_design
from tests.support.graphql import gid
from tests.support.signing_in import signed_in
from tests.support.stores.folders import throwaway_folder

pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

TOKEN = "x-consistency-token"
DESIGN = "query ($id: ID!) { design(id: $id) { name } }"
UPDATE = """
    mutation ($input: UpdateDesignInput!) { updateDesign(input: $input) { design { name } errors { code message } } }
"""


@pytest.fixture(scope="module")
def mongodb() -> Iterator[str]:
    """The URI of a SecantusDB as a replica set."""
    with throwaway_folder() as folder:
        arguments = ("--cache-size", "64M", "--log-level", "WARNING", "--enable-test-commands")
        with embedded_stores(folder, postgres=False, durable=False, secantus_args=arguments) as stores:
            assert stores.mongodb_uri is not None
            yield stores.mongodb_uri.partition("?")[0]


@pytest.fixture
def replicated(settings: Settings, mongodb: str, clean_stores: None) -> Settings:
    uri = SecretStr(f"{mongodb}?readPreference=secondaryPreferred&readPreferenceTags=dc:here&maxStalenessSeconds=120")
    return settings.model_copy(update={"mongodb_uri": uri})


class Sent:
    """The commands that were sent, as they were written for the server."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[dict[str, Any]] = []
        write = message._op_msg

        def written(flags: int, command: Any, *others: Any, **named: Any) -> Any:
            content = write(flags, command, *others, **named)
            self.commands.append(dict(command))
            return content

        monkeypatch.setattr(message, "_op_msg", written)

    def taken(self) -> list[tuple[str, Any, Any]]:
        """Name, read preference and read concern of each since the last time."""
        taken, self.commands = self.commands, []
        found = [(next(iter(each)), each.get("$readPreference"), each.get("readConcern")) for each in taken]
        # the driver's and the product's looks at the server come when they like
        return [each for each in found if each[0] not in ("hello", "ismaster", "ping")]


@pytest.fixture
async def observed(
    replicated: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Stores, httpx.AsyncClient, Sent]]:
    sent = Sent(monkeypatch)
    async with running(replicated) as (app, client):
        yield app.state.stores, client, sent


async def name_of(client: httpx.AsyncClient, id: str, token: str | None = None) -> str:
    headers = {} if token is None else {TOKEN: token}
    response = await client.post("/graphql", json={"query": DESIGN, "variables": {"id": id}}, headers=headers)
    name: str = response.json()["data"]["design"]["name"]
    return name


PREFERRED = {"mode": "secondaryPreferred", "tags": [{"dc": "here"}], "maxStalenessSeconds": 120}


async def test_queries_prefer_and_follow_writers(observed: tuple[Stores, httpx.AsyncClient, Sent]) -> None:
    stores, client, sent = observed
    mine, user = await signed_in(client, stores)
    design = await create_design(stores, user_id=user.id, name="before", status="published")
    sent.taken()
    assert await name_of(client, gid(design)) == "before"
    assert sent.taken() == [("find", PREFERRED, None)]

    variables = {"input": {"id": gid(design), "name": "after", "expectedVersion": design.version}}
    written = await mine.post("/graphql", json={"query": UPDATE, "variables": variables})
    assert written.json()["data"]["updateDesign"] == {"design": {"name": "after"}, "errors": []}
    of_mutation = sent.taken()
    assert "find" in {name for name, _, _ in of_mutation}
    assert all(preference is None and not concern for _, preference, concern in of_mutation)

    position = await stores.position()
    token = written.headers[TOKEN]
    for reader, own in ((client, token), (mine, None)):
        assert await name_of(reader, gid(design), own) == "after"
        ((name, preference, concern),) = sent.taken()
        assert (name, preference, concern["level"]) == ("find", PREFERRED, "local")
        after = concern["afterClusterTime"]
        assert Timestamp(0, 0) < after <= Timestamp(position.cluster_time >> 32, position.cluster_time & 0xFFFFFFFF)
    assert await name_of(client, gid(design)) == "after"
    assert sent.taken() == [("find", PREFERRED, None)]


@pytest.mark.parametrize(
    "failure", [{"errorCode": 72}, {"blockConnection": True, "blockTimeMS": 20_000}, {"closeConnection": True}]
)
async def test_what_fails_is_read_from_the_primary(
    observed: tuple[Stores, httpx.AsyncClient, Sent], failure: dict[str, Any], mongodb: str
) -> None:
    """A member that doesn't know the time yet, one that is too far behind, and one that goes away."""
    stores, client, sent = observed
    mine, user = await signed_in(client, stores)
    design = await create_design(stores, user_id=user.id, name="before", status="published")
    variables = {"input": {"id": gid(design), "name": "after", "expectedVersion": design.version}}
    written = await mine.post("/graphql", json={"query": UPDATE, "variables": variables})
    assert await name_of(client, gid(design), written.headers[TOKEN]) == "after"  # a connection is there
    sent.taken()
    data = {"failCommands": ["find"], **failure}
    async with AsyncMongoClient[dict[str, Any]](mongodb) as admin:
        await admin.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=data)
        try:
            assert await name_of(client, gid(design), written.headers[TOKEN]) == "after"
        finally:
            await admin.admin.command("configureFailPoint", "failCommand", mode="off")
    finds = [each for each in sent.taken() if each[0] == "find"]
    assert finds[-1] == ("find", None, None)
    assert finds[0][1] == PREFERRED


@pytest.mark.parametrize(
    ("query", "setting", "mode"),
    [
        ("", None, None),
        ("", "primary", None),
        ("?readPreference=nearest", "primary", None),
        ("?readPreference=secondary", None, "secondaryPreferred"),
        ("?readPreference=primaryPreferred", None, "primaryPreferred"),
        ("", "nearest", "nearest"),
        ("?readPreference=primary", "secondaryPreferred", "secondaryPreferred"),
    ],
)
async def test_which_preference_holds(settings: Settings, query: str, setting: str | None, mode: str | None) -> None:
    changed = settings.model_copy(update={"mongodb_read_preference": setting})
    async with AsyncMongoClient[dict[str, Any]](f"mongodb://127.0.0.1:1/{query}", connect=False) as client:
        found = nearby_database(changed, client, client["any"])
    assert (None if found is None else found.read_preference.mongos_mode) == mode


async def test_without_a_preference_there_are_no_tokens(settings: Settings, clean_stores: None) -> None:
    async with running(settings) as (app, client):
        assert not app.state.stores.follows_writers
        mine, user = await signed_in(client, app.state.stores)
        design = await create_design(app.state.stores, user_id=user.id, name="before")
        variables = {"input": {"id": gid(design), "name": "after", "expectedVersion": design.version}}
        written = await mine.post("/graphql", json={"query": UPDATE, "variables": variables})
        assert written.json()["data"]["updateDesign"]["errors"] == []
        assert TOKEN not in written.headers
