"""Table `audit.audit_log`."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Sequence, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Identified

Sequence("audit_log_positions", schema="audit", metadata=Base.metadata)


class AuditEntry(Identified, Base):
    """One change of one row. It has no foreign keys, since the log outlives the rows."""

    __tablename__ = "audit_log"
    __table_args__ = (
        CheckConstraint("operation IN ('INSERT', 'UPDATE', 'DELETE')", name="operation"),
        Index("idx_audit_log_at", "at", "id"),
        Index("idx_audit_log_record_id", "table_name", "record_id", "at"),
        Index("idx_audit_log_actor_id", "actor_id", "at"),
        Index("idx_audit_log_request_id", "request_id", "at"),
        Index("idx_audit_log_log_position", "log_position"),
        {"schema": "audit", "comment": "Who changed what, and when"},
    )

    table_name: Mapped[str] = mapped_column(Text, comment="Schema and table of the changed row")
    record_id: Mapped[uuid.UUID] = mapped_column(comment="Primary key of the changed row")
    operation: Mapped[str] = mapped_column(Text, comment="INSERT, UPDATE or DELETE")
    old_values: Mapped[dict[str, Any] | None] = mapped_column(JSONB, comment="Row before, null on INSERT")
    new_values: Mapped[dict[str, Any] | None] = mapped_column(JSONB, comment="Row after, null on DELETE")
    actor_id: Mapped[uuid.UUID | None] = mapped_column(comment="User who did it, null for the system")
    request_id: Mapped[str | None] = mapped_column(Text, comment="Id of the HTTP request that caused it")
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"), comment="When it happened")
    log_position: Mapped[int | None] = mapped_column(
        BigInteger,
        server_default=text("nextval('audit.audit_log_positions'::regclass)"),
        comment="Place in the order of entries, by which live updates follow them; null for those before there was one",
    )
