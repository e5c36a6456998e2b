"""Tables of search: the words of catalog items and of designs, and the spellings of all words.

All of it is derived, and can be made anew. `design.design_search` stands for designs in MongoDB; what a search asks of
them is in its columns.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class ItemWords(Base):
    """The words of a catalog item, kept by a trigger."""

    __tablename__ = "item_search"
    __table_args__ = (
        Index("idx_item_search_words", "words", postgresql_using="gin"),
        {"schema": "catalog", "comment": "What a search finds catalog items by; derived from them by a trigger"},
    )

    item_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("catalog.catalog_items.id", ondelete="CASCADE"), primary_key=True, comment="Whose words they are"
    )
    words: Mapped[Any] = mapped_column(TSVECTOR, comment="Name (A), properties (B), tags (C) and description (D)")


class DesignWords(Base):
    """A design as search knows it. Deleted ones have no row."""

    __tablename__ = "design_search"
    __table_args__ = (
        Index("idx_design_search_words", "words", postgresql_using="gin"),
        Index("idx_design_search_updated_at", "updated_at"),
        {"schema": "design", "comment": "What a search finds designs by; derived from MongoDB"},
    )

    id: Mapped[str] = mapped_column(String(24), primary_key=True, comment="The ObjectId of the design")
    user_id: Mapped[str | None] = mapped_column(Text, comment="Whose it is")
    status: Mapped[str] = mapped_column(Text, comment="draft, published or archived")
    name: Mapped[str] = mapped_column(Text, comment="Its name")
    description: Mapped[str | None] = mapped_column(Text, comment="What it is, for people")
    tags: Mapped[list[str]] = mapped_column(JSONB, comment="Words to find it by")
    updated_at: Mapped[datetime] = mapped_column(comment="When the design last changed")
    version: Mapped[int] = mapped_column(Integer, comment="Its version")
    words: Mapped[Any] = mapped_column(TSVECTOR, comment="Name (A), tags (C) and description (D)")


class Spelling(Base):
    """What a word and its mistyped forms have in common."""

    __tablename__ = "search_spellings"
    __table_args__ = (
        Index("idx_search_spellings_spelling", "spelling", "word"),
        {"schema": "shared", "comment": "Words without one or two of their letters, to correct mistyped ones by"},
    )

    id: Mapped[uuid.UUID] = mapped_column(
        primary_key=True, server_default=text("gen_random_uuid()"), comment="Nothing but a key"
    )
    spelling: Mapped[str] = mapped_column(Text, comment="The word, or the word without some of its letters")
    word: Mapped[str] = mapped_column(Text, comment="A word that some object has or had")
