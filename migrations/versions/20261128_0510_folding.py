"""Texts are folded whatever the locale

Revision ID: 8b1f0c6d2e47
Revises: 5d2e8f4b6a91
Create Date: 2026-11-28 05:10:00+00:00

`lower` and trigrams depend on the locale of the database: in a Turkish one `INFO@...` and `info@...` were two accounts,
and no part of `LINEN` was found. Accounts that are one by the new rule stop the upgrade before anything is changed.
Writes to a table wait while its indexes are built: seconds for a million rows.
"""

from __future__ import annotations

from typing import Final

from alembic import op

from migrations.errors import AdoptionError
from migrations.examination import duplicates
from migrations.folding import COMMENT, FOLD, create_fold
from migrations.ownership import create_index, drop_index, require_free_functions
from migrations.rules import RULES

revision: str = "8b1f0c6d2e47"
down_revision: str | None = "5d2e8f4b6a91"
branch_labels: str | None = None
depends_on: str | None = None

EMAIL: Final = "shared.fold(btrim(email))"

INDEXES: Final = {
    "uidx_users_email": ("shared.users", f"({EMAIL})", "(lower(email))"),
    "idx_users_texts_trgm": (
        "shared.users",
        "USING gin (shared.fold(email) gin_trgm_ops, shared.fold(first_name) gin_trgm_ops, "
        "shared.fold(last_name) gin_trgm_ops)",
        "USING gin (email gin_trgm_ops, first_name gin_trgm_ops, last_name gin_trgm_ops)",
    ),
    "idx_avatars_name_trgm": (
        "avatar.avatars",
        "USING gin (shared.fold(name) gin_trgm_ops)",
        "USING gin (name gin_trgm_ops)",
    ),
    "idx_catalog_items_name_trgm": (
        "catalog.catalog_items",
        "USING gin (shared.fold(name) gin_trgm_ops)",
        "USING gin (name gin_trgm_ops)",
    ),
}
"""By name: table, definition from now on, definition before."""


def upgrade() -> None:
    connection = op.get_bind()
    require_free_functions(connection, {FOLD: COMMENT})
    create_fold(connection)
    if contradictions := duplicates(connection, "shared.users", EMAIL, RULES["uidx_users_email"]):
        raise AdoptionError.of(contradictions)
    for name, (table, new, _) in INDEXES.items():
        _replace(table, name, new)


def downgrade() -> None:
    for name, (table, _, old) in INDEXES.items():
        _replace(table, name, old)
    op.execute(f"DROP FUNCTION {FOLD}")


def _replace(table: str, name: str, on: str) -> None:
    drop_index(op.get_bind(), table, name)
    create_index(op.get_bind(), table, name, on, unique=name.startswith("uidx"))
