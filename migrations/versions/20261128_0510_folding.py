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

import sqlalchemy as sa
from alembic import op

from migrations.errors import AdoptionError
from migrations.folding import FOLD, create_fold

revision: str = "8b1f0c6d2e47"
down_revision: str | None = "5d2e8f4b6a91"
branch_labels: str | None = None
depends_on: str | None = None

SHOWN: Final = 20
EMAIL: Final = "shared.fold(btrim(email))"

INDEXES: Final = {
    "shared.uidx_users_email": ("UNIQUE", f"shared.users ({EMAIL})", "shared.users (lower(email))"),
    "shared.idx_users_texts_trgm": (
        "",
        "shared.users USING gin (shared.fold(email) gin_trgm_ops, shared.fold(first_name) gin_trgm_ops, "
        "shared.fold(last_name) gin_trgm_ops)",
        "shared.users USING gin (email gin_trgm_ops, first_name gin_trgm_ops, last_name gin_trgm_ops)",
    ),
    "avatar.idx_avatars_name_trgm": (
        "",
        "avatar.avatars USING gin (shared.fold(name) gin_trgm_ops)",
        "avatar.avatars USING gin (name gin_trgm_ops)",
    ),
    "catalog.idx_catalog_items_name_trgm": (
        "",
        "catalog.catalog_items USING gin (shared.fold(name) gin_trgm_ops)",
        "catalog.catalog_items USING gin (name gin_trgm_ops)",
    ),
}
"""By name: kind, definition from now on, definition before."""


def upgrade() -> None:
    create_fold(op.get_bind())
    _refuse_equal_emails(op.get_bind())
    for name, (kind, new, _) in INDEXES.items():
        _replace(name, kind, new)


def downgrade() -> None:
    for name, (kind, _, old) in INDEXES.items():
        _replace(name, kind, old)
    op.execute(f"DROP FUNCTION {FOLD}")


def _replace(name: str, kind: str, definition: str) -> None:
    op.execute(f"DROP INDEX IF EXISTS {name}")
    op.execute(f"CREATE {kind} INDEX {name.partition('.')[2]} ON {definition}")


def _refuse_equal_emails(connection: sa.Connection) -> None:
    """Raise AdoptionError where several accounts have one address by the new rule."""
    query = (
        "SELECT string_agg(id::text, ' = ' ORDER BY id::text) FROM shared.users "  # noqa: S608  constants
        f"GROUP BY {EMAIL} HAVING count(*) > 1 ORDER BY 1"
    )
    found = list(connection.scalars(sa.text(query)))
    if found:
        listed = ", ".join(found[:SHOWN]) + (" and more" if len(found) > SHOWN else "")
        raise AdoptionError(
            f"shared.users has the same email address {len(found)} times, differing at most in case, form or blanks "
            f"around it; nothing was changed. Change or delete all but one of each, by id: {listed}"
        )
