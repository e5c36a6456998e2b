"""Idempotency keys and operations

Revision ID: 70dc8fd6bcbe
Revises: 56d06d12f0a4
Create Date: 2026-11-22 18:01:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import create_own

revision: str = "70dc8fd6bcbe"
down_revision: str | None = "56d06d12f0a4"
branch_labels: str | None = None
depends_on: str | None = None

METADATA = sa.MetaData()

IDEMPOTENCY_KEYS = sa.Table(
    "idempotency_keys",
    METADATA,
    sa.Column(
        "id",
        sa.UUID(),
        server_default=sa.text("gen_random_uuid()"),
        nullable=False,
        comment="UUIDv7 made by the application",
    ),
    sa.Column("actor", sa.Text(), nullable=False, comment="Account that sent it, or the address of an anonymous one"),
    sa.Column("key", sa.Text(), nullable=False, comment="The header's value"),
    sa.Column(
        "fingerprint",
        sa.LargeBinary(),
        nullable=False,
        comment="HMAC-SHA-256 of document, operation and variables",
    ),
    sa.Column("response", postgresql.JSONB(), nullable=True, comment="The answer, encrypted; null while it runs"),
    sa.Column(
        "locked_until", sa.DateTime(timezone=True), nullable=False, comment="Until when the running one holds it"
    ),
    sa.Column(
        "written_at",
        sa.DateTime(timezone=True),
        nullable=True,
        comment="When it had written to PostgreSQL; it runs no more",
    ),
    sa.Column(
        "created_at",
        sa.DateTime(timezone=True),
        server_default=sa.text("now()"),
        nullable=False,
        comment="When it was first seen",
    ),
    sa.PrimaryKeyConstraint("id", name="pk_idempotency_keys"),
    sa.Index("idx_idempotency_keys_created_at", "created_at"),
    sa.Index("uidx_idempotency_keys_actor_key", "actor", "key", unique=True),
    schema="shared",
    comment="Mutations that must run once",
)

OPERATIONS = sa.Table(
    "operations",
    METADATA,
    sa.Column(
        "id",
        sa.UUID(),
        server_default=sa.text("gen_random_uuid()"),
        nullable=False,
        comment="UUIDv7 made by the application",
    ),
    sa.Column("kind", sa.Text(), nullable=False, comment="delete_user or restore_user"),
    sa.Column("subject_id", sa.UUID(), nullable=False, comment="The user"),
    sa.Column(
        "moment",
        sa.DateTime(timezone=True),
        nullable=False,
        comment="deleted_at of everything that the deletion takes; milliseconds",
    ),
    sa.Column("actor_id", sa.UUID(), nullable=True, comment="User who asked for it, null for the system"),
    sa.Column(
        "created_at",
        sa.DateTime(timezone=True),
        server_default=sa.text("now()"),
        nullable=False,
        comment="When it began",
    ),
    sa.Column(
        "finished_at",
        sa.DateTime(timezone=True),
        nullable=True,
        comment="When the last step was done; null while under way",
    ),
    sa.PrimaryKeyConstraint("id", name="pk_operations"),
    sa.CheckConstraint("kind IN ('delete_user', 'restore_user')", name="chk_operations_kind"),
    sa.Index("uidx_operations_unfinished", "subject_id", unique=True, postgresql_where=sa.text("finished_at IS NULL")),
    schema="shared",
    comment="Changes that span both stores",
)

MAKES = (IDEMPOTENCY_KEYS, OPERATIONS)


def upgrade() -> None:
    create_own(IDEMPOTENCY_KEYS)
    create_own(OPERATIONS)


def downgrade() -> None:
    connection = op.get_bind()
    OPERATIONS.drop(connection)
    IDEMPOTENCY_KEYS.drop(connection)
