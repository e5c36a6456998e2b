"""Catalog items

Revision ID: 3739d99c36f9
Revises: d0a78c3b3818
Create Date: 2026-11-22 17:33:00+00:00

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

revision: str = "3739d99c36f9"
down_revision: str | None = "d0a78c3b3818"
branch_labels: str | None = None
depends_on: str | None = None

METADATA = sa.MetaData()
sa.Table("users", METADATA, sa.Column("id", sa.UUID(), primary_key=True), schema="shared")  # what foreign keys refer to

LIVE = sa.text("deleted_at IS NULL")

TABLE = sa.Table(
    "catalog_items",
    METADATA,
    sa.Column(
        "id",
        sa.UUID(),
        server_default=sa.text("gen_random_uuid()"),
        nullable=False,
        comment="UUIDv7 made by the application",
    ),
    sa.Column("name", sa.String(255), nullable=False, comment="Display name"),
    sa.Column("description", sa.Text(), nullable=True, comment="What it is, for people"),
    sa.Column("type", sa.Text(), nullable=False, comment="silhouette, fabric or pattern"),
    sa.Column(
        "category",
        sa.Text(),
        nullable=True,
        comment="top, bottom, dress, outerwear, accessory or other; null where none fits",
    ),
    sa.Column(
        "properties",
        postgresql.JSONB(),
        server_default=sa.text("'{}'::jsonb"),
        nullable=False,
        comment="color, texture, material, patternType (texts) and tags (list of texts)",
    ),
    sa.Column("asset_url", sa.Text(), nullable=True, comment="3D asset; only for those who may use it"),
    sa.Column("thumbnail_url", sa.Text(), nullable=True, comment="Small picture"),
    sa.Column(
        "is_premium",
        sa.Boolean(),
        server_default=sa.text("false"),
        nullable=False,
        comment="Whether the asset is for premium accounts only",
    ),
    sa.Column(
        "is_active",
        sa.Boolean(),
        server_default=sa.text("true"),
        nullable=False,
        comment="False: no longer listed, but still shown where it is used",
    ),
    sa.Column("price", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="In cents"),
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
    sa.PrimaryKeyConstraint("id", name="pk_catalog_items"),
    sa.ForeignKeyConstraint(
        ["created_by"], ["shared.users.id"], name="fk_catalog_items_created_by", ondelete="SET NULL"
    ),
    sa.ForeignKeyConstraint(
        ["updated_by"], ["shared.users.id"], name="fk_catalog_items_updated_by", ondelete="SET NULL"
    ),
    sa.CheckConstraint(
        "category IN ('top', 'bottom', 'dress', 'outerwear', 'accessory', 'other')", name="chk_catalog_items_category"
    ),
    sa.CheckConstraint("price >= 0", name="chk_catalog_items_price"),
    sa.CheckConstraint("jsonb_typeof(properties) = 'object'", name="chk_catalog_items_properties"),
    sa.CheckConstraint("type IN ('silhouette', 'fabric', 'pattern')", name="chk_catalog_items_type"),
    sa.Index("idx_catalog_items_category", "category", "created_at", "id", postgresql_where=LIVE),
    sa.Index("idx_catalog_items_created_at", "created_at", "id", postgresql_where=LIVE),
    sa.Index("idx_catalog_items_created_by", "created_by", "created_at", "id"),
    sa.Index("idx_catalog_items_name", "name", "id", postgresql_where=LIVE),
    sa.Index("idx_catalog_items_name_trgm", sa.text("name gin_trgm_ops"), postgresql_using="gin"),
    sa.Index("idx_catalog_items_price", "price", "id", postgresql_where=LIVE),
    sa.Index(
        "idx_catalog_items_search",
        sa.text(
            "(setweight(to_tsvector('english', name), 'A') "
            "|| setweight(to_tsvector('english', coalesce(description, '')), 'B'))"
        ),
        postgresql_using="gin",
    ),
    sa.Index(
        "idx_catalog_items_tags", sa.text("(properties -> 'tags'::text)"), postgresql_using="gin", postgresql_where=LIVE
    ),
    sa.Index("idx_catalog_items_type", "type", "created_at", "id", postgresql_where=LIVE),
    sa.Index("idx_catalog_items_updated_at", "updated_at", "id", postgresql_where=LIVE),
    sa.Index("idx_catalog_items_updated_by", "updated_by"),
    schema="catalog",
    comment="Silhouettes, fabrics and patterns that layers show",
)

ADOPTS = (TABLE,)


def upgrade() -> None:
    create_or_adopt(TABLE)
    add_updated_at_trigger(TABLE)


def downgrade() -> None:
    drop_updated_at_trigger(TABLE)
    drop_unless_adopted(TABLE)
