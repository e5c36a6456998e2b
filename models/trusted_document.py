"""Table `shared.trusted_documents`: GraphQL documents that the operator has registered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class TrustedDocument(Base):
    """One document under one of its identifiers. It is never changed: another text needs another identifier, or a
    removal first."""

    __tablename__ = "trusted_documents"
    __table_args__ = ({"schema": "shared", "comment": "GraphQL documents that clients may ask for by identifier"},)

    identifier: Mapped[str] = mapped_column(
        Text, primary_key=True, comment="sha256: and the hash of the document, or the id that a manifest gives it"
    )
    document: Mapped[str] = mapped_column(Text, comment="The source text, exactly")
    operations: Mapped[str] = mapped_column(Text, comment="Names of its operations, with commas between")
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), comment="When it was registered")
