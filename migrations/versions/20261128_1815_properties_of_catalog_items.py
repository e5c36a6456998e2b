"""Indexes for colours, materials, textures and kinds of pattern, and for items without a picture

Revision ID: 6e4a2c9b7d13
Revises: a1d3f7c25e90
Create Date: 2026-11-28 18:15:00+00:00

Writes to the table wait while the indexes are built: seconds for a million rows. Where that is too long, create them
beforehand by the same statements with CONCURRENTLY, which can't be part of a transaction: what is there is kept.
"""

from __future__ import annotations

from typing import Final

from alembic import op

from migrations.ownership import create_indexes, drop_index

revision: str = "6e4a2c9b7d13"
down_revision: str | None = "a1d3f7c25e90"
branch_labels: str | None = None
depends_on: str | None = None

TABLE: Final = "catalog.catalog_items"
KEYS: Final = {"color": "color", "material": "material", "texture": "texture", "pattern_type": "patternType"}


def _text(key: str) -> str:
    value = f"properties -> '{key}'"
    return f"left(CASE WHEN jsonb_typeof({value}) = 'string' THEN properties ->> '{key}' END, 255)"


TRIGRAMS: Final = ", ".join(f"shared.fold({_text(key)}) gin_trgm_ops" for key in KEYS.values())
# whole, not only of live rows: PostgreSQL uses the statistics of an expression only of a whole index
INDEXES: Final = {
    **{f"idx_catalog_items_{name}": f"({_text(key)}, created_at, id)" for name, key in KEYS.items()},
    "idx_catalog_items_properties_trgm": f"USING gin ({TRIGRAMS})",
    "idx_catalog_items_without_thumbnail": "(created_at, id) WHERE deleted_at IS NULL AND thumbnail_url IS NULL",
}


def upgrade() -> None:
    create_indexes(op.get_bind(), TABLE, INDEXES)


def downgrade() -> None:
    for name in INDEXES:
        drop_index(op.get_bind(), TABLE, name)
