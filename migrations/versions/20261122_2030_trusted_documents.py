"""Trusted documents

Revision ID: 3f1c9a7e5b20
Revises: 8a6b3c5d7e1f
Create Date: 2026-11-22 20:30:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.tables import create_own

revision: str = "3f1c9a7e5b20"
down_revision: str | None = "8a6b3c5d7e1f"
branch_labels: str | None = None
depends_on: str | None = None

TRUSTED_DOCUMENTS = sa.Table(
    "trusted_documents",
    sa.MetaData(),
    sa.Column(
        "identifier",
        sa.Text(),
        nullable=False,
        comment="sha256: and the hash of the document, or the id that a manifest gives it",
    ),
    sa.Column("document", sa.Text(), nullable=False, comment="The source text, exactly"),
    sa.Column("operations", sa.Text(), nullable=False, comment="Names of its operations, with commas between"),
    sa.Column(
        "created_at",
        sa.DateTime(timezone=True),
        server_default=sa.text("now()"),
        nullable=False,
        comment="When it was registered",
    ),
    sa.PrimaryKeyConstraint("identifier", name="pk_trusted_documents"),
    schema="shared",
    comment="GraphQL documents that clients may ask for by identifier",
)

MAKES = (TRUSTED_DOCUMENTS,)


def upgrade() -> None:
    create_own(TRUSTED_DOCUMENTS)


def downgrade() -> None:
    TRUSTED_DOCUMENTS.drop(op.get_bind())
