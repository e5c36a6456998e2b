"""The counts of what deleting a user would delete."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry
from sqlalchemy import func, select

from api.fields.context import Context
from api.ids import decode_id_of
from api.stores.stores import Stores
from api.users.types import User
from documents import Design, MongoRepository
from documents.revision import KEPT_VERSIONS, REVISIONS
from models import Avatar, PostgresRepository, Session
from models import User as UserRow


@strawberry.type(description="Designs, counted by status.")
class DesignCounts:
    total: int = strawberry.field(description="All of them.")
    draft: int = strawberry.field(description="How many drafts.")
    published: int = strawberry.field(description="How many published ones.")
    archived: int = strawberry.field(description="How many archived ones.")


@strawberry.type(
    description="What deleting a user would take with it; restoring the user brings it back, but sessions."
)
class DeletionPreview:
    user: User = strawberry.field(description="Who would be deleted.")
    avatars: int = strawberry.field(description="Avatars that would be deleted.")
    designs: DesignCounts = strawberry.field(description="Designs that would be deleted.")
    revisions: int = strawberry.field(description="Earlier versions of these designs, which could not be seen then.")
    sessions: int = strawberry.field(description="Sessions that would end.")


@strawberry.type
class DeletionQueries:
    @strawberry.field(description="What deleting a user would take; null where there is no such user. For admins.")
    async def deletion_preview(
        self,
        info: strawberry.Info[Context],
        id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the user.")],
    ) -> DeletionPreview | None:
        info.context.viewer.require("admin")
        user_id = decode_id_of("User", id)
        assert isinstance(user_id, UUID)
        stores = info.context.stores
        rows = await _rows(stores, user_id)
        if rows is None:
            return None
        user, avatars, sessions = rows
        by_status, revisions = await _designs(stores, user_id)
        designs = DesignCounts(
            total=sum(by_status.values()),
            draft=by_status.get("draft", 0),
            published=by_status.get("published", 0),
            archived=by_status.get("archived", 0),
        )
        return DeletionPreview(
            user=User.of(user), avatars=avatars, designs=designs, revisions=revisions, sessions=sessions
        )


async def _rows(stores: Stores, user_id: UUID) -> tuple[UserRow, int, int] | None:
    """The live account with the counts of its live avatars and active sessions; None where there is no such account."""
    avatars = select(func.count()).where(Avatar.user_id == user_id, Avatar.deleted_at.is_(None)).scalar_subquery()
    lasting = (Session.revoked_at.is_(None), Session.expires_at > func.now())
    sessions = select(func.count()).where(Session.user_id == user_id, *lasting).scalar_subquery()
    users = PostgresRepository(UserRow, stores.reads, stores.sessions)
    statement = select(*UserRow.__table__.columns, avatars.label("_avatars"), sessions.label("_sessions")).where(
        UserRow.id == user_id, UserRow.deleted_at.is_(None)
    )
    rows: Any = await users.read_statement(statement)
    return (rows[0], rows[0]._avatars, rows[0]._sessions) if rows else None


async def _designs(stores: Stores, user_id: UUID) -> tuple[dict[str, int], int]:
    """The counts of live designs by status, and of their revisions, in one command."""
    revisions = {"from": REVISIONS, "localField": "_id", "foreignField": "designId", "as": "revisions"}
    found = await MongoRepository(Design, stores.database).aggregate(
        [
            {"$match": {"userId": str(user_id), "deletedAt": None}},
            {"$project": {"status": True}},
            {"$lookup": revisions | {"pipeline": [{"$match": KEPT_VERSIONS}, {"$project": {"_id": True}}]}},
            {"$group": {"_id": "$status", "designs": {"$sum": 1}, "revisions": {"$sum": {"$size": "$revisions"}}}},
        ]
    )
    return {row["_id"]: row["designs"] for row in found}, sum(row["revisions"] for row in found)
