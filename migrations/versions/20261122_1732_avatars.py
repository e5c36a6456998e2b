"""Avatars

Revision ID: d0a78c3b3818
Revises: 1daa78b4c618
Create Date: 2026-11-22 17:32:00+00:00

An existing table is adopted: its rows are kept, and missing columns, constraints, indexes, defaults and comments are
added. Downgrading drops the table only if an upgrade made it; an adopted one stays, with its rows and what was added.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from migrations.tables import (
    add_updated_at_trigger,
    create_or_adopt,
    drop_unless_adopted,
    drop_updated_at_trigger,
)

revision: str = "d0a78c3b3818"
down_revision: str | None = "1daa78b4c618"
branch_labels: str | None = None
depends_on: str | None = None

METADATA = sa.MetaData()
sa.Table("users", METADATA, sa.Column("id", sa.UUID(), primary_key=True), schema="shared")  # what foreign keys refer to

LIVE = sa.text("deleted_at IS NULL")

TABLE = sa.Table(
    "avatars",
    METADATA,
    sa.Column(
        "id",
        sa.UUID(),
        server_default=sa.text("gen_random_uuid()"),
        nullable=False,
        comment="UUIDv7 made by the application",
    ),
    sa.Column("user_id", sa.UUID(), nullable=False, comment="Owner"),
    sa.Column("name", sa.String(255), nullable=False, comment="Name the owner gave it"),
    sa.Column(
        "gender", sa.Text(), server_default=sa.text("'unisex'"), nullable=False, comment="male, female or unisex"
    ),
    sa.Column(
        "measurements",
        postgresql.JSONB(),
        server_default=sa.text("'{}'::jsonb"),
        nullable=False,
        comment="height, weight, chest, waist, hips, shoulderWidth in cm and kg; each optional and positive",
    ),
    sa.Column("model_url", sa.Text(), nullable=True, comment="3D model"),
    sa.Column("thumbnail_url", sa.Text(), nullable=True, comment="Small picture"),
    sa.Column(
        "is_default",
        sa.Boolean(),
        server_default=sa.text("false"),
        nullable=False,
        comment="The avatar that new designs of the owner use",
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
    sa.PrimaryKeyConstraint("id", name="pk_avatars"),
    sa.ForeignKeyConstraint(["created_by"], ["shared.users.id"], name="fk_avatars_created_by", ondelete="SET NULL"),
    sa.ForeignKeyConstraint(["updated_by"], ["shared.users.id"], name="fk_avatars_updated_by", ondelete="SET NULL"),
    sa.ForeignKeyConstraint(["user_id"], ["shared.users.id"], name="fk_avatars_user_id", ondelete="CASCADE"),
    sa.CheckConstraint("gender IN ('male', 'female', 'unisex')", name="chk_avatars_gender"),
    sa.CheckConstraint(
        "jsonb_typeof(measurements) = 'object' "
        "AND NOT jsonb_path_exists(measurements, '$.* ? (@.type() != \"number\" || @ <= 0)')",
        name="chk_avatars_measurements",
    ),
    sa.Index("idx_avatars_created_at", "created_at", "id", postgresql_where=LIVE),
    sa.Index("idx_avatars_created_by", "created_by"),
    sa.Index("idx_avatars_gender", "gender", "created_at", "id", postgresql_where=LIVE),
    sa.Index("idx_avatars_name", "name", "id", postgresql_where=LIVE),
    sa.Index("idx_avatars_name_trgm", sa.text("name gin_trgm_ops"), postgresql_using="gin"),
    sa.Index("idx_avatars_updated_at", "updated_at", "id", postgresql_where=LIVE),
    sa.Index("idx_avatars_updated_by", "updated_by"),
    sa.Index("idx_avatars_user_id", "user_id", "created_at", "id", postgresql_where=LIVE),
    sa.Index(
        "uidx_avatars_user_id_default",
        "user_id",
        unique=True,
        postgresql_where=sa.text("is_default AND deleted_at IS NULL"),
    ),
    schema="avatar",
    comment="Bodies that designs are worn on",
)

ADOPTS = (TABLE,)


def upgrade() -> None:
    create_or_adopt(TABLE)
    add_updated_at_trigger(TABLE)


def downgrade() -> None:
    drop_updated_at_trigger(TABLE)
    drop_unless_adopted(TABLE)
