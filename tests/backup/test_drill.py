"""The drill: both stores are destroyed, and what was acknowledged before the backup began
is there again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyrage
import pytest
from pydantic import SecretStr

from api.backup.saving import save
from api.config.settings import Settings
from api.reconcile.run import reconcile
from tests.search.following import eventually
from tests.support.applications import listening, running
from tests.support.backups import untold
from tests.support.graphql import execute, respond
from tests.support.live import CHANGES, DESIGNS, StreamEnded, streamed
from tests.support.servers import ended, environment, migrated_stores_beside_others, throwaway_stores
from tests.support.signing_in import signed_in, with_token

WRITE = """mutation ($item: CreateCatalogItemInput!, $avatar: CreateAvatarInput!) {
  createCatalogItem(input: $item) { catalogItem { id } errors { code } }
  createAvatar(input: $avatar) { avatar { id } errors { code } }
}"""
DESIGN = "mutation ($input: CreateDesignInput!) { createDesign(input: $input) { design { id } errors { code } } }"
RENAME = "mutation ($input: UpdateDesignInput!) { updateDesign(input: $input) { design { version } errors { code } } }"
READ = """query ($id: ID!) { design(id: $id) {
  name version avatar { id } layers { catalogItem { id } } revisions(first: 5) { nodes { version } } } }"""
SEARCH = "query ($text: String!) { search(query: $text, first: 5) { edges { node { ... on Design { id } } } } }"


@dataclass
class Ledger:
    """What a client was told: its designs with the versions that they had, by name, and its last resume tokens."""

    designs: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    token: str = ""
    design_token: str = ""

    async def write(self, client: httpx.AsyncClient, name: str) -> None:
        """An item, an avatar, and a design of them in its second version."""
        item = {"name": f"Item {name}", "type": "FABRIC"}
        rows = await execute(client, WRITE, item=item, avatar={"name": f"Avatar {name}"})
        made = rows["createCatalogItem"]["catalogItem"]["id"], rows["createAvatar"]["avatar"]["id"]
        given = {
            "name": f"Draft {name}",
            "avatarId": made[1],
            "layers": [{"type": "FABRIC", "itemId": made[0]}],
        }
        design = (await execute(client, DESIGN, input=given))["createDesign"]["design"]["id"]
        renamed = {"id": design, "expectedVersion": 1, "name": f"Finished {name}"}
        assert (await execute(client, RENAME, input=renamed))["updateDesign"]["design"]["version"] == 2
        self.designs[name] = (design, *made)


async def resume_token(
    port: int, client: httpx.AsyncClient, after: str | None = None, query: str = CHANGES
) -> tuple[str, str]:
    """The next object that was made, and the resume token of that."""
    async with streamed(port, query, client.headers["authorization"], after=after) as events:
        return await made(events)


async def made(events: AsyncIterator[dict[str, Any]]) -> tuple[str, str]:
    """The next object that was made, and the resume token of that."""
    async for event in events:
        if event["kind"] == "CREATED":
            return (event.get("item") or event["design"])["name"], event["resumeToken"]
    raise AssertionError


async def lived(settings: Settings, folder: Path, key: pyrage.x25519.Identity) -> tuple[Ledger, Ledger, str]:
    """What was acknowledged before the backup began and what wasn't, and the token of the client that wrote."""
    before, after = Ledger(), Ledger()
    async with running(settings) as (app, anonymous), listening(app) as port:
        writer, _ = await signed_in(anonymous, app.state.stores, "admin")
        token = writer.headers["authorization"]
        async with streamed(port, CHANGES, token) as items, streamed(port, DESIGNS, token) as designs:
            assert [(await anext(events))["kind"] for events in (items, designs)] == ["STARTED"] * 2
            await before.write(writer, "zero")
            (_, before.token), (_, before.design_token) = [await made(events) for events in (items, designs)]
        for number in range(20):
            await before.write(writer, f"before{number}")
        writing = asyncio.create_task(go_on(after, writer))
        try:
            await save(settings, folder, [key.to_public()], untold)
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
        # one that is surely lost, with its place in the log
        last, token = "", before.token
        await after.write(writer, "lost")
        while last != "Item lost":
            last, token = await resume_token(port, writer, token)
        after.token = token
        return before, after, writer.headers["authorization"].removeprefix("Bearer ")


async def go_on(ledger: Ledger, client: httpx.AsyncClient) -> None:
    for number in range(100_000):
        await ledger.write(client, f"meanwhile{number}")


async def found_again(settings: Settings, before: Ledger, after: Ledger, token: str) -> None:
    async with running(settings, search_indexing=True) as (app, anonymous), listening(app) as port:
        client = with_token(anonymous, token)  # the session was saved, and the secret is the same
        for name, (design, item, avatar) in before.designs.items():
            there = (await execute(client, READ, id=design))["design"]
            assert (there["name"], there["version"]) == (f"Finished {name}", 2)
            assert there["avatar"] == {"id": avatar}
            assert there["layers"] == [{"catalogItem": {"id": item}}]
            assert [entry["version"] for entry in there["revisions"]["nodes"]] == [2, 1]
        assert (await respond(client, READ, id=after.designs["lost"][0]))["data"] == {"design": None}

        async def search() -> Any:
            found = await execute(client, SEARCH, text="finished before7")
            return [edge["node"] for edge in found["search"]["edges"]][:1]

        await eventually(search, [{"id": before.designs["before7"][0]}])

        # a place that was saved goes on where it was; one that is lost is refused, also when places go beyond it
        assert (await resume_token(port, client, before.token))[0] == "Item before0"
        for _ in range(2):
            with pytest.raises(StreamEnded) as refused:
                await resume_token(port, client, after.token)
            assert refused.value.code == "RESUME_TOKEN_EXPIRED"
            # the history that designs had is gone with its server
            with pytest.raises(StreamEnded) as refused:
                await resume_token(port, client, before.design_token, DESIGNS)
            assert refused.value.code == "RESUME_TOKEN_EXPIRED"
            for number in range(3):
                await before.write(client, f"new{number}-{len(before.designs)}")
        # and one of a change after it, for a process that hasn't seen it
        async with streamed(port, CHANGES, client.headers["authorization"], after=before.token) as events:
            async for event in events:
                if event["item"]["name"] == "Item new1-22":
                    break
        async with running(settings) as (another, _), listening(another) as elsewhere:
            assert (await resume_token(elsewhere, client, event["resumeToken"]))[0] == "Item new2-23"
        report = await reconcile(app.state.stores, settings, repair=False)
        assert report.problems == 0, report


def test_what_was_acknowledged_before_a_backup_survives_both_stores(tmp_path: Path) -> None:
    key, folder = pyrage.x25519.Identity.generate(), tmp_path / "backup"
    with migrated_stores_beside_others() as settings:
        before, after, token = asyncio.run(lived(settings, folder, key))
    assert len(before.designs) == 21
    assert after.designs.keys() > {"meanwhile0", "lost"}
    (tmp_path / "key").write_text(f"# of the drill\n{key}\n")

    with throwaway_stores() as empty:
        assert empty.database_url is not None
        assert empty.mongodb_uri is not None
        addresses = {"DATABASE_URL": empty.database_url, "MONGODB_URI": empty.mongodb_uri}
        code, output = ended(
            *("restore", str(folder), "--identity", str(tmp_path / "key")),
            folder=tmp_path,
            variables=environment(None, **addresses),
        )
        assert (code, output.splitlines()[-2:]) == (0, ["Restored.", "Both stores agree."]), output
        servers = {"database_url": SecretStr(empty.database_url), "mongodb_uri": SecretStr(empty.mongodb_uri)}
        asyncio.run(found_again(settings.model_copy(update=servers), before, after, token))
