"""Table `shared.idempotency_keys`: mutations that must run once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Identified


class IdempotencyKey(Identified, Base):
    """One request that carried an `Idempotency-Key`, and its answer once it has one."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("uidx_idempotency_keys_actor_key", "actor", "key", unique=True),
        Index("idx_idempotency_keys_created_at", "created_at"),
        {"schema": "shared", "comment": "Mutations that must run once"},
    )

    actor: Mapped[str] = mapped_column(Text, comment="Account that sent it, or the address of an anonymous one")
    key: Mapped[str] = mapped_column(Text, comment="The header's value")
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary, comment="HMAC-SHA-256 of document, operation and variables")
    response: Mapped[dict[str, Any] | None] = mapped_column(JSONB, comment="The answer, encrypted; null while it runs")
    locked_until: Mapped[datetime] = mapped_column(comment="Until when the running one holds it")
    written_at: Mapped[datetime | None] = mapped_column(comment="When it had written to PostgreSQL; it runs no more")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), comment="When it was first seen")
