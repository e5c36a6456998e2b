"""Tables `shared.account_sessions` and `shared.account_refresh_tokens`: who is signed in where.

They aren't called `sessions`, since databases of the original service may have a table with that name.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Identified


class Session(Identified, Base):
    """One sign-in, which owns all refresh tokens that come from it. Access tokens contain its id."""

    __tablename__ = "account_sessions"
    __table_args__ = (
        Index("idx_account_sessions_user_id", "user_id", postgresql_where=text("revoked_at IS NULL")),
        Index("idx_account_sessions_expires_at", "expires_at"),
        {"schema": "shared", "comment": "Sign-ins: families of refresh tokens"},
    )

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("shared.users.id", ondelete="CASCADE"), comment="Whose it is")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), comment="When it began")
    expires_at: Mapped[datetime] = mapped_column(comment="When it ends by itself")
    revoked_at: Mapped[datetime | None] = mapped_column(comment="When it was ended; null while it lasts")
    revoked_for: Mapped[str | None] = mapped_column(Text, comment="Why it was ended: sign_out, reuse, password, ...")
    seen_timeline: Mapped[int | None] = mapped_column(
        BigInteger, comment="Timeline of PostgreSQL at its last write, where queries are read from replicas"
    )
    seen_wal: Mapped[int | None] = mapped_column(BigInteger, comment="Place in the write-ahead log after that write")
    seen_cluster_time: Mapped[int | None] = mapped_column(
        BigInteger, comment="MongoDB's cluster time after it: seconds times 2^32, and a counter"
    )


class RefreshToken(Identified, Base):
    """One refresh token, as the hash of it. Used once; a second use revokes the session."""

    __tablename__ = "account_refresh_tokens"
    __table_args__ = (
        Index("uidx_account_refresh_tokens_token_hash", "token_hash", unique=True),
        Index("idx_account_refresh_tokens_session_id", "session_id"),
        {"schema": "shared", "comment": "Refresh tokens, hashed"},
    )

    session_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("shared.account_sessions.id", ondelete="CASCADE"), comment="Session that it prolongs"
    )
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of the token")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), comment="When it was handed out")
    used_at: Mapped[datetime | None] = mapped_column(comment="When it was exchanged; null while it is good")
