"""The versions of a design: what is kept of them, who may read them, what differs, and going back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from bson import ObjectId
from starlette.applications import Starlette

from api.config.settings import Settings
from api.designs import revision_store
from api.http.application import create_app
from api.ids import encode_id
from api.stores.stores import Stores
from documents import Design
from models import User
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import catalog_items, create_catalog_item
from tests.support.factories.designs import create_design, designs, insert_design, layer_of
from tests.support.graphql import error_of, execute, gid, sent
from tests.support.mutations.designs import changed, problems, revisions, seen, stored
from tests.support.signing_in import signed_in

pytestmark = pytest.mark.anyio

VERSIONS = "query ($id: ID!) { design(id: $id) { revisions { nodes { version name } totalCount } } }"
PAGE = """query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { design(id: $id) {
    revisions(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { version } } pageInfo { hasNextPage hasPreviousPage } } } }"""
DIFF = """query ($id: ID!, $from: Int!, $to: Int!) { design(id: $id) { diff(from: $from, to: $to) {
    fromVersion toVersion fields { field before after } added { layerId } removed { layerId }
    changed { layerId fields { field before after } before { color catalogItem { id } } after { color } }
    moved { layerId before after } } } }"""


@pytest.fixture
def user(account: tuple[httpx.AsyncClient, User]) -> User:
    return account[1]


async def rename(client: httpx.AsyncClient, id: str, *names: str, version: int = 1) -> None:
    """Make a version of each name, beginning after this one."""
    for name in names:
        await changed(client, "updateDesign", id=id, expectedVersion=version, name=name)
        version += 1


async def versions(client: httpx.AsyncClient, id: str, query: str = VERSIONS) -> Any:
    found = (await execute(client, query, id=id))["design"]["revisions"]
    return found and [(node["version"], node["name"]) for node in found["nodes"]]


async def test_the_newest_version_is_first(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    admin, boss = await signed_in(ada, stores, "admin")
    design = await changed(ada, "createDesign", name="One", layers=[{"id": "a", "type": "FABRIC"}])
    await rename(ada, design["id"], "Two")
    await rename(admin, design["id"], "Three", version=2)

    query = """query ($id: ID!) { design(id: $id) { updatedAt revisions { totalCount nodes {
        version name status at requestId actor { id } layers { layerId type visible } metadata { tags } avatar { id }
        } } } }"""
    found = (await execute(ada, query, id=design["id"]))["design"]

    nodes = found["revisions"]["nodes"]
    assert found["revisions"]["totalCount"] == 3
    assert [(node["version"], node["name"], node["actor"]["id"]) for node in nodes] == [
        (3, "Three", gid(boss)),
        (2, "Two", gid(user)),
        (1, "One", gid(user)),
    ]
    assert {node["status"] for node in nodes} == {"DRAFT"}
    assert all(node["layers"] == [{"layerId": "a", "type": "FABRIC", "visible": True}] for node in nodes)
    assert all((node["metadata"], node["avatar"]) == ({"tags": []}, None) for node in nodes)
    assert nodes[0]["at"] == found["updatedAt"]
    assert nodes[2]["at"] <= nodes[1]["at"] <= nodes[0]["at"]
    assert len({node["requestId"] for node in nodes}) == 3


async def test_a_revision_is_what_was_stored(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    avatar, silk = await create_avatar(stores, user_id=user.id), await create_catalog_item(stores)
    values = {"avatar_id": avatar.id, "layers": [layer_of(silk.id, color="red")], "metadata": {"tags": ["a"]}}
    design = await create_design(stores, user_id=user.id, version=3, updated_by=user.id, request_id="r", **values)
    before = await stored(stores, design)
    assert before is not None

    await rename(ada, gid(design), "New", version=3)

    [revision] = await revisions(stores, design)
    assert isinstance(revision.pop("_id"), ObjectId)
    assert revision == {
        "designId": design.id,
        "version": 3,
        **{"number": 0, "operation": "UPDATE"},
        **{name: before[name] for name in ("name", "status", "layers", "metadata", "avatarId")},
        "actorId": str(user.id),
        "requestId": "r",
        "at": before["updatedAt"],
    }


async def test_pages_of_versions(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    design = await create_design(stores, user_id=user.id)
    await rename(ada, gid(design), *"bcdef")

    async def page(**arguments: Any) -> tuple[list[int], list[str], bool, bool]:
        found = (await execute(ada, PAGE, id=gid(design), **arguments))["design"]["revisions"]
        info = found["pageInfo"]
        numbers = [edge["node"]["version"] for edge in found["edges"]]
        return numbers, [edge["cursor"] for edge in found["edges"]], info["hasNextPage"], info["hasPreviousPage"]

    numbers, cursors, *more = await page()
    assert (numbers, more) == ([6, 5, 4, 3, 2, 1], [False, False])
    for size in range(1, 7):
        together: list[int] = []
        after = None
        while True:
            part, ends, has_next, has_previous = await page(first=size, after=after)
            assert has_previous is (after is not None)
            together += part
            if not has_next:
                break
            after = ends[-1]
        assert together == numbers
        together, before = [], None
        while True:
            part, ends, has_next, has_previous = await page(last=size, before=before)
            assert has_next is (before is not None)
            together = part + together
            if not has_previous:
                break
            before = ends[0]
        assert together == numbers
    assert (await page(after=cursors[0], before=cursors[3]))[0] == [5, 4]
    assert (await page(first=0))[0] == []
    code, _ = await error_of(ada, PAGE, id=gid(design), after="me")
    assert code == "BAD_CURSOR"


async def test_only_who_may_edit_a_design_reads_its_history(
    ada: httpx.AsyncClient, client: httpx.AsyncClient, stores: Stores, user: User
) -> None:
    design = await create_design(stores, user_id=user.id, status="published", layers=[layer_of(None)])
    await rename(ada, gid(design), "New")
    query = """query ($id: ID!) { design(id: $id) { name revisions { totalCount } revision(version: 2) { name }
        first: revision(version: 1) { name } diff(from: 1, to: 2) { toVersion } } }"""
    all_of_it = {"revisions": {"totalCount": 2}, "revision": {"name": "New"}, "first": {"name": "Evening"}}

    admin, _ = await signed_in(client, stores, "admin")
    for who in (ada, admin):
        found = await execute(who, query, id=gid(design))
        assert found["design"] == {"name": "New", "diff": {"toVersion": 2}, **all_of_it}
    premium, _ = await signed_in(client, stores, "premium")
    for who in (client, premium):
        found = await execute(who, query, id=gid(design))
        assert found["design"] == {"name": "New", "revisions": None, "revision": None, "first": None, "diff": None}


async def test_one_version(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    silk = await create_catalog_item(stores)
    design = await create_design(stores, user_id=user.id, version=4, layers=[layer_of(silk.id)])
    await rename(ada, gid(design), "Five", version=4)
    query = """query ($id: ID!, $version: Int!) { design(id: $id) { revision(version: $version) {
        version name layers { catalogItem { name } } } } }"""

    async def version(number: int) -> Any:
        return (await execute(ada, query, id=gid(design), version=number))["design"]["revision"]

    layers = [{"catalogItem": {"name": "Silk"}}]
    assert await version(5) == {"version": 5, "name": "Five", "layers": layers}
    assert await version(4) == {"version": 4, "name": "Evening", "layers": layers}
    assert [await version(number) for number in (3, 6, 0, -1, 2**31 - 1)] == [None] * 5


async def test_what_differs_between_two_versions(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    avatar, silk = await create_avatar(stores, user_id=user.id), await create_catalog_item(stores, type="pattern")
    layers = [layer_of(None, id="a"), layer_of(None, id="b", color="red"), layer_of(None, id="c")]
    design = await create_design(stores, user_id=user.id, layers=layers)
    operations = [
        {
            "update": {
                "layerId": "b",
                "color": None,
                "type": "PATTERN",
                "itemId": gid(silk),
                "position": {"x": 1, "y": 2},
            }
        },
        {"remove": {"layerId": "a"}},
        {"add": {"layer": {"id": "d", "type": "FABRIC"}}},
        {"add": {"layer": {"id": "e", "type": "FABRIC"}, "index": 0}},
    ]
    await changed(ada, "applyDesignPatch", **seen(design, operations=operations))
    new = {"name": "New", "avatarId": gid(avatar), "metadata": {"tags": ["x"], "canvasSize": {"width": 3, "height": 4}}}
    await changed(ada, "updateDesign", id=gid(design), expectedVersion=2, **new)
    move = [{"move": {"layerId": "e", "index": 3}}]
    await changed(ada, "applyDesignPatch", id=gid(design), expectedVersion=3, operations=move)
    await changed(ada, "publishDesign", id=gid(design))

    async def diff(start: int, end: int) -> Any:
        return (await execute(ada, DIFF, id=gid(design), **{"from": start, "to": end}))["design"]["diff"]

    assert await diff(1, 5) == {
        "fromVersion": 1,
        "toVersion": 5,
        "fields": [
            {"field": "name", "before": "Evening", "after": "New"},
            {"field": "status", "before": "DRAFT", "after": "PUBLISHED"},
            {"field": "avatarId", "before": None, "after": gid(avatar)},
            {"field": "metadata.tags", "before": [], "after": ["x"]},
            {"field": "metadata.canvasSize", "before": None, "after": {"width": 3, "height": 4}},
        ],
        "added": [{"layerId": "d"}, {"layerId": "e"}],
        "removed": [{"layerId": "a"}],
        "changed": [
            {
                "layerId": "b",
                "fields": [
                    {"field": "type", "before": "FABRIC", "after": "PATTERN"},
                    {"field": "itemId", "before": None, "after": gid(silk)},
                    {"field": "position", "before": {"x": 0, "y": 0, "z": 0}, "after": {"x": 1, "y": 2, "z": 0}},
                    {"field": "color", "before": "red", "after": None},
                ],
                "before": {"color": "red", "catalogItem": None},
                "after": {"color": None},
            }
        ],
        "moved": [],
    }
    nothing: dict[str, list[Any]] = {"fields": [], "added": [], "removed": [], "changed": [], "moved": []}
    assert await diff(3, 4) == {
        **nothing,
        "fromVersion": 3,
        "toVersion": 4,
        "moved": [{"layerId": "e", "before": 0, "after": 3}],
    }
    assert await diff(4, 4) == {**nothing, "fromVersion": 4, "toVersion": 4}
    back = await diff(2, 1)
    assert ([layer["layerId"] for layer in back["added"]], back["changed"][0]["before"]) == (
        ["a"],
        {"color": None, "catalogItem": {"id": gid(silk)}},
    )
    assert [await diff(1, 6), await diff(0, 1)] == [None, None]


async def test_going_back(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    avatar, silk = await create_avatar(stores, user_id=user.id), await create_catalog_item(stores)
    values = {"avatar_id": avatar.id, "layers": [layer_of(silk.id)], "metadata": {"tags": ["a"]}}
    design = await create_design(stores, user_id=user.id, **values)
    first = await stored(stores, design)
    assert first is not None
    other = {
        "name": "New",
        "avatarId": None,
        "layers": [{"type": "FABRIC"}],
        "metadata": {"tags": [], "description": "b"},
    }
    await changed(ada, "updateDesign", **seen(design, **other))
    await changed(ada, "publishDesign", id=gid(design))
    await catalog_items(stores).soft_delete(silk.id)
    before = await stored(stores, design)
    back = {"id": gid(design), "version": 1}

    assert await problems(ada, "restoreDesignRevision", **back, expectedVersion=2) == [
        ("VERSION_CONFLICT", "expectedVersion")
    ]
    # what is published must be fit for it
    assert await problems(ada, "restoreDesignRevision", **back, expectedVersion=3) == [("NOT_FOUND", "layers.0.itemId")]
    for missing in (4, 99):
        assert await problems(ada, "restoreDesignRevision", id=gid(design), version=missing, expectedVersion=3) == [
            ("NOT_FOUND", "version")
        ]
    assert await stored(stores, design) == before
    await changed(ada, "returnDesignToDraft", id=gid(design))
    after = await changed(ada, "restoreDesignRevision", **back, expectedVersion=4)

    document = await stored(stores, design)
    assert document is not None
    assert (after["version"], after["name"], after["status"]) == (5, "Evening", "DRAFT")
    for name in ("name", "layers", "metadata", "avatarId", "catalogItemIds"):
        assert document[name] == first[name]
    assert [revision["version"] for revision in await revisions(stores, design)] == [1, 2, 3, 4]
    again = await changed(ada, "restoreDesignRevision", id=gid(design), version=5, expectedVersion=5)
    assert again["version"] == 5


@pytest.mark.parametrize("count", [2, 20])
async def test_histories_of_many_designs_cost_one_command(
    app: Starlette, ada: httpx.AsyncClient, stores: Stores, user: User, count: int
) -> None:
    for _ in range(count):
        design = await create_design(stores, user_id=user.id)
        await rename(ada, gid(design), "b", "c")
    query = """{ designs { nodes {
        revisions(first: 2) { nodes { version name actor { id } layers { layerId } } totalCount }
        revision(version: 1) { name } diff(from: 1, to: 2) { fields { field } } } } }"""

    with sent(app) as counted:
        found = (await execute(ada, query))["designs"]["nodes"]

    assert len(found) == count
    for node in found:
        assert [(version["version"], version["name"]) for version in node["revisions"]["nodes"]] == [(3, "c"), (2, "b")]
        assert node["revisions"]["totalCount"] == 3
        assert (node["revision"], node["diff"]) == ({"name": "Evening"}, {"fields": [{"field": "name"}]})
    # designs, their revisions, how many, single versions for two fields; actors
    sql = [statement for statement in counted.sql if "sessions" not in statement]
    assert (counted.mongo, len(sql)) == (5, 1)


@pytest.fixture
async def short(settings: Settings, app: Starlette, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an instance that keeps three earlier versions."""
    other = create_app(settings.model_copy(update={"design_revisions_kept": 3}))
    async with other.router.lifespan_context(other):
        yield httpx.AsyncClient(transport=httpx.ASGITransport(app=other), base_url="http://127.0.0.1:8001")


async def test_older_versions_are_let_go(short: httpx.AsyncClient, stores: Stores) -> None:
    ada, user = await signed_in(short, stores)
    design, other = await create_design(stores, user_id=user.id), await create_design(stores, user_id=user.id)
    await rename(ada, gid(other), "b")

    await rename(ada, gid(design), "b", "c", "d")
    assert await versions(ada, gid(design)) == [(4, "d"), (3, "c"), (2, "b"), (1, "Evening")]
    await rename(ada, gid(design), "e", "f", version=4)

    assert await versions(ada, gid(design)) == [(6, "f"), (5, "e"), (4, "d"), (3, "c")]
    assert [revision["version"] for revision in await revisions(stores, design)] == [3, 4, 5]
    # what they were is gone, that and by whom they were written is not
    every = await stores.database.design_revisions.find({"designId": design.id}).sort("version").to_list()
    assert [(each["version"], each.get("name"), each["operation"]) for each in every] == [
        (1, None, "INSERT"),
        (2, None, "UPDATE"),
        *[(3, "c", "UPDATE"), (4, "d", "UPDATE"), (5, "e", "UPDATE")],
    ]
    assert [each.get("actorId") for each in every] == [None, *[str(user.id)] * 4]
    assert await versions(ada, gid(other)) == [(2, "b"), (1, "Evening")]
    assert await problems(ada, "restoreDesignRevision", id=gid(design), version=2, expectedVersion=6) == [
        ("NOT_FOUND", "version")
    ]


async def test_a_crash_between_the_two_writes_leaves_no_lie(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    design = await create_design(stores, user_id=user.id)
    document = await stored(stores, design)
    assert document is not None

    await revision_store.keep(stores, [document])  # and here the process dies

    assert len(await revisions(stores, design)) == 1
    assert await versions(ada, gid(design)) == [(1, "Evening")]
    query = "query ($id: ID!) { design(id: $id) { revisions { totalCount } revision(version: 1) { name } } }"
    assert (await execute(ada, query, id=gid(design)))["design"] == {
        "revisions": {"totalCount": 1},
        "revision": {"name": "Evening"},
    }
    await rename(ada, gid(design), "b")
    assert await versions(ada, gid(design)) == [(2, "b"), (1, "Evening")]
    assert [revision["version"] for revision in await revisions(stores, design)] == [1]


async def test_a_cancelled_write_is_made_or_not(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    """Cancelled at every point that it can be cancelled at: history and design agree."""
    for turns in range(0, 60, 3):
        design = await create_design(stores, user_id=user.id)
        document = await stored(stores, design)
        assert document is not None
        task = asyncio.create_task(revision_store.replace(stores, document, {"name": "b"}, 100))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        after = await stored(stores, design)
        assert after is not None
        kept = [(revision["version"], revision["name"]) for revision in await revisions(stores, design)]
        assert (after["version"], after["name"], kept) in (
            (1, "Evening", []),
            (1, "Evening", [(1, "Evening")]),
            (2, "b", [(1, "Evening")]),
        )


async def test_writers_that_race_keep_a_version_once(stores: Stores, user: User) -> None:
    design = await create_design(stores, user_id=user.id)
    document = await stored(stores, design)
    assert document is not None

    written = await asyncio.gather(
        *(revision_store.replace(stores, document, {"name": str(number)}, 100) for number in range(20))
    )

    [winner] = [after for after in written if after is not None]
    assert await stored(stores, design) == winner
    assert [(revision["version"], revision["name"]) for revision in await revisions(stores, design)] == [(1, "Evening")]


async def test_who_is_late_finds_the_versions_that_were(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    """Revisions of a design that was read before others changed it end below the version that was read."""
    design = await create_design(stores, user_id=user.id)
    await rename(ada, gid(design), "b", "c", "d")

    span = revision_store.Span(size=10, backwards=False, above=None, below=None)
    id = ObjectId(design.id)
    [found] = await revision_store.pages(stores, [(id, 3, span)], frozenset(("name",)))

    assert [revision["version"] for revision in found] == [2, 1]
    assert await revision_store.counts(stores, [(id, 3), (id, 1), (ObjectId(), 2)], frozenset()) == [2, 0, 0]


async def test_deleting_and_restoring_is_no_version(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    design = await create_design(stores, user_id=user.id)
    await rename(ada, gid(design), "b")

    await changed(ada, "deleteDesign", id=gid(design))
    deleted = "{ designs(filter: {deleted: true}) { nodes { revisions { nodes { version name } } } } }"
    [node] = (await execute(ada, deleted))["designs"]["nodes"]
    assert [version["version"] for version in node["revisions"]["nodes"]] == [2, 1]
    await changed(ada, "restoreDesign", id=gid(design))

    assert await versions(ada, gid(design)) == [(2, "b"), (1, "Evening")]


async def test_designs_of_an_older_service_have_a_history(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    id = await insert_design(stores, userId=str(user.id))
    global_id = encode_id("Design", id)

    assert await versions(ada, global_id) == [(1, "Old")]
    await rename(ada, global_id, "New")

    assert await versions(ada, global_id) == [(2, "New"), (1, "Old")]
    document = await designs(stores).collection.find_one({"_id": id})
    assert document is not None
    assert (document["layers"], document["catalogItemIds"]) == ([], [])
    assert "metadata" not in document


async def test_the_answer_of_a_mutation_has_the_new_history(ada: httpx.AsyncClient, stores: Stores, user: User) -> None:
    design: Design = await create_design(stores, user_id=user.id)
    query = """mutation ($id: ID!) {
        first: updateDesign(input: {id: $id, expectedVersion: 1, name: "b"}) { design { ...History } }
        second: updateDesign(input: {id: $id, expectedVersion: 2, name: "c"}) { design { ...History } } }
        fragment History on Design {
          revisions { totalCount nodes { version name } } diff(from: 1, to: 2) { toVersion }
        }"""

    answer = await execute(ada, query, id=gid(design))

    both = [answer[name]["design"] for name in ("first", "second")]
    assert [found["revisions"]["totalCount"] for found in both] == [2, 3]
    assert [[node["name"] for node in found["revisions"]["nodes"]] for found in both] == [
        ["b", "Evening"],
        ["c", "b", "Evening"],
    ]
    assert [found["diff"] for found in both] == [{"toVersion": 2}, {"toVersion": 2}]


async def test_an_admin_who_deletes_a_design_is_not_taken_for_the_author_of_its_version(
    client: httpx.AsyncClient, stores: Stores, settings: Settings
) -> None:
    # given a design of Ada's
    ada, _ = await signed_in(client, stores)
    admin, root = await signed_in(client, stores, role="admin")
    design = (await changed(ada, "createDesign", name="Coat"))["id"]

    # when an admin deletes it
    await changed(admin, "deleteDesign", id=design)

    # then the log has both: who made the version, and who deleted the design
    found = await execute(
        admin, "query ($id: ID!) { auditLog(filter: { record: [$id] }) { nodes { version actor { id } } } }", id=design
    )
    assert [node["version"] for node in found["auditLog"]["nodes"]] == [1, 1]
    assert found["auditLog"]["nodes"][0]["actor"]["id"] == gid(root)
    assert found["auditLog"]["nodes"][1]["actor"]["id"] != gid(root)
