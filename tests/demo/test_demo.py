"""The demo data: what is generated, how it gets into the stores, and the command."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import signal
import statistics
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import asyncpg
import orjson
import pytest
from argon2 import PasswordHasher
from bson import ObjectId
from pydantic import SecretStr
from rich.console import Console
from sqlalchemy import text
from typer.testing import CliRunner

from api.accounts.passwords import hasher
from api.commands.main import app
from api.commands.progress import shown
from api.config.settings import Settings
from api.demo import loader
from api.demo.generator import COUNTS, Block, generate
from api.demo.loader import Summary, is_empty
from api.demo.seeded_random import EPOCH, START
from api.errors import StoreUnfit
from api.stores.startup_errors import ServerError
from api.stores.stores import Stores, open_stores
from documents import Design
from documents.last_change import first_change
from models import Base
from tests.support.servers import WAIT, command, environment, wait_until
from tests.support.stores.distributed import UNRECORDED
from tests.support.stores.folders import throwaway_folder
from tests.support.stores.unindexed import make_collections

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
load = partial(loader.load, hasher=PasswordHasher(time_cost=1, memory_cost=32))
ALL_NEW = Summary(users=200, avatars=400, catalog_items=1500, designs=1000)
NOTHING_NEW = Summary(users=0, avatars=0, catalog_items=0, designs=0)
RANGES = {
    "male": {
        "height": (155, 200), "weight": (45, 125), "chest": (78, 125),
        "waist": (60, 115), "hips": (78, 125), "shoulderWidth": (36, 54),
    },
    "female": {
        "height": (145, 185), "weight": (35, 105), "chest": (74, 120),
        "waist": (54, 105), "hips": (80, 125), "shoulderWidth": (31, 46),
    },
    "unisex": {
        "height": (148, 192), "weight": (38, 115), "chest": (75, 122),
        "waist": (56, 110), "hips": (80, 125), "shoulderWidth": (33, 50),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def block() -> Block:
    """What scale 1 is made of."""
    (block,) = generate(1)
    return block


@pytest.fixture(scope="module")
def kept_block(block: Block) -> bytes:
    """The block, for copies of it: a load may change what it loads."""
    return pickle.dumps(block)


@pytest.fixture
async def stores(
    opened_stores: Stores, kept_block: bytes, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> AsyncIterator[Stores]:
    """Both stores, empty, to load into quickly: designs have no indexes, which take SecantusDB nine tenths of the time
    of a load, items no words to be searched by, which take PostgreSQL two thirds of it, and in this process the block
    isn't generated anew.

    In `test_without_configured_stores_those_of_dev_are_filled` all is as it is.
    """
    monkeypatch.setattr("api.demo.loader.generate", lambda _: [pickle.loads(kept_block)])
    database = opened_stores.database
    await database["designs"].drop_indexes()
    search = "ALTER TABLE catalog.catalog_items {} TRIGGER trg_catalog_items_search_insert"
    await change(opened_stores, search.format("DISABLE"))
    yield opened_stores
    await change(opened_stores, search.format("ENABLE"))
    await database.drop_collection("designs")
    await make_collections(database)


async def scalar(stores: Stores, statement: str, **values: Any) -> Any:
    async with stores.reads.connect() as connection:
        return await connection.scalar(text(statement), values)


async def change(stores: Stores, statement: str, **values: Any) -> None:
    async with stores.engine.begin() as connection:
        await connection.execute(text(UNRECORDED))
        await connection.execute(text(statement), values)


async def stored(stores: Stores) -> dict[str, int]:
    """How many of each kind there are, as in generator.COUNTS."""
    return {
        "users": await scalar(stores, "SELECT count(*) FROM shared.users"),
        "avatars": await scalar(stores, "SELECT count(*) FROM avatar.avatars"),
        "catalog items": await scalar(stores, "SELECT count(*) FROM catalog.catalog_items"),
        "designs": await stores.database["designs"].count_documents({}),
    }


def test_a_block_has_the_promised_counts(block: Block) -> None:
    assert len(block.users) == COUNTS["users"] == 200
    assert len(block.avatars) == COUNTS["avatars"] == 400
    assert len(block.items) == COUNTS["catalog items"] == 1500
    assert len(block.designs) == COUNTS["designs"] == 1000
    assert Counter(user["role"] for user in block.users) == {"user": 145, "premium": 46, "brand": 8, "admin": 1}
    assert Counter(item["type"] for item in block.items) == {"fabric": 600, "silhouette": 500, "pattern": 400}
    assert {item["category"] for item in block.items} == {
        *("top", "bottom", "dress", "outerwear", "accessory", "other"), None,
    }  # fmt: skip
    assert {len(design["layers"]) for design in block.designs} == {3, 5, 6, 7, 8}
    assert {design["status"] for design in block.designs} == {"draft", "published", "archived"}


def test_the_same_data_comes_out_everywhere(block: Block) -> None:
    content = orjson.dumps([block.users, block.avatars, block.items, block.designs], default=str)
    assert hashlib.sha256(content).hexdigest() == ("48fc7abf9a1fad5765ee0dd4066b93f26d8e0b6402ec17a4d60457832d54a21a")


def test_a_bigger_scale_contains_the_smaller_one(block: Block) -> None:
    first, second, third = generate(3)
    assert first == block
    keys = [
        [*(row["id"] for row in (*part.users, *part.avatars, *part.items)), *(d["_id"] for d in part.designs)]
        for part in (first, second, third)
    ]
    assert len({key for part in keys for key in part}) == 3 * sum(COUNTS.values())
    assert len({user["email"].lower() for part in (first, second, third) for user in part.users}) == 600


def test_a_scale_below_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        next(generate(0))


@pytest.mark.parametrize("number", [0, 1])
def test_references_resolve_and_point_back_in_time(number: int) -> None:
    part = list(generate(number + 1))[number]
    users = {user["id"]: user for user in part.users}
    avatars = {str(avatar["id"]): avatar for avatar in part.avatars}
    items = {str(item["id"]): item for item in part.items}
    for avatar in part.avatars:
        assert avatar["created_at"] >= users[avatar["user_id"]]["created_at"]
    for item in part.items:
        assert users[item["created_by"]]["role"] == "brand"
        assert item["created_at"] >= users[item["created_by"]]["created_at"]
    for design in part.designs:
        avatar = avatars[design["avatarId"]]
        assert str(avatar["user_id"]) == design["userId"]
        assert design["createdAt"] >= avatar["created_at"]
        used = [layer["itemId"] for layer in design["layers"]]
        assert design["catalogItemIds"] == list(dict.fromkeys(used))
        for layer in design["layers"]:
            assert items[layer["itemId"]]["type"] == layer["type"]
            assert items[layer["itemId"]]["created_at"] <= design["createdAt"]


def test_times_are_within_two_years_in_whole_milliseconds_and_the_ids_show_them(block: Block) -> None:
    rows = [*block.users, *block.avatars, *block.items]
    for created, updated in [(row["created_at"], row["updated_at"]) for row in rows] + [
        (design["createdAt"], design["updatedAt"]) for design in block.designs
    ]:
        assert START <= created <= updated <= EPOCH
        assert created.microsecond % 1000 == updated.microsecond % 1000 == 0
    for row in rows:
        assert row["id"].version == 7
        assert row["id"].int >> 80 == round(row["created_at"].timestamp() * 1000)
    for design in block.designs:
        assert design["_id"].generation_time == design["createdAt"].replace(microsecond=0)
        assert (design["version"] == 1) == (design["createdAt"] == design["updatedAt"])
        assert design.get("publishedAt") == (design["updatedAt"] if design["status"] == "published" else None)


def test_measurements_are_those_of_people(block: Block) -> None:
    assert {avatar["gender"] for avatar in block.avatars} == set(RANGES)
    for avatar in block.avatars:
        for name, value in avatar["measurements"].items():
            low, high = RANGES[avatar["gender"]][name]
            assert low < value < high, (avatar["gender"], name)
            assert value == round(value, 1)
    complete = [avatar["measurements"] for avatar in block.avatars if len(avatar["measurements"]) == 6]
    assert 340 < len(complete) < 400
    for one, other in (("height", "weight"), ("height", "shoulderWidth"), ("weight", "waist"), ("chest", "waist")):
        related = statistics.correlation([person[one] for person in complete], [person[other] for person in complete])
        assert related > 0.5, (one, other)


def test_a_user_has_one_default_avatar(block: Block) -> None:
    defaults = Counter(avatar["user_id"] for avatar in block.avatars if avatar["is_default"])
    assert defaults == {user["id"]: 1 for user in block.users}


def test_the_catalogue_reads_like_one(block: Block) -> None:
    assert len({item["name"] for item in block.items}) == 1500
    for item in block.items:
        assert re.fullmatch(r"[A-ZÀ-Þ].{30,300}\.", item["description"]), item["description"]
        assert item["properties"]["tags"]
        low, high = {"fabric": (300, 45000), "silhouette": (1400, 60000), "pattern": (0, 3500)}[item["type"]]
        assert low <= item["price"] <= high, item["name"]
    words = " ".join(item["name"] for item in block.items)
    for word in ("gabardine", "Harris tweed", "charmeuse", "houndstooth", "gingham", "paisley", "ikat", "trench coat"):
        assert word in words
    assert 200 < sum(item["is_premium"] for item in block.items) < 350
    assert 20 < sum(not item["is_active"] for item in block.items) < 70


def test_every_address_is_reserved_for_tests(block: Block) -> None:
    rows = [*block.users, *block.avatars, *block.items]
    for url in [value for row in rows for key, value in row.items() if key.endswith("_url")] + [
        design["metadata"]["thumbnailUrl"] for design in block.designs if "thumbnailUrl" in design["metadata"]
    ]:
        assert url.startswith("https://assets.fashion-wallet.test/")
    for user in block.users:
        assert re.fullmatch(r"[a-z.]+@fashion-wallet\.test", user["email"])


@pytest.mark.parametrize(("number", "role"), list(enumerate(["admin", "brand", "premium", "user"])))
def test_each_role_has_an_account_with_avatars_and_designs(block: Block, number: int, role: str) -> None:
    account = block.users[number]
    assert (account["email"], account["role"]) == (f"{role}@fashion-wallet.test", role)
    assert account["is_active"] is True
    assert account["email_verified"] is True
    assert sum(avatar["user_id"] == account["id"] for avatar in block.avatars) >= 3
    designs = [design for design in block.designs if design["userId"] == str(account["id"])]
    assert Counter(design["status"] for design in designs) == {"published": 7, "draft": 3, "archived": 2}


async def test_designs_are_what_the_application_would_have_written(stores: Stores, block: Block) -> None:
    for design in block.designs:
        change = first_change(design["version"], design["updatedAt"], design["userId"], None)
        assert Design.model_validate(design).to_mongo() | {"change": change} == design


async def test_load_fills_both_stores(stores: Stores, block: Block) -> None:
    assert await is_empty(stores)
    reports: list[tuple[str, int, int]] = []

    summary = await load(stores, password=PASSWORD, progress=lambda *report: reports.append(report))

    assert summary == ALL_NEW
    assert reports == [(kind, count, count) for kind, count in COUNTS.items()]
    assert await stored(stores) == COUNTS
    assert not await is_empty(stores)
    item = block.items[700]
    async with stores.reads.connect() as connection:
        found = await connection.execute(text("SELECT * FROM catalog.catalog_items WHERE id = :id"), {"id": item["id"]})
        assert dict(found.mappings().one()) == {**item, "deleted_at": None}
    assert await scalar(stores, "SELECT count(*) FROM shared.users WHERE created_by IS NOT NULL") == 8
    entries = "SELECT count(*) FROM audit.audit_log WHERE operation = 'INSERT' AND table_name = 'avatar.avatars'"
    assert await scalar(stores, entries) == COUNTS["avatars"]
    assert await stores.database["designs"].find_one({"_id": block.designs[70]["_id"]}) == block.designs[70]


async def test_the_accounts_have_the_password(stores: Stores) -> None:
    await load(stores, password=PASSWORD)

    async with stores.reads.connect() as connection:
        found = await connection.execute(text("SELECT email, password_hash FROM shared.users"))
        hashes = {row.email.partition("@")[0]: row.password_hash for row in found}
    accounts = [hashes.pop(role) for role in ("admin", "brand", "premium", "user")]
    shared = set(hashes.values())
    assert len(hashes) == 196
    assert len(set(accounts)) == 4
    assert len(shared) == 1
    for password_hash in (*accounts, *shared):
        assert password_hash.startswith("$argon2id$")
        assert PasswordHasher().verify(password_hash, PASSWORD)


async def test_a_second_load_changes_nothing(stores: Stores, block: Block) -> None:
    await load(stores, password=PASSWORD)
    user, item, design = block.users[10]["id"], block.items[10]["id"], block.designs[10]["_id"]
    await change(
        stores, "UPDATE shared.users SET first_name = 'Renamed', password_hash = 'own' WHERE id = :id", id=user
    )
    await change(stores, "UPDATE catalog.catalog_items SET deleted_at = now(), price = 1 WHERE id = :id", id=item)
    await stores.database["designs"].update_one({"_id": design}, {"$set": {"name": "Mine now"}})
    before = await everything(stores)

    assert await load(stores, password="another password") == NOTHING_NEW

    assert await everything(stores) == before


async def everything(stores: Stores) -> list[Any]:
    async with stores.reads.connect() as connection:
        rows = [
            [dict(row) for row in (await connection.execute(table.select().order_by(*table.primary_key))).mappings()]
            for table in Base.metadata.sorted_tables
        ]
    return [*rows, await stores.database["designs"].find({}, sort=[("_id", 1)], batch_size=2000).to_list()]


async def test_what_is_missing_is_put_back(stores: Stores, block: Block) -> None:
    await load(stores, password=PASSWORD)
    before = await stored(stores)
    gone = [block.users[number]["id"] for number in (0, 50, 150)]  # the first one created the brands
    avatars = sum(avatar["user_id"] in gone for avatar in block.avatars)
    await change(stores, "DELETE FROM shared.users WHERE id = ANY(:ids)", ids=gone)
    await change(stores, "DELETE FROM catalog.catalog_items WHERE price < 1000")
    items = 1500 - await scalar(stores, "SELECT count(*) FROM catalog.catalog_items")
    designs: list[ObjectId] = [design["_id"] for design in block.designs[900:]]
    await stores.database["designs"].delete_many({"_id": {"$in": designs}})

    summary = await load(stores, password=PASSWORD)

    assert items > 100
    assert summary == Summary(users=3, avatars=avatars, catalog_items=items, designs=100)
    assert await stored(stores) == before


async def test_a_load_that_breaks_off_is_resumed(stores: Stores) -> None:
    def break_off(kind: str, done: int, total: int) -> None:
        if kind == "avatars":
            raise KeyError("stopped here")

    with pytest.raises(KeyError, match="stopped here"):
        await load(stores, password=PASSWORD, progress=break_off)
    assert await stored(stores) == {"users": 200, "avatars": 400, "catalog items": 0, "designs": 0}
    assert not await is_empty(stores)

    assert await load(stores, password=PASSWORD) == Summary(users=0, avatars=0, catalog_items=1500, designs=1000)
    assert await stored(stores) == COUNTS


async def test_an_address_that_somebody_else_has_is_left_to_them(stores: Stores, block: Block) -> None:
    await change(stores, "INSERT INTO shared.users (email, password_hash) VALUES ('Admin@Fashion-Wallet.test', 'own')")
    admin = block.users[0]["id"]
    avatars = sum(avatar["user_id"] == admin for avatar in block.avatars)
    designs = sum(design["userId"] == str(admin) for design in block.designs)

    summary = await load(stores, password=PASSWORD)

    assert summary == Summary(
        users=199,
        avatars=400 - avatars,
        catalog_items=1500,
        designs=1000 - designs,
        taken_emails=("admin@fashion-wallet.test",),
    )
    assert await scalar(stores, "SELECT count(*) FROM shared.users WHERE created_by IS NOT NULL") == 0
    assert await scalar(
        stores, "SELECT password_hash FROM shared.users WHERE role = 'user' AND first_name IS NULL"
    ) == ("own")


async def test_an_avatar_that_is_put_back_leaves_the_default_to_a_newer_one(stores: Stores, block: Block) -> None:
    await load(stores, password=PASSWORD)
    avatar = block.avatars[0]
    await change(stores, "DELETE FROM avatar.avatars WHERE id = :id", id=avatar["id"])
    await change(
        stores,
        "INSERT INTO avatar.avatars (user_id, name, is_default) VALUES (:user, 'New', true)",
        user=avatar["user_id"],
    )

    assert await load(stores, password=PASSWORD) == Summary(users=0, avatars=1, catalog_items=0, designs=0)

    assert await scalar(stores, "SELECT is_default FROM avatar.avatars WHERE id = :id", id=avatar["id"]) is False


@pytest.fixture
async def bare_database(settings: Settings, anyio_backend: str) -> AsyncIterator[str]:
    """URL of a PostgreSQL database without any tables."""
    assert settings.postgres_url is not None
    connection = await asyncpg.connect(settings.postgres_url)
    await connection.execute("CREATE DATABASE bare")
    yield urlsplit(settings.postgres_url)._replace(path="/bare").geturl()
    await connection.execute("DROP DATABASE bare WITH (FORCE)")
    await connection.close()


async def test_postgresql_without_tables_is_named(settings: Settings, bare_database: str) -> None:
    bare = settings.model_copy(update={"database_url": SecretStr(bare_database)})
    async with open_stores(bare) as stores:
        with pytest.raises(StoreUnfit) as refusal:
            await load(stores, password=PASSWORD)
    assert "run `fashion-wallet migrate run`" in refusal.value.reason


async def test_mongodb_without_the_collection_is_named(settings: Settings, stores: Stores) -> None:
    bare = settings.model_copy(update={"mongodb_database": "bare"})
    async with open_stores(bare) as without:
        with pytest.raises(ServerError, match="MongoDB has no collection designs: run `fashion-wallet migrate run`"):
            await load(without, password=PASSWORD)
        assert await without.database.list_collection_names() == []
    assert await is_empty(stores)


def test_progress_is_a_line_for_each_kind_without_a_terminal() -> None:
    output = io.StringIO()
    with shown(Console(file=output)) as progress:
        progress("users", 200, 400)
        progress("users", 400, 400)
        progress("designs", 2000, 2000)
    assert output.getvalue() == "users: 400 of 400\ndesigns: 2000 of 2000\n"


def test_progress_is_a_bar_for_each_kind_on_a_terminal() -> None:
    output = io.StringIO()
    with shown(Console(file=output, force_terminal=True, color_system=None, width=100)) as progress:
        progress("catalog items", 1500, 3000)
    printed = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", output.getvalue()).splitlines()
    last = [line for line in printed if line.strip()][-4:]
    assert [line.split()[0] for line in last] == ["users", "avatars", "catalog", "designs"]
    assert "1500/3000" in last[2]
    assert "━" in last[2]


def run(*arguments: str, folder: Path, variables: dict[str, str]) -> tuple[int, str]:
    """Exit code and output of `fashion-wallet demo`."""
    with command("demo", *arguments, folder=folder, variables=variables) as process:
        return process.process.wait(3 * WAIT), process.text()


async def demo(folder: Path, variables: dict[str, str], *arguments: str) -> tuple[int, str]:
    return await anyio.to_thread.run_sync(lambda: run(*arguments, folder=folder, variables=variables))


async def test_the_command_says_what_it_did(stores: Stores, settings: Settings, tmp_path: Path) -> None:
    first = await demo(tmp_path, environment(settings, DEMO_PASSWORD=PASSWORD))
    second = await demo(tmp_path, environment(settings))

    assert first == (
        0,
        "users: 200 of 200\navatars: 400 of 400\ncatalog items: 1500 of 1500\ndesigns: 1000 of 1000\n"
        "Inserted 200 users, 400 avatars, 1500 catalog items, 1000 designs.\n"
        "Sign in as admin@fashion-wallet.test, brand@fashion-wallet.test, premium@fashion-wallet.test, "
        "user@fashion-wallet.test, with the password of DEMO_PASSWORD.\n",
    )
    assert second[0] == 0
    assert second[1].endswith("\nNothing to insert: the demo data is already there.\n")
    password_hash = await scalar(stores, "SELECT password_hash FROM shared.users WHERE email LIKE 'brand@%'")
    assert PasswordHasher().verify(password_hash, PASSWORD)
    assert not hasher(settings).check_needs_rehash(password_hash)  # as the application would hash it


async def test_the_command_goes_on_after_it_was_killed(stores: Stores, settings: Settings, tmp_path: Path) -> None:
    def kill_in_the_middle() -> int:
        with command("demo", "--scale", "2", folder=tmp_path, variables=environment(settings)) as process:
            wait_until(lambda: has_users() or process.process.poll() is not None, "users loaded")
            return process.stop(signal.SIGKILL)

    def has_users() -> bool:
        return bool(anyio.from_thread.run(scalar, stores, "SELECT EXISTS (SELECT FROM shared.users)"))

    assert await anyio.to_thread.run_sync(kill_in_the_middle) == -signal.SIGKILL
    assert (await stored(stores))["designs"] < 2000

    assert (await demo(tmp_path, environment(settings), "--scale", "2"))[0] == 0

    assert await stored(stores) == {kind: 2 * count for kind, count in COUNTS.items()}


async def test_the_command_is_refused_in_production(stores: Stores, settings: Settings, tmp_path: Path) -> None:
    code, output = await demo(tmp_path, environment(settings, ENVIRONMENT="production"))

    assert code == 2
    assert output == ("Error: ENVIRONMENT is production: demo accounts, whose password is known, are not for there\n")
    assert await is_empty(stores)


@pytest.mark.parametrize("scale", ["0", "-1", "1.5"])
def test_the_command_refuses_other_scales(scale: str) -> None:
    result = CliRunner().invoke(app, ["demo", "--scale", scale])
    assert result.exit_code == 2
    assert "Invalid value for '--scale'" in result.output


@pytest.mark.parametrize(
    ("variable", "url", "store"),
    [("DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/x", "PostgreSQL"),
     ("MONGODB_URI", "mongodb://me:secret@127.0.0.1:1/x?authSource=admin", "MongoDB")],
)  # fmt: skip
def test_a_store_that_is_down_is_one_line(
    settings: Settings, tmp_path: Path, variable: str, url: str, store: str
) -> None:
    variables = environment(settings, MONGODB_SELECTION_TIMEOUT="0.5") | {variable: url}

    code, output = run(folder=tmp_path, variables=variables)

    assert code == 1
    assert output.startswith(f"Error: {store}: ")
    assert output.count("\n") == 1
    assert "secret" not in output


def test_without_configured_stores_those_of_dev_are_filled() -> None:
    # not below pytest's own folder: PostgreSQL under root runs as another user, who may not enter it
    with throwaway_folder() as folder:
        code, output = run(folder=folder, variables=environment(PASSWORD_HASH_TIME="1", PASSWORD_HASH_MEMORY="32"))
        assert code == 0, output
        assert "Inserted 200 users, 400 avatars, 1500 catalog items, 1000 designs." in output
        assert (folder / ".data" / "postgres").is_dir()
        assert (folder / ".data" / "mongodb").is_dir()
