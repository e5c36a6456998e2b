"""Where commands to MongoDB would go that no query or mutation sends: docs/operating/sharding.md's second table."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from pymongo import monitoring

from api.config.settings import Settings
from api.live.change_streams import has_change_streams
from api.log import CommandCounter
from api.reconcile.run import reconcile
from api.search.rebuilding import rebuild
from api.stores.mongodb.client import MongoDatabase
from api.stores.stores import Stores
from documents.revision import REVISIONS
from migrations import runner
from tests.live.conftest import keep_images
from tests.search.conftest import SEARCH, names
from tests.search.following import eventually
from tests.support.applications import listening, running
from tests.support.backups import saved, untold
from tests.support.factories.designs import create_design, designs, insert_design, object_id
from tests.support.graphql import execute, gid, respond
from tests.support.live import DESIGN, DESIGNS, followed
from tests.support.mutations.designs import changed
from tests.support.mutations.inputs import mutation
from tests.support.signing_in import signed_in
from tests.support.stores.observing import observing
from tests.support.stores.sharding import REFUSED, Routed, documented, route

pytestmark = [pytest.mark.anyio, pytest.mark.own_connections]

OLD: Final = datetime(2020, 1, 1, tzinfo=UTC)
STREAM: Final = "aggregate ($changeStream)"


@dataclass
class Heard(monitoring.CommandListener):
    """What is sent in the blocks of `by` and `all`."""

    commands: list[Mapping[str, Any]] = field(default_factory=list)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.commands.append(event.command)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass

    @contextlib.contextmanager
    def by(self, stores: Stores) -> Iterator[None]:
        """By an application."""
        with observing(stores) as observed:
            yield
        calls = [call.source for call in observed.calls if call.store == "MongoDB"]
        self.commands += [source for source in calls if isinstance(source, Mapping)]

    @contextlib.contextmanager
    def all(self) -> Iterator[None]:
        """By every client that this process makes meanwhile."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(CommandCounter, "observers", (self,))
            yield

    @property
    def routed(self) -> set[Routed]:
        return {routed for command in self.commands if (routed := route(command)) is not None}


async def has_none(_: MongoDatabase) -> bool:
    return False


@contextlib.asynccontextmanager
async def without_streams() -> AsyncIterator[None]:
    """Followers are told that the server has no change streams."""
    with pytest.MonkeyPatch.context() as patched:
        for module in ("live.designs", "search.following", "search.rebuilding"):
            patched.setattr(f"api.{module}.has_change_streams", has_none)
        yield


async def follow(settings: Settings, stores: Stores, heard: Heard, word: str) -> None:
    """Live updates and search follow, another program writes, versions are removed, and a user goes and comes back."""
    async with (
        running(settings, search_indexing=True, design_revisions_kept=1) as (app, client),
        listening(app) as port,
    ):
        with heard.by(app.state.stores):
            admin, _ = await signed_in(client, stores, "admin")
            ada, account = await signed_in(client, stores)
            token = ada.headers["authorization"]
            async with followed(port, DESIGNS, token) as events:
                design = await changed(ada, "createDesign", name="Linen")
                after = (await events.next())["resumeToken"]
                for version in (1, 2, 3):
                    values = {"id": design["id"], "expectedVersion": version}
                    await changed(ada, "updateDesign", **values, name=f"Linen {version}")
                    await events.next()
            another = await create_design(stores, user_id=account.id, status="published")
            async with followed(port, DESIGNS, token, after=after) as events:
                await designs(stores).collection.update_one(
                    {"_id": another.id}, {"$set": {"name": word, "updatedAt": datetime.now(UTC)}}
                )
                while (await events.next())["designId"] != gid(another):
                    pass
            async with followed(port, DESIGN, token, id=gid(another), after=after):
                pass

            async def found() -> list[str]:
                return names(await execute(client, SEARCH, text=word))

            await eventually(found, [word])
            for name in ("deleteUser", "restoreUser"):
                body = await respond(admin, mutation(name), input={"id": gid(account)})
                assert not body["data"]["it"]["errors"], body
            await rebuild(app.state.stores, settings.search_language, untold)


async def test_the_second_table_is_what_is_sent(
    settings: Settings, clean_stores: None, stores: Stores, tmp_path: Path
) -> None:
    heard = Heard()
    streams = await has_change_streams(stores.database)

    # when both ways are followed, with states before writes and without
    async with without_streams():
        await follow(settings, stores, heard, "Satin")
    for images, word in ((True, "Velvet"), (False, "Tulle")) if streams else ():
        await keep_images(stores, images)
        await follow(settings, stores, heard, word)

    # and when stores are brought up to date that an older version has left, repaired, and saved
    await insert_design(stores, version=1, requestId="an older version's")
    kept = {"designId": object_id(await create_design(stores)), "version": 1, "at": OLD}
    await stores.database[REVISIONS].insert_one(kept)
    with heard.all():
        await asyncio.to_thread(runner.upgrade, settings)
        await asyncio.to_thread(partial(saved, settings, tmp_path / "backup"))
    with heard.by(stores):
        report = await reconcile(stores, settings.model_copy(update={"revision_retention": 3600}), repair=True)
    assert report.expired_revisions.repaired >= 1

    # then
    background = documented("In the background")
    assert not {routed for routed in heard.routed if routed.way == REFUSED}
    assert heard.routed <= background | documented("Queries and mutations")
    missing = background - heard.routed
    assert not missing if streams else {routed.command for routed in missing} <= {STREAM, "find"}
