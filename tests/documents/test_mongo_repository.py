"""What only the repository of MongoDB does, and how documents are stored."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import anyio
import pytest
from bson import ObjectId
from pydantic import SecretStr, ValidationError
from pymongo import AsyncMongoClient, monitoring
from pymongo.errors import OperationFailure, WriteError
from secantus import SecantusDBServer  # type: ignore[import-untyped]

from api.config.settings import Settings
from api.log import Cost, current_cost
from api.stores.stores import Stores, open_stores
from documents import Design, MongoRepository, TransactionsUnsupported

OWNER = "019abcde-0000-7000-8000-000000000001"
SILK = "019abcde-0000-7000-8000-000000000002"
WRITE_CONFLICT = 112
WOOL = "019abcde-0000-7000-8000-000000000003"


@pytest.fixture
def designs(stores: Stores) -> MongoRepository[Design]:
    return MongoRepository(Design, stores.database)


def draft(name: str = "Dress", **values: Any) -> dict[str, Any]:
    return {"user_id": OWNER, "name": name, **values}


def layer(id: str, item_id: str | None) -> dict[str, Any]:
    return {"id": id, "type": "fabric", "item_id": item_id}


@pytest.mark.anyio
async def test_what_is_stored(designs: MongoRepository[Design]) -> None:
    created = datetime(2025, 11, 17, 10, 30, 0, 123999, tzinfo=timezone(timedelta(hours=2)))

    design = await designs.create(
        draft(
            layers=[layer("a", SILK), layer("b", WOOL), layer("c", SILK), layer("d", None)],
            metadata={"tags": ["summer"], "canvas_size": {"width": 800, "height": 600}},
            created_at=created,
            updated_at=created,
        )
    )

    at = datetime(2025, 11, 17, 8, 30, 0, 123000, tzinfo=UTC)
    plain = {"type": "fabric", "position": {"x": 0, "y": 0, "z": 0}, "visible": True}
    assert await designs.collection.find_one() == {
        "_id": design.id,
        "userId": OWNER,
        "name": "Dress",
        "status": "draft",
        "layers": [
            {"id": "a", "itemId": SILK, **plain},
            {"id": "b", "itemId": WOOL, **plain},
            {"id": "c", "itemId": SILK, **plain},
            {"id": "d", **plain},
        ],
        "metadata": {"tags": ["summer"], "canvasSize": {"width": 800, "height": 600}},
        "catalogItemIds": [SILK, WOOL],
        "version": 1,
        "createdAt": at,
        "updatedAt": at,
        # the write that made it
        "change": {"version": 1, "number": 0, "operation": "INSERT", "at": at, "since": at, "updatedAt": at},
    }
    assert design.catalog_item_ids == [SILK, WOOL]
    assert design == await designs.find_by_id(ObjectId(design.id))


@pytest.mark.anyio
async def test_update_counts_versions(designs: MongoRepository[Design]) -> None:
    design = await designs.create(
        draft(created_at=datetime(2020, 1, 1, tzinfo=UTC), updated_at=datetime(2020, 1, 1, tzinfo=UTC))
    )
    assert design.id is not None

    second = await designs.update(design.id, {"name": "Skirt"}, where={"version": 1})
    stale = await designs.update(design.id, {"name": "Coat"}, where={"version": 1})

    assert second is not None
    assert (second.name, second.version, second.created_at) == ("Skirt", 2, design.created_at)
    assert second.updated_at > design.updated_at
    assert stale is None
    [stored] = await designs.read(["name", "version"])
    assert stored == {"_id": design.id, "name": "Skirt", "version": 2}


@pytest.mark.anyio
async def test_of_two_updates_of_one_version_one_wins(designs: MongoRepository[Design]) -> None:
    design = await designs.create(draft())
    assert design.id is not None

    results = await asyncio.gather(
        *(designs.update(design.id, {"name": name}, where={"version": 1}) for name in ("A", "B", "C", "D"))
    )

    [winner] = [result for result in results if result is not None]
    [stored] = await designs.read(["name", "version"])
    assert (stored["name"], stored["version"]) == (winner.name, 2)


@pytest.mark.anyio
async def test_update_writes_paths_and_removes_nulls(designs: MongoRepository[Design]) -> None:
    metadata = {"tags": ["old"], "description": "kept", "canvasSize": {"width": 800, "height": 600}}
    design = await designs.create(draft(avatar_id=OWNER, layers=[layer("a", SILK)], metadata=metadata))
    assert design.id is not None

    await designs.update(
        design.id,
        {
            "avatarId": None,
            "metadata.tags": ["new"],
            "metadata.canvasSize.width": 10,
            "layers": [{"id": "b", "type": "pattern", "itemId": WOOL}],
        },
    )

    [stored] = await designs.read(
        {"_id": False, "avatarId": True, "metadata": True, "layers.itemId": True, "catalogItemIds": True}
    )
    assert stored == {
        "layers": [{"itemId": WOOL}],
        "catalogItemIds": [WOOL],
        "metadata": {"tags": ["new"], "description": "kept", "canvasSize": {"width": 10, "height": 600}},
    }


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"name": ""}, ValidationError),
        ({"name": None}, ValidationError),
        ({"userId": "me"}, ValidationError),
        ({"status": "sold"}, ValidationError),
        ({"metadata.canvasSize.width": 0}, ValidationError),
        ({"layers": [{"id": "a", "type": "button"}]}, ValidationError),
        ({"user_id": OWNER}, ValueError),
        ({"metadata.color": "red"}, ValueError),
        ({"layers.0.color": "red"}, ValueError),
    ],
)
async def test_update_refuses_what_the_document_cannot_hold(
    designs: MongoRepository[Design], values: dict[str, Any], error: type[Exception]
) -> None:
    design = await designs.create(draft())
    assert design.id is not None

    with pytest.raises(error):
        await designs.update(design.id, values)

    assert await designs.find_by_id(design.id) == design


@pytest.mark.anyio
async def test_create_refuses_what_the_document_cannot_hold(designs: MongoRepository[Design]) -> None:
    with pytest.raises(ValidationError):
        await designs.create(draft(name="x" * 256))

    assert await designs.count(include_deleted=True) == 0


@pytest.mark.anyio
async def test_the_collection_refuses_what_goes_around_the_repository(designs: MongoRepository[Design]) -> None:
    with pytest.raises(WriteError, match="Document failed validation"):
        await designs.collection.insert_one({"name": "Dress"})

    assert await designs.count(include_deleted=True) == 0


@pytest.mark.anyio
@pytest.mark.parametrize("count", [2, 101, 150])
async def test_a_read_is_one_command(designs: MongoRepository[Design], count: int) -> None:
    await designs.collection.insert_many(
        [Design.model_validate(draft(f"{number:03}")).to_mongo() for number in range(count)]
    )
    cost = Cost()
    current_cost.set(cost)

    everything = await designs.read(["name"], sort=["name"])
    limited = await designs.read(["name"], sort=["-name"], limit=count)
    grouped = await designs.aggregate([{"$sort": {"name": 1}}, {"$project": {"_id": False, "name": True}}])

    assert cost.mongo == 3
    names = [f"{number:03}" for number in range(count)]
    assert [document["name"] for document in everything] == names
    assert [document["name"] for document in limited] == names[::-1]
    assert grouped == [{"name": name} for name in names]


@pytest.mark.anyio
async def test_read_leaves_out_what_is_soft_deleted(designs: MongoRepository[Design]) -> None:
    gone = await designs.create(draft("Gone"))
    assert gone.id is not None
    await designs.soft_delete(gone.id)
    await designs.create(draft("Here"))

    assert [document["name"] for document in await designs.read(["name"])] == ["Here"]
    assert await designs.count({"deletedAt": {"$ne": None}}) == 0
    assert await designs.count({"deletedAt": {"$ne": None}}, include_deleted=True) == 1


@pytest.mark.anyio
async def test_a_document_of_mongoose_is_read(designs: MongoRepository[Design]) -> None:
    old = Design.model_validate(draft(layers=[layer("a", SILK)])).to_mongo()
    old["layers"][0] |= {"_id": ObjectId(), "rotation": None}
    result = await designs.collection.insert_one({**old, "deletedAt": None, "avatarId": None, "__v": 0})

    design = await designs.find_by_id(result.inserted_id)
    assert design is not None
    assert design.layers[0].item_id == SILK
    assert await designs.restore(result.inserted_id) is False
    assert await designs.soft_delete(result.inserted_id) is True
    assert await designs.restore(result.inserted_id) is True


@pytest.mark.anyio
async def test_two_repositories_share_a_transaction(designs: MongoRepository[Design], stores: Stores) -> None:
    others = MongoRepository(Design, stores.database)

    async def create_two() -> None:
        async with designs.transaction() as tx:
            await tx.create(draft("One"))
            await others.within(tx.session).create(draft("Two"))
            assert len(await tx.read(["name"])) == 2
            assert await tx.aggregate([{"$count": "designs"}]) == [{"designs": 2}]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await create_two()

    assert await designs.count() == 0
    with pytest.raises(RuntimeError, match="no transaction is running on Design"):
        _ = designs.session


@pytest.mark.anyio
async def test_a_refused_write_rolls_back(designs: MongoRepository[Design]) -> None:
    async def create_two() -> None:
        async with designs.transaction() as tx:
            design = await tx.create(draft("One"))
            await tx.collection.insert_one({"_id": design.id}, session=tx.session)

    with pytest.raises(OperationFailure):
        await create_two()

    assert await designs.count() == 0


class CancelInFlight(monitoring.CommandListener):
    """Cancels the scope as soon as a command of that name is on its way."""

    def __init__(self, command: str, scope: anyio.CancelScope) -> None:
        self.command = command
        self.scope = scope

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == self.command:
            self.scope.cancel()

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.mark.anyio
async def test_cancelling_a_command_leaves_no_lock(
    designs: MongoRepository[Design], stores: Stores, mongodb_url: str
) -> None:
    design = await designs.create(draft())
    assert design.id is not None
    scope = anyio.CancelScope()
    listeners = [CancelInFlight("aggregate", scope)]

    async with AsyncMongoClient[dict[str, Any]](mongodb_url, event_listeners=listeners) as client:
        with scope:
            async with MongoRepository(Design, client[stores.database.name]).transaction() as tx:
                await tx.update(design.id, {"name": "Skirt"})
                await tx.count()

        assert scope.cancelled_caught
        with anyio.fail_after(10):
            coat = await update_when_unlocked(designs, design.id)
    assert coat is not None
    assert (coat.name, coat.version) == ("Coat", 2)


async def update_when_unlocked(designs: MongoRepository[Design], id: ObjectId) -> Design | None:
    """The rollback of a cancelled scope goes on in the background."""
    while True:
        try:
            return await designs.update(id, {"name": "Coat"})
        except OperationFailure as error:
            if error.code != WRITE_CONFLICT:
                raise


@pytest.mark.anyio
async def test_a_server_without_transactions_says_so(settings: Settings) -> None:
    """SecantusDB has transactions even as a standalone; it is made to refuse them as MongoDB does."""
    with SecantusDBServer(storage_path=":memory:", enable_test_commands=True) as server:
        alone = settings.model_copy(update={"mongodb_uri": SecretStr(server.uri)})
        async with open_stores(alone) as stores:
            refused = {"failCommands": ["insert"], "errorCode": 20}
            await stores.mongo.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=refused)

            with pytest.raises(TransactionsUnsupported, match="must run as a replica set"):
                async with MongoRepository(Design, stores.database).transaction() as tx:
                    await tx.create(draft())


def test_one_process_may_have_several_event_loops(settings: Settings) -> None:
    async def create() -> list[str]:
        async with open_stores(settings) as stores:
            designs = MongoRepository(Design, stores.database)
            await designs.collection.delete_many({})
            await designs.create(draft())
            return [design.name for design in await designs.find_all()]

    assert [asyncio.run(create()) for _ in range(2)] == [["Dress"], ["Dress"]]
