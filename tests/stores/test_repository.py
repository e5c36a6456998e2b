"""What both repositories promise, on both stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from bson import ObjectId

from api.stores.stores import Stores
from documents import Design, MongoRepository
from models import CatalogItem, PostgresRepository, new_id
from tests.support.stores.repository import Repository

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Case:
    """One store's repository, and how its fields and conditions are written."""

    repository: Repository[Any, Any, Any]
    values: Callable[[str], dict[str, Any]]
    named: Callable[[str], Any]
    no_id: Any
    kind: str
    """A field with the same value in all of `values`, and no index that would order what it leaves open."""

    async def create(self, *names: str) -> list[Any]:
        return [await self.repository.create(self.values(name)) for name in names]

    async def names(self, **arguments: Any) -> list[str]:
        return [entity.name for entity in await self.repository.find_all(**arguments)]


@pytest.fixture(params=["postgres", "mongodb"])
async def case(request: pytest.FixtureRequest, stores: Stores) -> AsyncIterator[Case]:
    """Each store in turn; whatever the test does, no connection may be left checked out."""
    owner = str(new_id())
    if request.param == "postgres":
        items = PostgresRepository(CatalogItem, stores.reads, stores.sessions)
        yield Case(
            items,
            values=lambda name: {"name": name, "type": "fabric"},
            named=lambda name: CatalogItem.name == name,
            no_id=new_id(),
            kind="is_premium",
        )
    else:
        designs = MongoRepository(Design, stores.database)
        yield Case(
            designs,
            values=lambda name: {"name": name, "user_id": owner},
            named=lambda name: {"name": name},
            no_id=ObjectId(),
            kind="metadata.description",
        )
    assert stores.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # the base class of pools has no count


async def test_create_and_find(case: Case) -> None:
    silk, _ = await case.create("Silk", "Wool")

    by_id = await case.repository.find_by_id(silk.id)
    by_name = await case.repository.find_one(case.named("Wool"))

    assert by_id is not None
    assert (by_id.id, by_id.name, by_id.created_at) == (silk.id, "Silk", silk.created_at)
    assert by_name is not None
    assert by_name.name == "Wool"
    assert by_name.deleted_at is None
    assert await case.repository.find_by_id(case.no_id) is None
    assert await case.repository.find_one(case.named("Linen")) is None


async def test_find_all_sorts_skips_and_limits(case: Case) -> None:
    await case.create("C", "A", "D", "B")

    assert await case.names(sort=["name"]) == ["A", "B", "C", "D"]
    assert await case.names(sort=["-name"]) == ["D", "C", "B", "A"]
    assert await case.names(sort=["name"], skip=1, limit=2) == ["B", "C"]
    assert await case.names(sort=["name"], skip=4) == []
    assert await case.names(sort=["name"], limit=0) == []
    assert await case.names(where=case.named("D")) == ["D"]


@pytest.mark.parametrize("direction", ["", "-"])
async def test_pages_over_ties_equal_the_full_set(case: Case, direction: str) -> None:
    created = await case.create("A", "B", "C", "D", "E")
    sort = [direction + case.kind]

    pages = [await case.names(sort=sort, skip=skip, limit=2) for skip in (0, 2, 4)]

    expected = [entity.name for entity in sorted(created, key=lambda entity: entity.id)]
    assert [name for page in pages for name in page] == (expected[::-1] if direction else expected)


async def test_count(case: Case) -> None:
    _, second, _ = await case.create("A", "B", "B")
    await case.repository.soft_delete(second.id)

    assert await case.repository.count() == 2
    assert await case.repository.count(include_deleted=True) == 3
    assert await case.repository.count(case.named("B")) == 1
    assert await case.repository.count(case.named("B"), include_deleted=True) == 2
    assert await case.repository.count(case.named("C")) == 0


async def test_soft_deleted_is_as_if_absent(case: Case) -> None:
    silk, _ = await case.create("Silk", "Wool")

    assert await case.repository.soft_delete(silk.id) is True
    assert await case.repository.soft_delete(silk.id) is False
    assert await case.repository.soft_delete(case.no_id) is False

    assert await case.repository.find_by_id(silk.id) is None
    assert await case.repository.find_one(case.named("Silk")) is None
    assert await case.names(sort=["name"]) == ["Wool"]
    assert await case.repository.update(silk.id, {"name": "Satin"}) is None
    deleted = await case.repository.find_by_id(silk.id, include_deleted=True)
    assert deleted is not None
    assert deleted.name == "Silk"
    assert deleted.deleted_at >= deleted.created_at
    assert await case.names(sort=["name"], include_deleted=True) == ["Silk", "Wool"]


async def test_restore(case: Case) -> None:
    [silk] = await case.create("Silk")
    assert await case.repository.restore(silk.id) is False
    assert await case.repository.restore(case.no_id) is False
    await case.repository.soft_delete(silk.id)

    assert await case.repository.restore(silk.id, where=case.named("Wool")) is False
    assert await case.repository.restore(silk.id, where=case.named("Silk")) is True

    restored = await case.repository.find_by_id(silk.id)
    assert restored is not None
    assert restored.deleted_at is None
    assert await case.repository.restore(silk.id) is False


async def test_soft_delete_under_a_condition(case: Case) -> None:
    [silk] = await case.create("Silk")

    assert await case.repository.soft_delete(silk.id, where=case.named("Wool")) is False
    assert await case.repository.count() == 1
    assert await case.repository.soft_delete(silk.id, where=case.named("Silk")) is True
    assert await case.repository.count() == 0


async def test_update(case: Case) -> None:
    silk, _ = await case.create("Silk", "Wool")

    changed = await case.repository.update(silk.id, {"name": "Satin"})

    assert changed is not None
    assert (changed.id, changed.name) == (silk.id, "Satin")
    assert silk.name == "Silk"
    assert await case.names(sort=["name"]) == ["Satin", "Wool"]
    assert await case.repository.update(case.no_id, {"name": "Tulle"}) is None


async def test_update_under_a_condition(case: Case) -> None:
    [silk] = await case.create("Silk")

    assert await case.repository.update(silk.id, {"name": "Satin"}, where=case.named("Wool")) is None
    assert await case.names() == ["Silk"]
    changed = await case.repository.update(silk.id, {"name": "Satin"}, where=case.named("Silk"))
    assert changed is not None
    assert await case.names() == ["Satin"]


async def test_update_without_values_writes_nothing(case: Case) -> None:
    [silk] = await case.create("Silk")

    same = await case.repository.update(silk.id, {})

    assert same is not None
    assert (same.name, same.updated_at) == ("Silk", silk.updated_at)
    assert await case.repository.update(silk.id, {}, where=case.named("Wool")) is None


async def test_delete_is_for_good(case: Case) -> None:
    silk, wool = await case.create("Silk", "Wool")
    await case.repository.soft_delete(wool.id)

    assert await case.repository.delete(silk.id) is True
    assert await case.repository.delete(silk.id) is False
    assert await case.repository.delete(wool.id) is True

    assert await case.repository.count(include_deleted=True) == 0


async def test_leaving_a_transaction_commits(case: Case) -> None:
    async with case.repository.transaction() as tx:
        silk = await tx.create(case.values("Silk"))
        await tx.update(silk.id, {"name": "Satin"})
        assert [entity.name for entity in await tx.find_all()] == ["Satin"]
        assert await case.repository.count() == 0

    assert await case.names() == ["Satin"]


async def test_an_error_rolls_back(case: Case) -> None:
    silk, wool, tulle = await case.create("Silk", "Wool", "Tulle")
    await case.repository.soft_delete(tulle.id)

    async def change_everything() -> None:
        async with case.repository.transaction() as tx:
            await tx.create(case.values("Linen"))
            await tx.update(silk.id, {"name": "Satin"})
            await tx.soft_delete(silk.id)
            await tx.delete(wool.id)
            await tx.restore(tulle.id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_everything()

    assert await case.names(sort=["name"]) == ["Silk", "Wool"]
    assert await case.repository.count(include_deleted=True) == 3


async def test_cancellation_rolls_back(case: Case) -> None:
    [silk] = await case.create("Silk")
    changed = asyncio.Event()

    async def change() -> None:
        async with case.repository.transaction() as tx:
            await tx.update(silk.id, {"name": "Satin"})
            changed.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(change())
    await changed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await case.names() == ["Silk"]
    again = await case.repository.update(silk.id, {"name": "Wool"})  # would fail or wait on a lock left behind
    assert again is not None
    assert again.name == "Wool"


async def test_a_transaction_inside_a_transaction_joins_it(case: Case) -> None:
    async def change() -> None:
        async with case.repository.transaction() as outer:
            async with outer.transaction() as inner:
                await inner.create(case.values("Silk"))
            assert await outer.count() == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change()

    assert await case.repository.count() == 0
