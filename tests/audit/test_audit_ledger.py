"""A ledger of random writes in both stores, and the audit log compared with it, entry by entry."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.ids import decode_id, encode_id
from api.stores.stores import Stores
from documents import utc_now
from models import User
from tests.support.factories.designs import designs, insert_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import execute, gid
from tests.support.mutations.designs import query
from tests.support.signing_in import client_of, signed_in

pytestmark = pytest.mark.anyio

FIELDS = "id at kind operation recordId oldValues newValues actorId requestId version"
PAGE = f"""query ($first: Int, $after: String) {{ auditLog(first: $first, after: $after) {{
  totalCount nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }}"""
STEPS = 70


@dataclass
class Line:
    """A design as the ledger has it; `made` by whom, `seen` as old and new values show it, `entry` its last one."""

    owner: int
    made: dict[str, Any]
    version: int = 1
    entry: dict[str, Any] | None = None

    @property
    def seen(self) -> dict[str, Any]:
        return dict(self.made)


@dataclass
class Book:
    """Who writes, and what the log must say: of each request, by its id, the entries in any order."""

    app: Starlette
    stores: Stores
    chance: random.Random
    admin: User
    clients: dict[str, httpx.AsyncClient]
    people: list[User]
    deleted: set[int] = field(default_factory=set)
    designs: dict[str, Line] = field(default_factory=dict)
    taken: dict[int, set[str]] = field(default_factory=dict)
    avatars: dict[int, int] = field(default_factory=dict)
    expected: list[dict[str, Any]] = field(default_factory=list)
    request: str = ""

    def write(self, kind: str, record: str | None, operation: str, actor: User, **values: Any) -> dict[str, Any]:
        entry = {
            "kind": kind,
            "recordId": record,
            "operation": operation,
            "actorId": gid(actor),
            "requestId": self.request,
            **values,
        }
        self.expected.append(entry)
        return entry

    def of_design(self, id: str, operation: str, actor: User, old: dict[str, Any] | None) -> None:
        line = self.designs[id]
        values = {"version": line.version, "old": old, "new": line.seen}
        line.entry = self.write("DESIGN", id, operation, actor, **values)

    async def send(self, actor: User, name: str, text: str, /, **given: Any) -> dict[str, Any]:
        self.clients[gid(actor)].headers["x-request-id"] = self.request
        payload: dict[str, Any] = (await execute(self.clients[gid(actor)], text, input=given))[name]
        return payload

    async def mutate(self, actor: User, name: str, /, **given: Any) -> dict[str, Any]:
        return await self.send(actor, name, query(name), **given)

    def someone(self) -> int | None:
        live = [number for number in range(len(self.people)) if number not in self.deleted]
        return self.chance.choice(live) if live else None

    def some(self, *, deleted: bool) -> tuple[str, Line] | None:
        found = [
            (id, line)
            for id, line in self.designs.items()
            if ("deletedAt" in line.made) is deleted and line.owner not in self.deleted
        ]
        return self.chance.choice(found) if found else None


async def create(book: Book) -> None:
    if (owner := book.someone()) is None:
        return
    actor, name = book.people[owner], f"made by {book.request}"
    payload = await book.mutate(actor, "createDesign", name=name, layers=[{"type": "FABRIC"}])
    id = payload["design"]["id"]
    book.designs[id] = Line(owner, {"name": name, "status": "draft"})
    book.of_design(id, "INSERT", actor, None)


async def duplicate(book: Book) -> None:
    if (chosen := book.some(deleted=False)) is None:
        return
    id, line = chosen
    payload = await book.mutate(book.people[line.owner], "duplicateDesign", id=id)
    book.designs[payload["design"]["id"]] = Line(line.owner, {"name": line.made["name"], "status": "draft"})
    book.of_design(payload["design"]["id"], "INSERT", book.people[line.owner], None)


async def edit(book: Book) -> None:
    if (chosen := book.some(deleted=False)) is None:
        return
    id, line = chosen
    actor, old = book.chance.choice([book.admin, book.people[line.owner]]), line.seen
    status = book.chance.choice(["published", "archived", "draft", "name", "stale"])
    if status == "stale":
        payload = await book.mutate(actor, "updateDesign", id=id, name="x", expectedVersion=line.version + 1)
        assert [error["code"] for error in payload["errors"]] == ["VERSION_CONFLICT"]
        return
    if status == "name":
        line.made["name"] = f"named by {book.request}"
        await book.mutate(actor, "updateDesign", id=id, name=line.made["name"], expectedVersion=line.version)
    else:
        name = {"published": "publishDesign", "archived": "archiveDesign", "draft": "returnDesignToDraft"}[status]
        assert (await book.mutate(actor, name, id=id))["errors"] == []
        if line.made["status"] == status:
            return
        line.made["status"] = status
    line.version += 1
    book.of_design(id, "UPDATE", actor, old)


async def delete(book: Book) -> None:
    if (chosen := book.some(deleted=False)) is None:
        return
    id, line = chosen
    actor, old = book.chance.choice([book.admin, book.people[line.owner]]), line.seen
    assert (await book.mutate(actor, "deleteDesign", id=id))["errors"] == []
    line.made["deletedAt"] = True
    book.of_design(id, "UPDATE", actor, old)


async def restore(book: Book) -> None:
    if (chosen := book.some(deleted=True)) is None:
        return
    id, line = chosen
    actor, old = book.chance.choice([book.admin, book.people[line.owner]]), line.seen
    assert (await book.mutate(actor, "restoreDesign", id=id))["errors"] == []
    del line.made["deletedAt"]
    book.of_design(id, "UPDATE", actor, old)


async def delete_user(book: Book) -> None:
    if (number := book.someone()) is None:
        return
    user = book.people[number]
    text = "mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { errors { code } } }"
    payload = await book.send(book.admin, "deleteUser", text, id=gid(user))
    assert payload["errors"] == []
    book.write("USER", gid(user), "UPDATE", book.admin)
    for _ in range(book.avatars.get(number, 0)):
        book.write("AVATAR", None, "UPDATE", book.admin)
    book.taken[number] = set()
    for id, line in book.designs.items():
        if line.owner == number and "deletedAt" not in line.made:
            old = line.seen
            line.made["deletedAt"] = True
            book.taken[number].add(id)
            book.of_design(id, "UPDATE", book.admin, old)
    book.deleted.add(number)


async def restore_user(book: Book) -> None:
    if not book.deleted:
        return
    number = book.chance.choice(sorted(book.deleted))
    user = book.people[number]
    text = "mutation ($input: RestoreUserInput!) { restoreUser(input: $input) { errors { code } } }"
    payload = await book.send(book.admin, "restoreUser", text, id=gid(user))
    assert payload["errors"] == []
    book.write("USER", gid(user), "UPDATE", book.admin)
    for _ in range(book.avatars.get(number, 0)):
        book.write("AVATAR", None, "UPDATE", book.admin)
    for id in book.taken[number]:
        line = book.designs[id]
        old = line.seen
        del line.made["deletedAt"]
        book.of_design(id, "UPDATE", book.admin, old)
    book.deleted.remove(number)
    book.clients[gid(user)] = await client_of(book.clients[gid(book.admin)], book.stores, user)


async def make_avatar(book: Book) -> None:
    if (owner := book.someone()) is None:
        return
    text = "mutation ($input: CreateAvatarInput!) { createAvatar(input: $input) { avatar { id } errors { code } } }"
    payload = await book.send(book.people[owner], "createAvatar", text, name="Standing", isDefault=False)
    book.avatars[owner] = book.avatars.get(owner, 0) + 1
    book.write("AVATAR", payload["avatar"]["id"], "INSERT", book.people[owner])


async def edit_profile(book: Book) -> None:
    if (number := book.someone()) is None:
        return
    text = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { errors { code } } }"
    await book.send(book.people[number], "updateProfile", text, firstName=book.request)
    book.write("USER", gid(book.people[number]), "UPDATE", book.people[number])


async def original_edits(book: Book) -> None:
    """The original service changes a design: without an entry, and what was written last is not what is there."""
    if (chosen := book.some(deleted=False)) is None:
        return
    id, line = chosen
    line.made["name"] = f"original {book.request}"
    change = {"name": line.made["name"], "updatedAt": utc_now()}
    await designs(book.stores).collection.update_one({"_id": decode_id(id)[1]}, {"$set": change})
    if line.entry is not None:
        line.entry["new"] = None


async def original_creates(book: Book) -> None:
    if (owner := book.someone()) is None:
        return
    made = {"name": f"original {book.request}", "status": "draft"}
    layers = [layer_of(None, visible=True)]
    given = {"userId": str(book.people[owner].id), "layers": layers, "catalogItemIds": [], "version": 1, "__v": 0}
    id = await insert_design(book.stores, **given, **made)
    book.designs[encode_id("Design", id)] = Line(owner, made)


Step = Callable[[Book], Awaitable[None]]
OPERATIONS: dict[Step, int] = {
    create: 4,
    duplicate: 1,
    edit: 8,
    delete: 4,
    restore: 4,
    delete_user: 1,
    restore_user: 2,
    make_avatar: 1,
    edit_profile: 1,
    original_edits: 2,
    original_creates: 1,
}


def shown(values: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the ledger knows of a design's values."""
    if values is None:
        return None
    return {"name": values["name"], "status": values["status"]} | ({"deletedAt": True} if "deletedAt" in values else {})


def told(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry as the ledger has it."""
    known = {name: entry[name] for name in ("kind", "recordId", "operation", "actorId", "requestId")}
    if entry["kind"] != "DESIGN":
        return known | ({"recordId": None} if (entry["kind"], entry["operation"]) == ("AVATAR", "UPDATE") else {})
    return known | {"version": entry["version"], "old": shown(entry["oldValues"]), "new": shown(entry["newValues"])}


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_log_says_what_was_written_entry_by_entry(
    app: Starlette, client: httpx.AsyncClient, seed: int
) -> None:
    # given
    stores: Stores = app.state.stores
    boss, admin = await signed_in(client, stores, "admin")
    people = [await create_user(stores) for _ in range(3)]
    clients = {gid(person): await client_of(client, stores, person) for person in people} | {gid(admin): boss}
    before = await entries(boss, 100)
    book = Book(app, stores, random.Random(seed), admin, clients, people)

    # when
    for step in range(STEPS):
        book.request = f"step-{step}"
        [operation] = book.chance.choices(list(OPERATIONS), list(OPERATIONS.values()))
        await operation(book)

    # then
    boss.headers.pop("x-request-id", None)
    log = await entries(boss, 100)
    assert log[len(log) - len(before) :] == before
    new = log[: len(log) - len(before)]
    order = {f"step-{number}": number for number in range(STEPS)}
    assert [order[entry["requestId"]] for entry in new] == sorted((order[e["requestId"]] for e in new), reverse=True)

    def key(entry: dict[str, Any]) -> tuple[Any, ...]:
        return order[entry["requestId"]], entry["kind"], entry["recordId"] or "", entry["operation"]

    assert sorted(map(told, new), key=key) == sorted(book.expected, key=key)
    assert len({entry["id"] for entry in log}) == len(log)
    assert await entries(boss, 7) == log

    # and each is found by its id, as it is in the list
    asked = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on AuditEntry {{ {FIELDS} }} }} }}"
    found = (await execute(boss, asked, ids=[entry["id"] for entry in new[:100]]))["nodes"]
    assert found == new[:100]


async def entries(client: httpx.AsyncClient, size: int) -> list[dict[str, Any]]:
    """The whole log, in pages, the newest first."""
    found: list[dict[str, Any]] = []
    after, more = None, True
    while more:
        page = (await execute(client, PAGE, first=size, after=after))["auditLog"]
        found += page["nodes"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert page["totalCount"] == len(found)
    return found
