"""Table `shared.operations`: changes that span both stores, step by step."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Identified


class Operation(Identified, Base):
    """A deletion or restoration of a user under way. Every step is idempotent, so that anyone can finish it."""

    __tablename__ = "operations"
    __table_args__ = (
        CheckConstraint("kind IN ('delete_user', 'restore_user')", name="kind"),
        Index("uidx_operations_unfinished", "subject_id", unique=True, postgresql_where=text("finished_at IS NULL")),
        {"schema": "shared", "comment": "Changes that span both stores"},
    )

    kind: Mapped[str] = mapped_column(Text, comment="delete_user or restore_user")
    subject_id: Mapped[uuid.UUID] = mapped_column(comment="The user")
    moment: Mapped[datetime] = mapped_column(comment="deleted_at of everything that the deletion takes; milliseconds")
    actor_id: Mapped[uuid.UUID | None] = mapped_column(comment="User who asked for it, null for the system")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), comment="When it began")
    finished_at: Mapped[datetime | None] = mapped_column(comment="When the last step was done; null while under way")
