"""What is stored may be odd: one odd value takes nothing else away, from nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pytest
import structlog
from bson import ObjectId, decode, encode
from bson.datetime_ms import DatetimeMS
from sqlalchemy import text

from api.ids import encode_id
from api.lists.conditions import EVERYTHING
from api.lists.pagination import Cursors, page_request
from api.stores.stores import Stores
from models import new_id
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid, respond
from tests.support.signing_in import signed_in
from tests.support.stores.distributed import UNRECORDED
from tests.support.stores.odd_designs import VALUES, Path, odd_documents, sound

pytestmark = pytest.mark.anyio

DESIGN = """
    id name status version createdAt updatedAt publishedAt deletedAt owner { id } avatar { id } catalogItems { id }
    layers { layerId type catalogItem { id } position { x y z } rotation scale { x y } color visible }
    metadata { tags description thumbnailUrl canvasSize { width height } }
"""
PAGE = f"""query ($after: String, $deleted: Boolean, $order: DesignOrder) {{
    designs(first: 100, after: $after, filter: {{deleted: $deleted}}, orderBy: $order) {{
        nodes {{ {DESIGN} }} pageInfo {{ hasNextPage endCursor }} }} }}"""

MADE: Final = "the time in its id"
ORIGIN = {"x": 0.0, "y": 0.0, "z": 0.0}
NOTHING: Final[Mapping[str, Any]] = {"tags": [], "description": None, "thumbnailUrl": None, "canvasSize": None}
NUMBER = "1000000000000000.0"
A_LAYER = {
    "layerId": "",
    "type": "SILHOUETTE",
    "catalogItem": None,
    "position": ORIGIN,
    "rotation": None,
    "scale": None,
    "color": None,
    "visible": True,
}
STORED: Final[Mapping[str, str]] = {
    "id": "layerId",
    "userId": "owner",
    "avatarId": "avatar",
    "itemId": "catalogItem",
}
"""The fields that aren't called as what is stored."""
UNSEEN: Final = {"catalogItemIds", "requestId", "updatedBy"}

# what reads in each place, by the kinds of VALUES: missing, null, text, number, object, list
READS: Final[Mapping[str, tuple[Any, ...]]] = {
    "name": ("", "", "odd", NUMBER, "", ""),
    "status": ("DRAFT",) * 6,
    "version": (1,) * 6,
    "createdAt": (MADE,) * 6,
    "updatedAt": (MADE,) * 6,
    "publishedAt": (None,) * 6,
    "deletedAt": (None,) * 6,
    "owner": (None,) * 6,
    "avatar": (None,) * 6,
    "layers": ([], [], [], [], [], [A_LAYER]),
    "layers.0.layerId": ("", "", "odd", "1000000000000000", "", ""),
    "layers.0.type": ("SILHOUETTE",) * 6,
    "layers.0.catalogItem": (None,) * 6,
    "layers.0.position": (ORIGIN,) * 6,
    "layers.0.position.x": (0.0, 0.0, 0.0, 1e15, 0.0, 0.0),
    "layers.0.position.y": (0.0, 0.0, 0.0, 1e15, 0.0, 0.0),
    "layers.0.position.z": (0.0, 0.0, 0.0, 1e15, 0.0, 0.0),
    "layers.0.rotation": (None, None, None, 1e15, None, None),
    "layers.0.scale": (None, None, None, None, {"x": 1.0, "y": 1.0}, None),
    "layers.0.scale.x": (1.0, 1.0, 1.0, 1e15, 1.0, 1.0),
    "layers.0.scale.y": (1.0, 1.0, 1.0, 1e15, 1.0, 1.0),
    "layers.0.color": (None, None, "odd", NUMBER, None, None),
    "layers.0.visible": (True,) * 6,
    "metadata": (NOTHING,) * 6,
    "metadata.tags": ([], [], [], [], [], ["odd"]),
    "metadata.description": (None, None, "odd", NUMBER, None, None),
    "metadata.thumbnailUrl": (None, None, "odd", NUMBER, None, None),
    "metadata.canvasSize": (None,) * 6,
}


async def insert(stores: Stores, documents: Iterable[dict[str, Any]]) -> None:
    await stores.database["designs"].insert_many([*documents], bypass_document_validation=True)


async def listed(client: httpx.AsyncClient, **variables: Any) -> dict[str, dict[str, Any]]:
    """Every design of a list, page by page, by global id; none may come twice."""
    found: dict[str, Any] = {}
    after = None
    while True:
        page = (await execute(client, PAGE, after=after, **variables))["designs"]
        ids = [design["id"] for design in page["nodes"]]
        assert found.keys().isdisjoint(ids)
        found |= zip(ids, page["nodes"], strict=True)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


def expected(whole: Mapping[str, Any], path: Path, kind: str, key: ObjectId) -> dict[str, Any]:
    """How a design reads that is `whole` but for one place."""
    number = [*VALUES].index(kind)
    names = [STORED.get(name, name) if isinstance(name, str) else name for name in path]
    if path[0] in UNSEEN:
        return {**whole}
    if path == ("layers", 0):
        return {**whole, "layers": [*([A_LAYER] if kind == "object" else []), whole["layers"][1]]}
    if path == ("metadata", "tags", 0):
        first = {"text": ["odd"], "number": [NUMBER]}.get(kind, [])
        return {**whole, "metadata": {**whole["metadata"], "tags": [*first, whole["metadata"]["tags"][1]]}}
    if path[:2] == ("metadata", "canvasSize"):  # one odd part, and there is no size
        names = names[:2]
    value = READS[".".join(map(str, names))][number]
    changed: dict[str, Any] = with_value(whole, names, key.generation_time.isoformat() if value is MADE else value)
    return {**changed, "catalogItems": []} if path == ("layers",) else changed


def with_value(part: Any, names: list[str | int], value: Any) -> Any:
    """The part with another value in this place."""
    if not names:
        return value
    name, *rest = names
    if isinstance(part, list):
        return [with_value(item, rest, value) if index == name else item for index, item in enumerate(part)]
    return {**part, name: with_value(part[name], rest, value)}


async def test_every_odd_design_reads_as_it_can_and_all_the_others_as_they_are(
    admin: httpx.AsyncClient, stores: Stores
) -> None:
    user = await create_user(stores)
    avatar, item = await create_avatar(stores, user_id=user.id), await create_catalog_item(stores)
    document = sound(str(user.id), str(avatar.id), str(item.id))
    odd, key = odd_documents(document), ObjectId()
    await insert(stores, [{"_id": key, **document}, *odd.values()])
    with structlog.testing.capture_logs() as logs:
        found = await listed(admin) | await listed(admin, deleted=True)
    whole = found.pop(encode_id("Design", key))
    assert whole["catalogItems"] == [{"id": gid(item)}]

    wrong = {}
    for (path, kind), stored in odd.items():
        id = encode_id("Design", stored["_id"])
        reads = {**expected(whole, path, kind, stored["_id"]), "id": id}
        if (shown := found.pop(id, None)) != reads:
            wrong[path, kind] = shown and {name: value for name, value in shown.items() if value != reads[name]}
    assert wrong == {}
    assert found == {}

    reported = [(log["type"], log["id"], log["field"]) for log in logs if log["event"] == "odd value"]
    assert len(set(reported)) == len(reported)
    named = {(type_name, str(odd[path, kind]["_id"]), field) for type_name, path, kind, field in REPORTED}
    assert named <= set(reported)
    assert {type_name for type_name, _, _ in reported} == {"Design"}
    with structlog.testing.capture_logs() as again:
        await listed(admin)
    assert [log for log in again if log["event"] == "odd value"] == []


REPORTED: Final[tuple[tuple[str, Path, str, str], ...]] = (
    ("Design", ("name",), "missing", "name"),
    ("Design", ("version",), "text", "version"),
    ("Design", ("createdAt",), "number", "createdAt"),
    ("Design", ("layers",), "list", "layers"),
    ("Design", ("layers", 0, "type"), "missing", "layers.type"),
    ("Design", ("layers", 0, "position", "x"), "text", "layers.position.x"),
    ("Design", ("metadata", "tags", 0), "null", "metadata.tags"),
    ("Design", ("metadata", "canvasSize", "width"), "number", "metadata.canvasSize"),
)


@pytest.mark.parametrize(("field", "direction"), [("CREATED_AT", "DESC"), ("UPDATED_AT", "ASC"), ("NAME", "DESC")])
async def test_pages_go_on_beyond_odd_values(
    admin: httpx.AsyncClient, stores: Stores, field: str, direction: str
) -> None:
    document = sound("none", "none", "none")
    name = {"CREATED_AT": "createdAt", "UPDATED_AT": "updatedAt", "NAME": "name"}[field]
    values = [None, 5, 5, -1.5, "odd", "odd", "other", {"odd": 1}, ObjectId(), True, document["createdAt"]]
    await insert(stores, [{"_id": ObjectId(), **document, name: value} for value in values])
    query = """query ($after: String, $before: String, $first: Int, $last: Int, $order: DesignOrder) {
        designs(first: $first, last: $last, after: $after, before: $before, orderBy: $order) {
            nodes { id } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }"""
    order = {"field": field, "direction": direction}
    every = (await execute(admin, query, order=order))["designs"]["nodes"]
    assert len(every) == len(values)

    forwards: list[Any] = []
    page: dict[str, Any] = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
    while page["pageInfo"]["hasNextPage"]:
        after = page["pageInfo"]["endCursor"]
        page = (await execute(admin, query, first=1, after=after, order=order))["designs"]
        forwards += page["nodes"]
    assert forwards == every
    backwards: list[Any] = []
    page = {"pageInfo": {"hasPreviousPage": True, "startCursor": None}}
    while page["pageInfo"]["hasPreviousPage"]:
        before = page["pageInfo"]["startCursor"]
        page = (await execute(admin, query, last=1, before=before, order=order))["designs"]
        backwards = page["nodes"] + backwards
    assert backwards == every


async def test_times_beyond_those_of_python_are_read(stores: Stores) -> None:
    options = stores.database.codec_options
    last, first = datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), datetime(1, 1, 1, tzinfo=UTC)
    for milliseconds, nearest in ((2**62, last), (-(2**62), first)):
        read = decode(encode({"at": DatetimeMS(milliseconds), "name": "Whole"}), options)
        assert read == {"at": DatetimeMS(milliseconds), "name": "Whole"}
        request = page_request("designs", first=1, after=None, last=None, before=None, scope=EVERYTHING)
        cursor = Cursors(request, order_value=lambda row: row["at"], key=lambda row: ObjectId()).of(read)
        after = page_request("designs", first=1, after=cursor, last=None, before=None, scope=EVERYTHING).after
        assert after is not None
        assert after.value == nearest


CHANGES: Final = """mutation ($update: UpdateDesignInput!, $patch: ApplyDesignPatchInput!, $delete: DeleteDesignInput!,
        $restore: RestoreDesignInput!, $back: RestoreDesignRevisionInput!, $copy: DuplicateDesignInput!) {
    updateDesign(input: $update) { errors { message } design { version name } }
    applyDesignPatch(input: $patch) { errors { message } design { version layers { layerId } } }
    deleteDesign(input: $delete) { errors { message } design { version } }
    restoreDesign(input: $restore) { errors { message } design { version deletedAt } }
    restoreDesignRevision(input: $back) { errors { message } design { version layers { layerId } } }
    duplicateDesign(input: $copy) { errors { message } design { version status } } }"""


async def test_every_odd_design_can_be_changed_deleted_and_restored(client: httpx.AsyncClient, stores: Stores) -> None:
    admin, _ = await signed_in(client, stores, "admin")
    user = await create_user(stores)
    document = sound(str(user.id), str(new_id()), str(new_id())) | {"status": "draft"}
    odd, kinds = odd_documents(document), [*VALUES]
    paths = [path for path in dict.fromkeys(path for path, _ in odd) if path != ("deletedAt",)]
    places = [(path, kinds[index % len(kinds)]) for index, path in enumerate(paths[::2])]  # each kind in turn
    some = [(place, odd[place]) for place in places]
    await insert(stores, [each for _, each in some])
    wrong: dict[Any, Any] = {}
    for place, each in some:
        id, layers = encode_id("Design", each["_id"]), each.get("layers")
        version = 1 if place[0] == ("version",) else 4
        operations = [{"add": {"layer": {"id": "new", "type": "FABRIC"}}}]
        inputs = {
            "update": {"id": id, "expectedVersion": version, "name": "New", "metadata": {"description": "New"}},
            "patch": {"id": id, "expectedVersion": version + 1, "operations": operations},
            "delete": {"id": id, "expectedVersion": version + 2},
            "restore": {"id": id, "expectedVersion": version + 2},
            "back": {"id": id, "version": version, "expectedVersion": version + 2},
            "copy": {"id": id},
        }
        body = await respond(admin, CHANGES, **inputs)
        seen = {name: (payload or {}).get("errors") for name, payload in (body["data"] or {}).items()}
        if "errors" in body or any(seen.values()):
            wrong[place] = body.get("errors") or seen
            continue
        data = {name: payload["design"] for name, payload in body["data"].items()}
        assert data["updateDesign"] == {"version": version + 1, "name": "New"}
        assert data["restoreDesign"] == {"version": version + 2, "deletedAt": None}
        assert data["duplicateDesign"] == {"version": 1, "status": "DRAFT"}
        kept = {"designId": each["_id"], "version": version + 1}
        revision = await stores.database["design_revisions"].find_one(kept)
        assert revision is not None
        if isinstance(layers, list):
            assert repr(revision["layers"]) == repr(layers)
            assert data["applyDesignPatch"]["layers"][-1] == {"layerId": "new"}
    assert wrong == {}


async def test_odd_json_in_rows_reads_as_it_can(admin: httpx.AsyncClient, stores: Stores) -> None:
    item, avatar = await create_catalog_item(stores), await create_avatar(stores)
    item_of = """{ catalogItems { nodes { properties { color texture material patternType tags } } } }"""
    avatar_of = "{ avatars { nodes { measurements { height weight chest waist hips shoulderWidth } } } }"

    async def properties(json: str) -> Any:
        await put(stores, "catalog.catalog_items", "properties", item.id, json)
        return (await execute(admin, item_of))["catalogItems"]["nodes"][0]["properties"]

    async def measurements(json: str) -> Any:
        await put(stores, "avatar.avatars", "measurements", avatar.id, json)
        return (await execute(admin, avatar_of))["avatars"]["nodes"][0]["measurements"]

    bare: dict[str, Any] = {"color": None, "texture": None, "material": None, "patternType": None, "tags": []}
    assert await properties('{"tags": "single", "color": {}, "texture": ["a"]}') == bare
    assert await properties('{"tags": {}, "color": null}') == bare
    tags = await properties('{"tags": [1, null, "a", {}, []], "color": 5, "texture": "soft"}')
    assert tags == {**bare, "tags": ["1", "a"], "color": "5", "texture": "soft"}
    unknown = dict.fromkeys(("height", "weight", "chest", "waist", "hips", "shoulderWidth"))
    assert await measurements('{"height": [170], "weight": 60}') == {**unknown, "weight": 60.0}
    assert await measurements('{"height": 1e400, "weight": 1e15}') == {**unknown, "weight": 1e15}


async def put(stores: Stores, table: str, column: str, id: Any, json: str) -> None:
    async with stores.engine.begin() as connection:
        await connection.execute(text(UNRECORDED))
        change = text(f"UPDATE {table} SET {column} = CAST(:value AS jsonb) WHERE id = :id")
        await connection.execute(change, {"value": json, "id": id})
