"""Sessions know how far the stores were after their last write, for their queries to see it on replicas

Revision ID: 4d7c19e0a6b2
Revises: e92b6d04f1c8
Create Date: 2026-11-29 07:05:00+00:00

The columns are empty, so nothing is written but their names.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision: str = "4d7c19e0a6b2"
down_revision: str | None = "e92b6d04f1c8"
branch_labels: str | None = None
depends_on: str | None = None

TABLE: Final = "shared.account_sessions"
COLUMNS: Final = {
    "seen_timeline": "Timeline of PostgreSQL at its last write, where queries are read from replicas",
    "seen_wal": "Place in the write-ahead log after that write",
    "seen_cluster_time": "MongoDB''s cluster time after it: seconds times 2^32, and a counter",
}


def upgrade() -> None:
    for name, comment in COLUMNS.items():
        op.execute(f"ALTER TABLE {TABLE} ADD COLUMN {name} bigint")
        op.execute(f"COMMENT ON COLUMN {TABLE}.{name} IS '{comment}'")


def downgrade() -> None:
    for name in COLUMNS:
        op.execute(f"ALTER TABLE {TABLE} DROP COLUMN {name}")
