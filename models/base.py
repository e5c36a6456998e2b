"""The declarative base: naming convention, and the columns that every table repeats."""

from __future__ import annotations

import uuid
from datetime import datetime

import uuid_utils.compat
from sqlalchemy import ForeignKey, MetaData, text
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

SCHEMAS = ("shared", "avatar", "catalog", "design", "audit")
"""The PostgreSQL schemas that belong to this application. Designs live in MongoDB; `design` has what search knows of
them."""

NAMING_CONVENTION = {
    "ix": "idx_%(table_name)s_%(column_0_N_name)s",
    "uq": "unq_%(table_name)s_%(column_0_N_name)s",
    "ck": "chk_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

LIVE = text("deleted_at IS NULL")
"""Predicate of the partial indexes: soft-deleted rows are not listed, so they are not indexed for lists."""


DELETED = text("deleted_at IS NOT NULL")
"""Predicate of the indexes for lists of deleted rows: few, so they are small."""


def new_id() -> uuid.UUID:
    """A UUIDv7: unique without a round trip, and close to its neighbours in the primary key's index."""
    return uuid_utils.compat.uuid7()


class Base(DeclarativeBase):
    """All tables. `type_annotation_map` makes every datetime a `timestamptz`."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: TIMESTAMP(timezone=True), uuid.UUID: UUID(as_uuid=True)}  # noqa: RUF012  SQLAlchemy's declared form


class Identified:
    """`id`: made by the application; the server's default serves raw SQL."""

    id: Mapped[uuid.UUID] = mapped_column(
        primary_key=True,
        default=new_id,
        server_default=text("gen_random_uuid()"),
        comment="UUIDv7 made by the application",
        sort_order=-1,
    )


class Timestamped:
    """`created_at`, `updated_at` (kept by a trigger, so that raw SQL keeps it too) and `deleted_at`."""

    created_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), comment="When the row was created", sort_order=90
    )
    updated_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), comment="When the row last changed; set by a trigger", sort_order=91
    )
    deleted_at: Mapped[datetime | None] = mapped_column(
        comment="When the row was soft-deleted; null while it lives", sort_order=92
    )


class Authored:
    """`created_by` and `updated_by`: who did it, null where nobody was signed in."""

    @declared_attr
    def created_by(cls) -> Mapped[uuid.UUID | None]:
        return mapped_column(
            ForeignKey("shared.users.id", ondelete="SET NULL"), comment="User who created the row", sort_order=93
        )

    @declared_attr
    def updated_by(cls) -> Mapped[uuid.UUID | None]:
        return mapped_column(
            ForeignKey("shared.users.id", ondelete="SET NULL"), comment="User who last changed the row", sort_order=94
        )
