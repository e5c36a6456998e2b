"""Deleting and restoring users, in both stores."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update
from starlette.applications import Starlette

from api.accounts.auth import Auth
from api.config.settings import Settings
from api.designs import owner_deletion, revision_store
from api.fields.context import Context
from api.http.application import create_app
from api.ids import decode_id
from api.reconcile.run import reconcile
from api.rights.viewer import Viewer
from api.schema import DOMAINS
from api.stores.stores import Stores
from api.users.deletion import operations
from documents import Design, MongoRepository
from models import AuditEntry, Avatar, Operation, Session, User, new_id
from tests.support.factories.avatars import avatars, create_avatar
from tests.support.factories.designs import create_design, designs, layer_of
from tests.support.factories.users import create_user, users
from tests.support.graphql import error_of, execute, gid, sent
from tests.support.mutations.designs import mutate
from tests.support.signing_in import client_of, signed_in
from tests.support.stores.transactions import open_at_commands

pytestmark = pytest.mark.anyio

DELETE = """mutation ($id: ID!) {
  deleteUser(input: {id: $id}) { user { id email } errors { __typename code path } }
}"""
RESTORE = """mutation ($id: ID!) {
  restoreUser(input: {id: $id}) { user { id email avatars { totalCount } designs { totalCount } }
                                  errors { __typename code path } }
}"""
PREVIEW = """query ($id: ID!) {
  deletionPreview(id: $id) {
    user { email } avatars designs { total draft published archived } revisions sessions
  }
}"""


@pytest.fixture
async def admin(client: httpx.AsyncClient, stores: Stores) -> httpx.AsyncClient:
    mine, _ = await signed_in(client, stores, "admin")
    return mine


def acting(app: Starlette, actor: User) -> Context:
    """The context of a request of this account."""
    settings = app.state.settings
    return Context(app.state.stores, settings, "request-1", DOMAINS, Auth(settings), Viewer(actor.id, actor.role))


async def delete(client: httpx.AsyncClient, user: User) -> dict[str, Any]:
    payload: dict[str, Any] = (await execute(client, DELETE, id=gid(user)))["deleteUser"]
    return payload


async def restore(client: httpx.AsyncClient, user: User) -> dict[str, Any]:
    payload: dict[str, Any] = (await execute(client, RESTORE, id=gid(user)))["restoreUser"]
    return payload


def refused(code: str, kind: str = "ConflictError") -> list[dict[str, Any]]:
    return [{"__typename": kind, "code": code, "path": ["id"]}]


NOT_FOUND = refused("NOT_FOUND", "NotFoundError")


async def deleted_at(stores: Stores, *entities: Any) -> list[datetime | None]:
    """When each user, avatar or design was deleted."""
    repositories: dict[str, Any] = {"User": users(stores), "Avatar": avatars(stores), "Design": designs(stores)}
    found = [
        await repositories[type(entity).__name__].find_by_id(entity.id, include_deleted=True) for entity in entities
    ]
    return [entity.deleted_at for entity in found]


async def delete_design(stores: Stores, design: Design) -> None:
    assert design.id is not None
    assert await designs(stores).soft_delete(design.id)


async def operations_of(stores: Stores) -> list[tuple[str, bool]]:
    """Kind of each operation, and whether it is finished."""
    async with stores.engine.connect() as connection:
        rows = await connection.execute(select(Operation.kind, Operation.finished_at).order_by(Operation.created_at))
        return [(row.kind, row.finished_at is not None) for row in rows]


async def operation_moments(stores: Stores, user: User) -> set[datetime]:
    """The moments of the operations on a user."""
    async with stores.engine.connect() as connection:
        return set(await connection.scalars(select(Operation.moment).where(Operation.subject_id == user.id)))


async def test_a_deleted_user_takes_avatars_and_designs_along(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, stores: Stores
) -> None:
    user, other = await create_user(stores), await create_user(stores)
    mine = await client_of(client, stores, user)
    theirs = [await create_avatar(stores, user_id=user.id), await create_design(stores, user_id=user.id)]
    kept = [other, await create_avatar(stores, user_id=other.id), await create_design(stores, user_id=other.id)]
    before = datetime.now(UTC) - timedelta(milliseconds=1)

    payload = await delete(admin, user)

    assert payload == {"user": {"id": gid(user), "email": user.email}, "errors": []}
    moments = await deleted_at(stores, user, *theirs)
    assert len(set(moments)) == 1
    assert moments[0] is not None
    assert before <= moments[0] <= datetime.now(UTC)
    assert moments[0].microsecond % 1000 == 0
    assert await deleted_at(stores, *kept) == [None, None, None]
    assert await operations_of(stores) == [("delete_user", True)]
    # the session has ended, in this process at once
    answer = await mine.post("/graphql", json={"query": "{ viewer { id } }"})
    assert answer.status_code == 401
    async with stores.engine.connect() as connection:
        why = await connection.scalar(select(Session.revoked_for).where(Session.user_id == user.id))
    assert why == "deleted"
    assert await execute(admin, "query ($id: ID!) { user(id: $id) { id } }", id=gid(user)) == {"user": None}


async def test_restoring_brings_back_what_the_deletion_took_and_nothing_else(
    admin: httpx.AsyncClient, stores: Stores
) -> None:
    user = await create_user(stores)
    avatar = await create_avatar(stores, user_id=user.id, is_default=True)
    gone_avatar = await create_avatar(stores, user_id=user.id)
    await avatars(stores).soft_delete(gone_avatar.id)
    design = await create_design(stores, user_id=user.id, status="published")
    gone_design = await create_design(stores, user_id=user.id)
    await delete_design(stores, gone_design)
    gone_since = await deleted_at(stores, gone_avatar, gone_design)
    await delete(admin, user)

    payload = await restore(admin, user)

    assert payload == {
        "user": {
            "id": gid(user),
            "email": user.email,
            "avatars": {"totalCount": 1},
            "designs": {"totalCount": 1},
        },
        "errors": [],
    }
    assert await deleted_at(stores, user, avatar, design) == [None, None, None]
    assert await deleted_at(stores, gone_avatar, gone_design) == gone_since
    restored = await avatars(stores).find_by_id(avatar.id)
    assert restored is not None
    assert restored.is_default
    (document,) = await designs(stores).find_all()
    assert (document.version, document.status) == (1, "published")
    assert await operations_of(stores) == [("delete_user", True), ("restore_user", True)]


async def test_each_deletion_has_a_moment_of_its_own(admin: httpx.AsyncClient, stores: Stores) -> None:
    user = await create_user(stores)
    design = await create_design(stores, user_id=user.id)
    ahead = datetime.now(UTC).replace(microsecond=123000) + timedelta(hours=1)
    early = await create_design(stores, user_id=user.id, deleted_at=ahead)
    await delete(admin, user)
    (first,) = await deleted_at(stores, user)
    await restore(admin, user)
    await delete_design(stores, design)
    await delete(admin, user)
    (second,) = await deleted_at(stores, user)
    await restore(admin, user)

    assert first == ahead + timedelta(milliseconds=1)
    assert second is not None
    assert second > first
    own, foreign = await deleted_at(stores, design, early)
    assert own is not None
    assert foreign == ahead


async def test_a_deletion_of_the_original_service_can_be_undone(admin: httpx.AsyncClient, stores: Stores) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    user = await create_user(stores, deleted_at=moment)
    avatar = await create_avatar(stores, user_id=user.id, deleted_at=moment)
    design = await create_design(stores, user_id=user.id, deleted_at=moment)

    assert (await restore(admin, user))["errors"] == []

    assert await deleted_at(stores, user, avatar, design) == [None, None, None]


async def test_there_is_room_for_one_default_avatar(admin: httpx.AsyncClient, stores: Stores) -> None:
    user = await create_user(stores)
    first = await create_avatar(stores, user_id=user.id, is_default=True)
    await delete(admin, user)
    second = await create_avatar(stores, user_id=user.id, is_default=True)

    assert (await restore(admin, user))["errors"] == []

    found = {avatar.id: avatar.is_default for avatar in await avatars(stores).find_all()}
    assert found == {first.id: False, second.id: True}


@pytest.mark.parametrize("role", ["user", "premium", "brand"])
@pytest.mark.parametrize("query", [DELETE, RESTORE, PREVIEW])
async def test_it_is_for_admins(client: httpx.AsyncClient, stores: Stores, role: str, query: str) -> None:
    mine, user = await signed_in(client, stores, role)
    assert (await error_of(mine, query, id=gid(user)))[0] == "FORBIDDEN"
    assert (await error_of(client, query, id=gid(user)))[0] == "UNAUTHENTICATED"
    assert await deleted_at(stores, user) == [None]
    assert await operations_of(stores) == []


async def test_nobody_deletes_themselves(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, user = await signed_in(client, stores, "admin")
    await create_user(stores, role="admin")
    assert await delete(mine, user) == {"user": None, "errors": refused("OWN_ACCOUNT")}
    assert await deleted_at(stores, user) == [None]


async def test_two_admins_who_delete_each_other_leave_one(client: httpx.AsyncClient, stores: Stores) -> None:
    (mine, me), (theirs, other) = [await signed_in(client, stores, "admin") for _ in range(2)]
    for each in (mine, theirs):  # both sessions are known to be good
        await execute(each, "{ viewer { id } }")

    answers = await asyncio.gather(delete(mine, other), delete(theirs, me))

    codes = [[error["code"] for error in answer["errors"]] for answer in answers]
    assert sorted(codes) == [[], ["LAST_ADMIN"]]
    assert (await deleted_at(stores, me, other)).count(None) == 1


async def test_users_that_are_not_there(admin: httpx.AsyncClient, stores: Stores) -> None:
    user, nobody = await create_user(stores), User(id=new_id())
    assert await delete(admin, nobody) == {"user": None, "errors": NOT_FOUND}
    assert await restore(admin, nobody) == {"user": None, "errors": NOT_FOUND}
    assert await restore(admin, user) == {"user": None, "errors": refused("NOT_DELETED")}
    await delete(admin, user)
    assert await delete(admin, user) == {"user": None, "errors": NOT_FOUND}
    design = await create_design(stores)
    [error] = (await execute(admin, DELETE, id=gid(design)))["deleteUser"]["errors"]
    assert (error["code"], error["path"]) == ("INVALID", ["id"])
    assert await operations_of(stores) == [("delete_user", True)]


async def test_two_deletions_at_once_are_one(admin: httpx.AsyncClient, stores: Stores) -> None:
    user = await create_user(stores)
    for _ in range(20):
        await create_design(stores, user_id=user.id)

    answers = await asyncio.gather(*(delete(admin, user) for _ in range(5)))

    assert {str(answer["errors"]) for answer in answers} <= {"[]", str(NOT_FOUND)}
    assert [answer["errors"] for answer in answers].count([]) >= 1
    assert await operations_of(stores) == [("delete_user", True)]
    assert await designs(stores).count() == 0


async def test_an_unfinished_deletion_is_finished_before_anything_else(
    app: Starlette, admin: httpx.AsyncClient, stores: Stores
) -> None:
    user = await create_user(stores)
    design = await create_design(stores, user_id=user.id)
    actor = await create_user(stores, role="admin")
    begun = await operations.begin_deletion(acting(app, actor), user.id)
    assert await deleted_at(stores, user, design) == [begun.moment, None]

    assert (await restore(admin, user))["errors"] == refused("OPERATION_UNFINISHED")
    assert await deleted_at(stores, user, design) == [begun.moment, None]

    assert (await delete(admin, user))["errors"] == []
    assert await deleted_at(stores, user, design) == [begun.moment, begun.moment]
    assert await operations_of(stores) == [("delete_user", True)]
    # what comes too late does nothing
    assert (await restore(admin, user))["errors"] == []
    await operations.finish(acting(app, actor), begun)
    assert await deleted_at(stores, user, design) == [None, None]


async def test_a_deletion_that_comes_too_late_takes_nothing(
    app: Starlette, admin: httpx.AsyncClient, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, actor = await create_user(stores), await create_user(stores, role="admin")
    design = await create_design(stores, user_id=user.id)
    begun = await operations.begin_deletion(acting(app, actor), user.id)
    asked, go_on, take = asyncio.Event(), asyncio.Event(), owner_deletion.take

    async def slowly(*arguments: Any) -> int:
        asked.set()
        await go_on.wait()
        return await take(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(owner_deletion, "take", slowly)
        late = asyncio.create_task(operations.finish(acting(app, actor), begun))
        await asked.wait()
    await operations.finish(acting(app, actor), begun)
    assert (await restore(admin, user))["errors"] == []
    assert await deleted_at(stores, user, design) == [None, None]

    go_on.set()
    await late

    assert await deleted_at(stores, user, design) == [None, None]
    assert await operations_of(stores) == [("delete_user", True), ("restore_user", True)]


async def test_what_comes_to_life_beside_the_deletion_of_its_owner_goes_with_them(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each design is written when a deletion that began later is done, in full."""
    user = await create_user(stores)
    original, gone = await create_design(stores, user_id=user.id), await create_design(stores, user_id=user.id)
    await delete_design(stores, gone)
    live: set[Any] = {original.id}
    writes: list[tuple[str, dict[str, Any], tuple[Any, str]]] = [
        ("createDesign", {"name": "New"}, (MongoRepository, "create")),
        ("duplicateDesign", {"id": gid(original)}, (MongoRepository, "create")),
        ("restoreDesign", {"id": gid(gone)}, (revision_store, "mark")),
    ]
    for name, given, write in writes:
        mine, written = await client_of(client, stores, user), getattr(write[0], write[1])

        first = [True]

        async def late(*arguments: Any, written: Any = written, first: list[bool] = first, **values: Any) -> Any:
            if first:
                first.clear()
                assert (await delete(admin, user))["errors"] == []
            return await written(*arguments, **values)

        with monkeypatch.context() as patched:
            patched.setattr(write[0], write[1], late)
            payload = await mutate(mine, name, **given)
        assert payload["errors"] == []
        (moment,) = await deleted_at(stores, user)
        found = await designs(stores).find_all({"userId": str(user.id)}, include_deleted=True)
        new = decode_id(payload["design"]["id"])[1]
        assert {design.id for design in found if design.deleted_at == moment} == live | {new}, name
        assert all(design.deleted_at is not None for design in found), name

        # it has been there when the deletion came, and comes back with the rest
        live.add(new)
        assert (await restore(admin, user))["errors"] == []
        assert {design.id for design in await designs(stores).find_all({"userId": str(user.id)})} == live, name


@pytest.mark.parametrize("finished", [True, False])
async def test_what_comes_to_life_stays_where_its_owner_comes_back(
    admin: httpx.AsyncClient, app: Starlette, stores: Stores, monkeypatch: pytest.MonkeyPatch, finished: bool
) -> None:
    """A restoration that is over, or under way, between the look at the owner and the taking of the design."""
    user, actor, take = await create_user(stores), await create_user(stores, role="admin"), owner_deletion.take
    begun: list[operations.Unfinished] = []
    await delete(admin, user)

    async def restored_before(*arguments: Any) -> int:
        begun.append(await operations.begin_restoration(acting(app, actor), user.id))
        await owner_deletion.give_back(acting(app, actor), user.id, begun[0].moment)
        if finished:
            await operations.finish(acting(app, actor), begun[0])
        return await take(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(owner_deletion, "take", restored_before)
        design = await create_design(stores, user_id=user.id)
        assert await owner_deletion.take_late(acting(app, actor), user.id) is False
    await operations.finish(acting(app, actor), begun[0])

    assert await deleted_at(stores, user, design) == [None, None]


async def test_a_deletion_looks_again_when_it_is_done(
    admin: httpx.AsyncClient, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the original service writes meanwhile, which looks after nothing."""
    user, take = await create_user(stores), owner_deletion.take
    late: list[Design] = []

    async def too_early(*arguments: Any) -> int:
        taken = await take(*arguments)
        if not late:
            late.append(await create_design(stores, user_id=user.id))
        return taken

    monkeypatch.setattr(owner_deletion, "take", too_early)
    assert (await delete(admin, user))["errors"] == []

    moment, design_moment = await deleted_at(stores, user, *late)
    assert moment == design_moment is not None


async def test_no_transaction_is_open_while_mongodb_works(
    app: Starlette, admin: httpx.AsyncClient, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, other = await create_user(stores), await create_user(stores)
    own = {"user_id": user.id, "layers": [layer_of(None)]}
    design, loose = await create_design(stores, **own), await create_design(stores, **own)
    named = {"id": gid(design)}
    with open_at_commands(stores, monkeypatch) as seen:
        assert (await delete(admin, user))["errors"] == []
        # what reconcile finds: a deletion that was interrupted, and designs that belong to deleted people
        await operations.begin_deletion(acting(app, other), other.id)
        await designs(stores).collection.update_one({"_id": loose.id}, {"$unset": {"deletedAt": ""}})
        report = await reconcile(stores, app.state.settings, repair=True)
        assert (report.unfinished_operations.repaired, report.orphaned_designs.repaired) == (1, 1)
        assert (await restore(admin, user))["errors"] == []
        (moment,) = await operation_moments(stores, user)
        await owner_deletion.take(acting(app, other), user.id, moment)
        assert (await reconcile(stores, app.state.settings, repair=True)).unrestored_designs.repaired == 2
        for name in ("publishDesign", "archiveDesign", "duplicateDesign", "deleteDesign", "restoreDesign"):
            assert (await mutate(admin, name, **named))["errors"] == []
    assert len(seen) > 30
    assert set(seen) == {0}


async def test_an_unfinished_restoration_is_finished_before_anything_else(
    app: Starlette, admin: httpx.AsyncClient, stores: Stores
) -> None:
    user = await create_user(stores)
    design = await create_design(stores, user_id=user.id)
    actor = await create_user(stores, role="admin")
    await delete(admin, user)
    (moment,) = await deleted_at(stores, user)
    begun = await operations.begin_restoration(acting(app, actor), user.id)
    assert begun.moment == moment

    assert (await delete(admin, user))["errors"] == refused("OPERATION_UNFINISHED")
    assert await deleted_at(stores, user, design) == [moment, moment]

    assert (await restore(admin, user))["errors"] == []
    assert await deleted_at(stores, user, design) == [None, None]
    assert await operations_of(stores) == [("delete_user", True), ("restore_user", True)]


async def test_who_did_it_is_in_the_audit_log(client: httpx.AsyncClient, stores: Stores) -> None:
    mine, me = await signed_in(client, stores, "admin")
    user = await create_user(stores)
    avatar = await create_avatar(stores, user_id=user.id)
    await delete(mine, user)
    await restore(mine, user)
    async with stores.engine.connect() as connection:
        rows = await connection.execute(
            select(AuditEntry.record_id, AuditEntry.actor_id)
            .where(AuditEntry.operation == "UPDATE", AuditEntry.record_id.in_([user.id, avatar.id]))
            .order_by(AuditEntry.at)
        )
        assert sorted(map(tuple, rows)) == sorted([(user.id, me.id), (avatar.id, me.id)] * 2)


async def test_a_preview_counts_what_would_go(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, app: Starlette, stores: Stores
) -> None:
    user = await create_user(stores)
    await client_of(client, stores, user)
    await client_of(client, stores, user)
    async with stores.sessions.begin() as session:
        first = select(Session.id).where(Session.user_id == user.id).limit(1).scalar_subquery()
        await session.execute(update(Session).where(Session.id == first).values(revoked_at=func.now()))
    for deleted in (None, None, datetime.now(UTC)):
        await create_avatar(stores, user_id=user.id, deleted_at=deleted)
    for status in ("draft", "draft", "draft", "published"):
        design = await create_design(stores, user_id=user.id, status=status)
        await stores.database.design_revisions.insert_many(
            [{"designId": design.id, "version": version, "at": datetime.now(UTC)} for version in (1, 2)]
        )
    await create_design(stores, user_id=user.id, status="archived", deleted_at=datetime.now(UTC))
    await create_design(stores)
    await execute(admin, "{ viewer { id } }")

    with sent(app) as counted:
        preview = (await execute(admin, PREVIEW, id=gid(user)))["deletionPreview"]

    assert preview == {
        "user": {"email": user.email},
        "avatars": 2,
        "designs": {"total": 4, "draft": 3, "published": 1, "archived": 0},
        "revisions": 8,
        "sessions": 1,
    }
    assert counted.counts == (1, 1)
    before = await stores.database.designs.count_documents({"deletedAt": None, "userId": str(user.id)})
    assert before == preview["designs"]["total"]
    await delete(admin, user)
    assert (await execute(admin, PREVIEW, id=gid(user)))["deletionPreview"] is None
    async with stores.engine.connect() as connection:
        taken = await connection.scalar(
            select(func.count()).where(
                Avatar.user_id == user.id, Avatar.deleted_at == User.deleted_at, User.id == user.id
            )
        )
    assert taken == preview["avatars"]


async def test_one_connection_is_enough(settings: Settings, clean_stores: None, anyio_backend: str) -> None:
    one = settings.model_copy(
        update={"postgres_pool_size": 1, "postgres_max_overflow": 0, "postgres_pool_timeout": 2.0}
    )
    app = create_app(one)
    async with app.router.lifespan_context(app):
        stores, transport = app.state.stores, httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            mine, _ = await signed_in(client, stores, "admin")
            user = await create_user(stores)
            await create_design(stores, user_id=user.id)
            for query in (DELETE, RESTORE):
                body, headers = {"query": query, "variables": {"id": gid(user)}}, {"idempotency-key": str(len(query))}
                answers = await asyncio.gather(*(mine.post("/graphql", json=body, headers=headers) for _ in range(5)))
                assert {answer.status_code for answer in answers} == {200}
                assert len({answer.content for answer in answers}) == 1
                assert "errors" not in answers[0].json()
        assert await operations_of(stores) == [("delete_user", True), ("restore_user", True)]
