"""Which places in the log of rows a process takes: those of entries that are there, whatever came in their place."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from api.config.settings import Settings
from api.live import log
from api.stores.stores import Stores
from tests.support.applications import listening, running
from tests.support.factories.catalog import create_catalog_item
from tests.support.live import CHANGES, StreamEnded, followed, place_of, refusal, streamed, token_of
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio


async def lose_the_last_change(stores: Stores) -> None:
    """As after a recovery to the moment before it: its place will be given again."""
    async with stores.engine.begin() as connection:
        last = "SELECT max(log_position) FROM audit.audit_log"
        place = await connection.execute(text(f"DELETE FROM audit.audit_log WHERE log_position = ({last}) RETURNING *"))
        positions = {"last": place.one().log_position - 1}
        await connection.execute(text("SELECT setval('audit.audit_log_positions', :last)"), positions)


async def nobody_follows(app: Starlette) -> None:
    """Return when nothing is read for subscriptions any more."""
    with anyio.fail_after(60):
        while len(app.state.live.rows):
            await pause()


async def test_more_than_is_read_at_a_time_is_told(port: int, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MOST", 3)
    async with followed(port, CHANGES) as events:
        async with stores.engine.begin() as connection:
            rows = "SELECT 'Item ' || n, 'fabric' FROM generate_series(1, 7) AS n"
            await connection.execute(text(f"INSERT INTO catalog.catalog_items (name, type) {rows}"))

        assert [(await events.next())["item"]["name"] for _ in range(7)] == [f"Item {n}" for n in range(1, 8)]


async def test_a_place_that_another_history_has_as_well_has_expired(
    settings: Settings, port: int, stores: Stores
) -> None:
    async with followed(port, CHANGES) as events, streamed(port, CHANGES) as stream:
        assert (await anext(stream))["kind"] == "STARTED"
        await create_catalog_item(stores, name="Kept")
        kept = (await events.next())["resumeToken"]
        await create_catalog_item(stores, name="Lost")
        lost = (await events.next())["resumeToken"]
        assert [(await anext(stream))["item"]["name"] for _ in range(2)] == ["Kept", "Lost"]
        await lose_the_last_change(stores)
        async with running(settings) as (app, _), listening(app) as other:
            async with followed(other, CHANGES, after=kept) as resumed:
                await create_catalog_item(stores, name="Instead")
                told = await resumed.next()
                assert told["item"]["name"] == "Instead"
                fingerprint, (position, _) = place_of(told["resumeToken"])
                assert place_of(lost)[1][0] == position
                # where the place is kept, and then where the log is asked
                for each in (lost, *(token_of(fingerprint, [position, digit * 32]) for digit in "0f")):
                    assert await refusal(other, CHANGES, after=each) == "RESUME_TOKEN_EXPIRED"
            assert await refusal(other, CHANGES, after=lost) == "RESUME_TOKEN_EXPIRED"
            await nobody_follows(app)  # also who was refused
        # those who follow were told of what is no longer so
        message = await events.socket.receive()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "RESUME_TOKEN_EXPIRED")
        with pytest.raises(StreamEnded) as ended:
            await anext(stream)
        assert ended.value.code == "RESUME_TOKEN_EXPIRED"


async def test_places_may_be_as_large_as_a_restored_database_has_them(
    settings: Settings, port: int, stores: Stores
) -> None:
    async with stores.engine.begin() as connection:
        before: int = (await connection.execute(text("SELECT last_value FROM audit.audit_log_positions"))).scalar_one()
        await connection.execute(text("SELECT setval('audit.audit_log_positions', 9223372036854775800)"))
    try:
        async with followed(port, CHANGES) as events:
            await create_catalog_item(stores, name="First")
            after = (await events.next())["resumeToken"]
        await create_catalog_item(stores, name="Second")
        async with (
            running(settings) as (app, _),
            listening(app) as other,
            followed(other, CHANGES, after=after) as events,
        ):
            assert (await events.next())["item"]["name"] == "Second"
    finally:
        async with stores.engine.begin() as connection:
            await connection.execute(text("SELECT setval('audit.audit_log_positions', :before)"), {"before": before})


async def test_who_is_as_far_behind_as_may_be_goes_on_and_nobody_else(settings: Settings, stores: Stores) -> None:
    """Whether changes are kept by the process or counted in the log."""
    limit = {"max_events_behind": 2}
    async with running(settings, **limit) as (app, _), listening(app) as port, followed(port, CHANGES) as events:
        tokens = []
        for name in ("First", "Second", "Third"):
            await create_catalog_item(stores, name=name)
            tokens.append((await events.next())["resumeToken"])
        async with running(settings, **limit) as (another, _), listening(another) as other:
            for each in (port, other):
                async with followed(each, CHANGES, after=tokens[0]) as late:
                    assert [(await late.next())["item"]["name"] for _ in range(2)] == ["Second", "Third"]
            await create_catalog_item(stores, name="Fourth")
            tokens.append((await events.next())["resumeToken"])
            for each in (port, other):
                assert await refusal(each, CHANGES, after=tokens[0]) == "RESUME_TOKEN_EXPIRED"
                async with followed(each, CHANGES, after=tokens[1]) as late:
                    assert [(await late.next())["item"]["name"] for _ in range(2)] == ["Third", "Fourth"]
            await nobody_follows(another)


async def test_a_token_that_names_no_entry_has_expired(port: int, stores: Stores) -> None:
    """As they were before they did."""
    async with followed(port, CHANGES) as events:
        await create_catalog_item(stores)
        fingerprint, (position, entry) = place_of((await events.next())["resumeToken"])

    assert await refusal(port, CHANGES, after=token_of(fingerprint, position)) == "RESUME_TOKEN_EXPIRED"
    odds: list[Any] = [[position], [position, entry, 1], [-1, entry], [2**63, entry], [position, "x"], {}, None, "1"]
    for odd in odds:
        assert await refusal(port, CHANGES, after=token_of(fingerprint, odd)) == "BAD_USER_INPUT"
