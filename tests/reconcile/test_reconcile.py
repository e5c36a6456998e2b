"""`fashion-wallet reconcile`: where the two stores have come apart, and what it does about it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from bson import ObjectId
from sqlalchemy import func, insert, select, text

from api.accounts.auth import Auth
from api.config.settings import Settings
from api.designs import owner_deletion
from api.fields.context import Context
from api.reconcile.report import EXAMPLES, Report, Tally
from api.reconcile.run import reconcile
from api.rights.viewer import SYSTEM
from api.schema import DOMAINS
from api.stores.stores import Stores, open_stores
from api.users.deletion import operations
from documents import Design
from models import AuditEntry, IdempotencyKey, RefreshToken, Session, new_id
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.factories.catalog import catalog_items, create_catalog_item
from tests.support.factories.designs import create_design, designs, insert_design, layer_of
from tests.support.factories.users import create_user, users
from tests.support.servers import command, environment
from tests.support.signing_in import open_session
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 123000, tzinfo=UTC)


async def run(stores: Stores, settings: Settings, *, repair: bool = False, batch: int = 2) -> Report:
    """A run in batches so small that there are several."""
    return await reconcile(stores, settings, repair=repair, batch=batch)


def counts(report: Report) -> dict[str, tuple[int, int, int]]:
    """Found, repaired, remaining of each kind that was found."""
    return {
        name: (tally.found, tally.repaired, tally.remaining) for name, tally in report.kinds().items() if tally.found
    }


def system(stores: Stores, settings: Settings) -> Context:
    return Context(stores, settings, "test", DOMAINS, Auth(settings), SYSTEM)


async def document(stores: Stores, design: Design | ObjectId) -> dict[str, Any]:
    id = design.id if isinstance(design, Design) else design
    found = await designs(stores).collection.find_one({"_id": id})
    assert found is not None
    return found


async def test_stores_that_agree(stores: Stores, settings: Settings) -> None:
    user = await create_user(stores)
    avatar, item = await create_avatar(stores, user_id=user.id), await create_catalog_item(stores)
    for _ in range(5):
        await create_design(stores, user_id=user.id, avatar_id=avatar.id, layers=[layer_of(item.id)])
    # deleted is not gone
    await avatars(stores).soft_delete(avatar.id)
    await catalog_items(stores).soft_delete(item.id)
    for repair in (False, True):
        report = await run(stores, settings, repair=repair)
        assert (counts(report), report.problems) == ({}, 0)


@pytest.mark.parametrize("kind", ["delete_user", "restore_user"])
async def test_an_unfinished_operation_is_finished(stores: Stores, settings: Settings, kind: str) -> None:
    user = await create_user(stores)
    avatar = await create_avatar(stores, user_id=user.id)
    mine = [await create_design(stores, user_id=user.id) for _ in range(3)]
    context = system(stores, settings)
    begun = await operations.begin_deletion(context, user.id)
    if kind == "restore_user":
        await operations.finish(context, begun)
        await operations.begin_restoration(context, user.id)

    seen = await run(stores, settings)
    assert (counts(seen), seen.problems) == ({"unfinished_operations": (1, 0, 1)}, 1)
    assert seen.unfinished_operations.examples == [str(user.id)]

    assert counts(await run(stores, settings, repair=True)) == {"unfinished_operations": (1, 1, 0)}

    expected = begun.moment if kind == "delete_user" else None
    assert {(await document(stores, design)).get("deletedAt") for design in mine} == {expected}
    account = await users(stores).find_by_id(user.id, include_deleted=True)
    body = await avatars(stores).find_by_id(avatar.id, include_deleted=True)
    assert account is not None
    assert body is not None
    assert (account.deleted_at, body.deleted_at) == (expected, expected)
    assert counts(await run(stores, settings)) == {}


async def test_an_operation_that_somebody_works_on_is_finished_by_both(stores: Stores, settings: Settings) -> None:
    user = await create_user(stores)
    design = await create_design(stores, user_id=user.id)
    begun = await operations.begin_deletion(system(stores, settings), user.id)

    reports = await asyncio.gather(
        operations.finish(system(stores, settings), begun), *(run(stores, settings, repair=True) for _ in range(3))
    )

    assert [report.problems for report in reports if isinstance(report, Report)] == [0, 0, 0]
    assert (await document(stores, design))["deletedAt"] == begun.moment
    assert counts(await run(stores, settings)) == {}


async def test_what_got_in_while_its_owner_was_deleted_goes_with_them(stores: Stores, settings: Settings) -> None:
    context = system(stores, settings)
    user, other = await create_user(stores), await create_user(stores)
    await create_design(stores, user_id=other.id)
    first = await create_avatar(stores, user_id=user.id, is_default=True)
    await operations.finish(context, await operations.begin_deletion(context, user.id))
    late = [await create_design(stores, user_id=user.id) for _ in range(3)]
    avatar = await create_avatar(stores, user_id=user.id, is_default=True)
    deleted = await users(stores).find_by_id(user.id, include_deleted=True)
    assert deleted is not None

    found = {"orphaned_avatars": (1, 0, 1), "orphaned_designs": (3, 0, 3)}
    assert counts(await run(stores, settings)) == found
    repaired = await run(stores, settings, repair=True)
    assert counts(repaired) == {"orphaned_avatars": (1, 1, 0), "orphaned_designs": (3, 3, 0)}
    assert {(await document(stores, design))["deletedAt"] for design in late} == {deleted.deleted_at}
    assert await designs(stores).count() == 1
    assert counts(await run(stores, settings, repair=True)) == {}

    # nothing is lost: they come back with their owner
    await operations.finish(context, await operations.begin_restoration(context, user.id))
    assert await designs(stores).count() == 4
    assert {each.id: each.is_default for each in await avatars(stores).find_all()} == {first.id: True, avatar.id: False}


async def test_a_restoration_that_begins_during_the_repair_wins(
    stores: Stores, settings: Settings, postgres_url: str
) -> None:
    context = system(stores, settings)
    user = await create_user(stores)
    await operations.finish(context, await operations.begin_deletion(context, user.id))
    late = await create_design(stores, user_id=user.id)
    beside = await asyncpg.connect(postgres_url)
    try:
        async with asyncio.TaskGroup() as tasks, beside.transaction():
            # a restoration that has the account, and has not been noted yet
            await beside.execute("SELECT FROM shared.users WHERE id = $1 FOR UPDATE", user.id)
            repair = tasks.create_task(run(stores, settings, repair=True))
            async with asyncio.timeout(30):
                while not await beside.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    await pause()
            await beside.execute(
                "INSERT INTO shared.operations (kind, subject_id, moment) VALUES ('restore_user', $1, $2)",
                user.id,
                MOMENT,
            )
    finally:
        await beside.close()
    assert counts(repair.result()) == {"orphaned_designs": (1, 0, 0)}
    assert (await document(stores, late)).get("deletedAt") is None


async def test_what_a_late_command_took_after_a_restoration_comes_back(stores: Stores, settings: Settings) -> None:
    context = system(stores, settings)
    user = await create_user(stores)
    taken = [await create_design(stores, user_id=user.id) for _ in range(2)]
    own = await create_design(stores, user_id=user.id, deleted_at=MOMENT)
    begun = await operations.begin_deletion(context, user.id)
    await operations.finish(context, begun)
    await operations.finish(context, await operations.begin_restoration(context, user.id))
    await owner_deletion.take(context, user.id, begun.moment)

    assert counts(await run(stores, settings)) == {"unrestored_designs": (2, 0, 2)}
    assert counts(await run(stores, settings, repair=True)) == {"unrestored_designs": (2, 2, 0)}

    assert [(await document(stores, design)).get("deletedAt") for design in (*taken, own)] == [None, None, MOMENT]


async def test_references_to_nothing_are_told_and_kept(stores: Stores, settings: Settings) -> None:
    user, nowhere = await create_user(stores), str(new_id())
    ownerless: list[Design | ObjectId] = [await create_design(stores), await insert_design(stores, userId="nobody")]
    wearing = await create_design(stores, user_id=user.id, avatar_id=nowhere)
    showing = await create_design(stores, user_id=user.id, layers=[layer_of(nowhere)])
    await create_design(stores, avatar_id=nowhere, layers=[layer_of(nowhere)], deleted_at=MOMENT)
    told = [*ownerless, wearing, showing]
    before = [await document(stores, design) for design in told]

    for repair in (False, True):
        report = await run(stores, settings, repair=repair)
        assert counts(report) == {
            "ownerless_designs": (2, 0, 2),
            "dangling_avatars": (1, 0, 1),
            "dangling_items": (1, 0, 1),
        }
        assert report.problems == 4
        assert report.dangling_avatars.examples == [str(wearing.id)]
        assert report.dangling_items.examples == [str(showing.id)]

    assert [await document(stores, design) for design in told] == before


async def test_wrong_catalog_item_ids_are_taken_from_the_layers(stores: Stores, settings: Settings) -> None:
    user = await create_user(stores)
    first, second = [(await create_catalog_item(stores)).id for _ in range(2)]
    layers = [layer_of(first), layer_of(second, id="layer-2"), layer_of(first, id="layer-3")]
    right = await create_design(stores, user_id=user.id, layers=layers)
    wrong = [await create_design(stores, user_id=user.id, layers=layers) for _ in range(3)]
    collection = designs(stores).collection
    for design, ids in zip(wrong, ([], [str(first)], [str(first), str(second), str(first)]), strict=True):
        await collection.update_one({"_id": design.id}, {"$set": {"catalogItemIds": ids}})
    gone = await create_design(stores, user_id=user.id, layers=layers, deleted_at=MOMENT)
    await collection.update_one({"_id": gone.id}, {"$set": {"catalogItemIds": []}})
    # as an older service left it, without a version
    old = await insert_design(stores, userId=str(user.id), layers=[layer_of(first)])
    another_order = await create_design(stores, user_id=user.id, layers=layers)
    await collection.update_one({"_id": another_order.id}, {"$set": {"catalogItemIds": [str(second), str(first)]}})
    before = await document(stores, wrong[0])

    assert counts(await run(stores, settings)) == {"wrong_catalog_item_ids": (5, 0, 5)}
    assert counts(await run(stores, settings, repair=True)) == {"wrong_catalog_item_ids": (5, 5, 0)}

    expected = [str(first), str(second)]
    for design in (right, *wrong, gone):
        assert (await document(stores, design))["catalogItemIds"] == expected
    assert (await document(stores, old))["catalogItemIds"] == [str(first)]
    assert ((await document(stores, old))["version"], (await document(stores, right))["version"]) == (2, 1)
    # a version like any other, of which nobody is the author, with the one before in the history
    after = await document(stores, wrong[0])
    assert after["updatedAt"] > before["updatedAt"]
    assert after.pop("requestId").startswith("reconcile-")
    change = after["change"]
    assert (change["version"], change["number"], change["operation"], "actorId" in change) == (2, 0, "UPDATE", False)
    written = {"catalogItemIds": expected, "version": 2, "updatedAt": after["updatedAt"], "change": change}
    assert after == before | written
    kept = {each["designId"]: each async for each in stores.database.design_revisions.find({"version": 1})}
    assert set(kept) == {gone.id, old, *(design.id for design in wrong)}
    assert (kept[wrong[0].id]["at"], kept[wrong[0].id]["name"]) == (before["updatedAt"], before["name"])
    assert counts(await run(stores, settings)) == {}


async def test_a_design_that_changes_meanwhile_is_left_alone(stores: Stores, settings: Settings) -> None:
    user, item = await create_user(stores), await create_catalog_item(stores)
    design = await create_design(stores, user_id=user.id)
    collection = designs(stores).collection
    await collection.update_one({"_id": design.id}, {"$set": {"catalogItemIds": [str(item.id)]}})
    (read,) = await designs(stores).read(("catalogItemIds", "version", "layers.itemId"))
    assert design.id is not None
    changed = await designs(stores).update(design.id, {"layers": [layer_of(item.id)]})

    from api.reconcile.designs import _check_derived

    report = Report()
    await _check_derived(system(stores, settings), report, [read], repair=True)

    assert counts(report) == {"wrong_catalog_item_ids": (1, 0, 0)}
    assert changed is not None
    after = await document(stores, design)
    assert after["catalogItemIds"] == changed.catalog_item_ids == [str(item.id)]
    assert after["version"] == 2


async def test_what_has_expired_is_removed(stores: Stores, settings: Settings) -> None:
    user = await create_user(stores)
    for _ in range(5):
        id = await open_session(stores, user.id, expires_at=MOMENT - timedelta(days=1), created_at=MOMENT)
        async with stores.sessions.begin() as session:
            await session.execute(insert(RefreshToken).values(session_id=id, token_hash=id.bytes))
    lasting = await open_session(stores, user.id)
    async with stores.sessions.begin() as session:
        for number, created_at in enumerate([MOMENT] * 3 + [datetime.now(UTC)]):
            values = {
                "actor": "a",
                "key": str(number),
                "fingerprint": b"",
                "created_at": created_at,
                "locked_until": MOMENT,
            }
            await session.execute(insert(IdempotencyKey).values(values))

    seen = await run(stores, settings)
    assert counts(seen) == {"expired_sessions": (5, 0, 5), "expired_idempotency_keys": (3, 0, 3)}
    assert seen.problems == 0
    assert counts(await run(stores, settings, repair=True)) == {
        "expired_sessions": (5, 5, 0),
        "expired_idempotency_keys": (3, 3, 0),
    }

    async with stores.sessions() as session:
        assert list(await session.scalars(select(Session.id))) == [lasting]
        assert await session.scalar(select(func.count()).select_from(RefreshToken)) == 0
        assert list(await session.scalars(select(IdempotencyKey.key))) == ["3"]


@pytest.mark.parametrize("kept", [True, False])
async def test_history_is_kept_as_long_as_the_settings_say(stores: Stores, settings: Settings, kept: bool) -> None:
    # given: two entries and two versions of long ago, an entry and two versions of today
    user = await create_user(stores)
    design = await create_design(stores, user_id=user.id)
    async with stores.sessions.begin() as session:
        await session.execute(
            insert(AuditEntry),
            [{"table_name": "shared.users", "record_id": user.id, "operation": "UPDATE", "at": MOMENT}] * 2,
        )
    collection = stores.database.design_revisions
    for version, at in enumerate((MOMENT, MOMENT, datetime.now(UTC), datetime.now(UTC)), start=1):
        await collection.insert_one({"designId": design.id, "version": version, "at": at})
    day = 0 if kept else 24 * 3600
    retaining = settings.model_copy(update={"audit_retention": day, "revision_retention": day})

    # when
    seen = await run(stores, retaining)
    swept = await run(stores, retaining, repair=True, batch=1)

    # then
    found = {} if kept else {"expired_audit_entries": (2, 0, 2), "expired_revisions": (2, 0, 2)}
    assert (counts(seen), seen.problems) == (found, 0)
    assert counts(swept) == dict.fromkeys(found, (2, 2, 0))
    async with stores.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(AuditEntry)) == (3 if kept else 1)
    left = [revision["version"] async for revision in collection.find(sort=[("version", 1)])]
    assert left == ([1, 2, 3, 4] if kept else [3, 4])


async def test_two_runs_at_once(stores: Stores, settings: Settings) -> None:
    context = system(stores, settings)
    people = [await create_user(stores) for _ in range(5)]
    for user in people:
        await create_design(stores, user_id=user.id)
        await operations.begin_deletion(context, user.id)

    await asyncio.gather(*(run(stores, settings, repair=True) for _ in range(3)))

    assert await designs(stores).count() == 0
    assert counts(await run(stores, settings)) == {}


async def test_it_works_behind_row_level_security(stores: Stores, settings: Settings) -> None:
    context = system(stores, settings)
    user = await create_user(stores)
    await create_avatar(stores, user_id=user.id)
    await create_design(stores, user_id=user.id)
    await open_session(stores, user.id, expires_at=MOMENT)
    async with stores.sessions.begin() as session:
        values = {"actor": "a", "key": "k", "fingerprint": b"", "created_at": MOMENT, "locked_until": MOMENT}
        await session.execute(insert(IdempotencyKey).values(values))
    await operations.begin_deletion(context, user.id)
    await create_avatar(stores, user_id=user.id)

    walled = settings.model_copy(update={"row_level_security": True})
    async with open_stores(walled) as behind, asyncio.timeout(60):
        report = await run(behind, walled, repair=True)

    assert counts(report) == {
        "unfinished_operations": (1, 1, 0),
        "orphaned_avatars": (1, 1, 0),
        "expired_sessions": (1, 1, 0),
        "expired_idempotency_keys": (1, 1, 0),
    }
    assert counts(await run(stores, settings)) == {}


async def test_it_logs_one_line_of_counts(stores: Stores, settings: Settings) -> None:
    await create_design(stores)
    with structlog.testing.capture_logs() as logs:
        await run(stores, settings)
    assert logs == [
        {
            "event": "reconciled",
            "log_level": "info",
            "repair": False,
            "problems": 1,
            "repaired": 0,
            "ownerless_designs": 1,
        }
    ]


def test_examples_are_few() -> None:
    tally = Tally()
    for start in (0, 7, 14):
        assert tally.add(range(start, start + 7)) == 7
    assert (tally.found, tally.examples) == (21, [str(number) for number in range(EXAMPLES)])


async def test_the_command(stores: Stores, settings: Settings, tmp_path: Path) -> None:
    user = await create_user(stores)
    design = await create_design(stores, user_id=user.id)
    await operations.begin_deletion(system(stores, settings), user.id)
    variables = environment(settings)

    def ended(*arguments: str) -> tuple[int, str]:
        with command("reconcile", *arguments, folder=tmp_path, variables=variables) as process:
            return process.process.wait(60), process.text()

    code, text = await asyncio.to_thread(ended)
    assert (code, text) == (
        1,
        f"Unfinished operations: 1 ({user.id})\n"
        "Problems that remain: 1; --repair mends what can be mended without loss.\n",
    )
    code, text = await asyncio.to_thread(ended, "--repair", "--json", "--batch-size", "1")
    assert code == 0
    report = json.loads(text)
    assert report["problems"] == 0
    assert report["unfinished_operations"] == {
        "found": 1, "repaired": 1, "remaining": 0, "examples": [str(user.id)],
    }  # fmt: skip
    assert (await document(stores, design))["deletedAt"] is not None
    assert await asyncio.to_thread(ended) == (0, "Both stores agree.\n")


async def test_values_that_no_field_can_show_are_named_and_left(stores: Stores, settings: Settings) -> None:
    user = await create_user(stores)
    item = await create_catalog_item(stores)
    await create_design(stores, user_id=user.id, layers=[layer_of(item.id)])
    odd = await create_design(stores, user_id=user.id, layers=[layer_of(item.id), layer_of(item.id)])
    changes = {"layers.1.visible": "yes", "metadata.tags": ["a", {"b": 1}], "metadata.canvasSize": "large"}
    collection = designs(stores).collection
    await collection.update_one({"_id": odd.id}, {"$set": changes}, bypass_document_validation=True)
    gone = await create_design(stores, user_id=user.id, layers=[layer_of(item.id)])
    await collection.update_one(
        {"_id": gone.id}, {"$set": {"metadata": 1, "deletedAt": MOMENT}}, bypass_document_validation=True
    )
    async with stores.sessions.begin() as session:
        await session.execute(text("UPDATE catalog.catalog_items SET properties = '{\"tags\": [1, {}]}'"))
    before = await document(stores, odd)
    for repair in (False, True):
        report = await run(stores, settings, repair=repair)
        assert counts(report) == {"odd_values": (2, 0, 2)}
        assert report.odd_values.examples == [
            f"CatalogItem {item.id}: properties.tags",
            f"Design {odd.id}: layers.visible, metadata.canvasSize, metadata.tags",
        ]
    assert await document(stores, odd) == before
