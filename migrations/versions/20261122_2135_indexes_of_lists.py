"""Indexes of lists: deleted rows, parts of users' texts, requests in the audit log

Revision ID: 5d2e8f4b6a91
Revises: 3f1c9a7e5b20
Create Date: 2026-11-22 21:35:00+00:00

Writes to a table wait while its indexes are built: seconds for a million rows. Where that is too long, create them
beforehand by the same statements with CONCURRENTLY, which can't be part of a transaction: what is there is kept.
"""

from __future__ import annotations

from typing import Final

from alembic import op

from migrations.ownership import create_index, drop_index

revision: str = "5d2e8f4b6a91"
down_revision: str | None = "3f1c9a7e5b20"
branch_labels: str | None = None
depends_on: str | None = None

INDEXES: Final = {
    "idx_users_deleted": ("shared.users", "(created_at, id) WHERE deleted_at IS NOT NULL"),
    "idx_users_texts_trgm": (
        "shared.users",
        "USING gin (email gin_trgm_ops, first_name gin_trgm_ops, last_name gin_trgm_ops)",
    ),
    "idx_avatars_deleted": ("avatar.avatars", "(created_at, id) WHERE deleted_at IS NOT NULL"),
    "idx_catalog_items_deleted": ("catalog.catalog_items", "(created_at, id) WHERE deleted_at IS NOT NULL"),
    "idx_catalog_items_created_by_deleted": (
        "catalog.catalog_items",
        "(created_by, created_at, id) WHERE deleted_at IS NOT NULL",
    ),
    "idx_audit_log_request_id": ("audit.audit_log", "(request_id, at)"),
}


def upgrade() -> None:
    for name, (table, on) in INDEXES.items():
        create_index(op.get_bind(), table, name, on)


def downgrade() -> None:
    for name, (table, _) in INDEXES.items():
        drop_index(op.get_bind(), table, name)
