"""An index of the items that have a size table

Revision ID: a1d3f7c25e90
Revises: 8b1f0c6d2e47
Create Date: 2026-11-28 17:45:00+00:00

Writes to the table wait while the index is built: a second for a million rows. Where that is too long, create it
beforehand by the same statement with CONCURRENTLY, which can't be part of a transaction: what is there is kept.
"""

from __future__ import annotations

from typing import Final

from alembic import op

from migrations.ownership import create_index, drop_index

revision: str = "a1d3f7c25e90"
down_revision: str | None = "8b1f0c6d2e47"
branch_labels: str | None = None
depends_on: str | None = None

TABLE: Final = "catalog.catalog_items"
NAME: Final = "idx_catalog_items_sizes"
SIZED: Final = "deleted_at IS NULL AND jsonb_typeof(properties -> 'sizes') = 'object'"


def upgrade() -> None:
    create_index(op.get_bind(), TABLE, NAME, f"(created_at, id) WHERE {SIZED}")


def downgrade() -> None:
    drop_index(op.get_bind(), TABLE, NAME)
