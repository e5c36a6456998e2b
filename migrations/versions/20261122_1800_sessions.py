"""Sessions and refresh tokens

Revision ID: 56d06d12f0a4
Revises: b969feeb661c
Create Date: 2026-11-22 18:00:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.tables import create_own

revision: str = "56d06d12f0a4"
down_revision: str | None = "b969feeb661c"
branch_labels: str | None = None
depends_on: str | None = None

METADATA = sa.MetaData()
sa.Table("users", METADATA, sa.Column("id", sa.UUID(), primary_key=True), schema="shared")  # what foreign keys refer to

SESSIONS = sa.Table(
    "account_sessions",
    METADATA,
    sa.Column(
        "id",
        sa.UUID(),
        server_default=sa.text("gen_random_uuid()"),
        nullable=False,
        comment="UUIDv7 made by the application",
    ),
    sa.Column("user_id", sa.UUID(), nullable=False, comment="Whose it is"),
    sa.Column(
        "created_at",
        sa.DateTime(timezone=True),
        server_default=sa.text("now()"),
        nullable=False,
        comment="When it began",
    ),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, comment="When it ends by itself"),
    sa.Column(
        "revoked_at", sa.DateTime(timezone=True), nullable=True, comment="When it was ended; null while it lasts"
    ),
    sa.Column("revoked_for", sa.Text(), nullable=True, comment="Why it was ended: sign_out, reuse, password, ..."),
    sa.PrimaryKeyConstraint("id", name="pk_account_sessions"),
    sa.ForeignKeyConstraint(["user_id"], ["shared.users.id"], name="fk_account_sessions_user_id", ondelete="CASCADE"),
    sa.Index("idx_account_sessions_expires_at", "expires_at"),
    sa.Index("idx_account_sessions_user_id", "user_id", postgresql_where=sa.text("revoked_at IS NULL")),
    schema="shared",
    comment="Sign-ins: families of refresh tokens",
)

REFRESH_TOKENS = sa.Table(
    "account_refresh_tokens",
    METADATA,
    sa.Column(
        "id",
        sa.UUID(),
        server_default=sa.text("gen_random_uuid()"),
        nullable=False,
        comment="UUIDv7 made by the application",
    ),
    sa.Column("session_id", sa.UUID(), nullable=False, comment="Session that it prolongs"),
    sa.Column("token_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the token"),
    sa.Column(
        "created_at",
        sa.DateTime(timezone=True),
        server_default=sa.text("now()"),
        nullable=False,
        comment="When it was handed out",
    ),
    sa.Column(
        "used_at", sa.DateTime(timezone=True), nullable=True, comment="When it was exchanged; null while it is good"
    ),
    sa.PrimaryKeyConstraint("id", name="pk_account_refresh_tokens"),
    sa.ForeignKeyConstraint(
        ["session_id"],
        ["shared.account_sessions.id"],
        name="fk_account_refresh_tokens_session_id",
        ondelete="CASCADE",
    ),
    sa.Index("idx_account_refresh_tokens_session_id", "session_id"),
    sa.Index("uidx_account_refresh_tokens_token_hash", "token_hash", unique=True),
    schema="shared",
    comment="Refresh tokens, hashed",
)

MAKES = (SESSIONS, REFRESH_TOKENS)


def upgrade() -> None:
    create_own(SESSIONS)
    create_own(REFRESH_TOKENS)


def downgrade() -> None:
    connection = op.get_bind()
    REFRESH_TOKENS.drop(connection)
    SESSIONS.drop(connection)
