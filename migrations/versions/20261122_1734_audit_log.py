"""Audit log

Revision ID: b969feeb661c
Revises: 3739d99c36f9
Create Date: 2026-11-22 17:34:00+00:00

An existing table is adopted: its rows are kept, and missing columns, constraints, indexes, defaults and comments are
added. Downgrading drops the table only if an upgrade made it; an adopted one stays, with its rows and what was added.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from migrations.tables import create_or_adopt, drop_unless_adopted

revision: str = "b969feeb661c"
down_revision: str | None = "3739d99c36f9"
branch_labels: str | None = None
depends_on: str | None = None

METADATA = sa.MetaData()

TABLE = sa.Table(
    "audit_log",
    METADATA,
    sa.Column(
        "id",
        sa.UUID(),
        server_default=sa.text("gen_random_uuid()"),
        nullable=False,
        comment="UUIDv7 made by the application",
    ),
    sa.Column("table_name", sa.Text(), nullable=False, comment="Schema and table of the changed row"),
    sa.Column("record_id", sa.UUID(), nullable=False, comment="Primary key of the changed row"),
    sa.Column("operation", sa.Text(), nullable=False, comment="INSERT, UPDATE or DELETE"),
    sa.Column("old_values", postgresql.JSONB(), nullable=True, comment="Row before, null on INSERT"),
    sa.Column("new_values", postgresql.JSONB(), nullable=True, comment="Row after, null on DELETE"),
    sa.Column("actor_id", sa.UUID(), nullable=True, comment="User who did it, null for the system"),
    sa.Column("request_id", sa.Text(), nullable=True, comment="Id of the HTTP request that caused it"),
    sa.Column(
        "at",
        sa.DateTime(timezone=True),
        server_default=sa.text("clock_timestamp()"),
        nullable=False,
        comment="When it happened",
    ),
    sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    sa.CheckConstraint("operation IN ('INSERT', 'UPDATE', 'DELETE')", name="chk_audit_log_operation"),
    sa.Index("idx_audit_log_actor_id", "actor_id", "at"),
    sa.Index("idx_audit_log_at", "at", "id"),
    sa.Index("idx_audit_log_record_id", "table_name", "record_id", "at"),
    schema="audit",
    comment="Who changed what, and when",
)

ADOPTS = (TABLE,)


def upgrade() -> None:
    create_or_adopt(TABLE)


def downgrade() -> None:
    drop_unless_adopted(TABLE)
