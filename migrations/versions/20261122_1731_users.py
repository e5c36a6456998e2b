"""Users

Revision ID: 1daa78b4c618
Revises: c4ae3af98bb2
Create Date: 2026-11-22 17:31:00+00:00

An existing table is adopted: its rows are kept, and missing columns, constraints, indexes, defaults and comments are
added. Downgrading drops the table only if an upgrade made it; an adopted one stays, with its rows and what was added.
"""

from __future__ import annotations

import sqlalchemy as sa

from migrations.tables import (
    add_updated_at_trigger,
    create_or_adopt,
    drop_unless_adopted,
    drop_updated_at_trigger,
)

revision: str = "1daa78b4c618"
down_revision: str | None = "c4ae3af98bb2"
branch_labels: str | None = None
depends_on: str | None = None

METADATA = sa.MetaData()

LIVE = sa.text("deleted_at IS NULL")

TABLE = sa.Table(
    "users",
    METADATA,
    sa.Column(
        "id",
        sa.UUID(),
        server_default=sa.text("gen_random_uuid()"),
        nullable=False,
        comment="UUIDv7 made by the application",
    ),
    sa.Column("email", sa.String(255), nullable=False, comment="Sign-in name; unique whatever its case"),
    sa.Column("password_hash", sa.String(255), nullable=False, comment="argon2id, or bcrypt of the original service"),
    sa.Column("first_name", sa.String(100), nullable=True, comment="Given name"),
    sa.Column("last_name", sa.String(100), nullable=True, comment="Family name"),
    sa.Column(
        "role", sa.String(50), server_default=sa.text("'user'"), nullable=False, comment="user, premium, brand or admin"
    ),
    sa.Column(
        "is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="False: may not sign in"
    ),
    sa.Column(
        "email_verified",
        sa.Boolean(),
        server_default=sa.text("false"),
        nullable=False,
        comment="Whether the owner of the address has confirmed it",
    ),
    sa.Column(
        "created_at",
        sa.DateTime(timezone=True),
        server_default=sa.text("now()"),
        nullable=False,
        comment="When the row was created",
    ),
    sa.Column(
        "updated_at",
        sa.DateTime(timezone=True),
        server_default=sa.text("now()"),
        nullable=False,
        comment="When the row last changed; set by a trigger",
    ),
    sa.Column(
        "deleted_at",
        sa.DateTime(timezone=True),
        nullable=True,
        comment="When the row was soft-deleted; null while it lives",
    ),
    sa.Column("created_by", sa.UUID(), nullable=True, comment="User who created the row"),
    sa.Column("updated_by", sa.UUID(), nullable=True, comment="User who last changed the row"),
    sa.PrimaryKeyConstraint("id", name="pk_users"),
    sa.ForeignKeyConstraint(["created_by"], ["shared.users.id"], name="fk_users_created_by", ondelete="SET NULL"),
    sa.ForeignKeyConstraint(["updated_by"], ["shared.users.id"], name="fk_users_updated_by", ondelete="SET NULL"),
    sa.CheckConstraint("role IN ('user', 'premium', 'brand', 'admin')", name="chk_users_role"),
    sa.Index("idx_users_created_at", "created_at", "id", postgresql_where=LIVE),
    sa.Index("idx_users_created_by", "created_by"),
    sa.Index("idx_users_email", "email", "id", postgresql_where=LIVE),
    sa.Index("idx_users_is_active", "is_active", "created_at", "id", postgresql_where=LIVE),
    sa.Index("idx_users_last_name", "last_name", "id", postgresql_where=LIVE),
    sa.Index(
        "idx_users_name_trgm",
        sa.text("(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) gin_trgm_ops"),
        postgresql_using="gin",
    ),
    sa.Index("idx_users_role", "role", "created_at", "id", postgresql_where=LIVE),
    sa.Index("idx_users_updated_at", "updated_at", "id", postgresql_where=LIVE),
    sa.Index("idx_users_updated_by", "updated_by"),
    sa.Index("uidx_users_email", sa.text("lower(email)"), unique=True),
    schema="shared",
    comment="Accounts",
)

ADOPTS = (TABLE,)


def upgrade() -> None:
    create_or_adopt(TABLE)
    add_updated_at_trigger(TABLE)


def downgrade() -> None:
    drop_updated_at_trigger(TABLE)
    drop_unless_adopted(TABLE)
