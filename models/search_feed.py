"""Table `design.search_feed`: how far search has followed the changes of designs, and which process does it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class SearchFeed(Base):
    """The one row of the feed. What it says of the source holds for the rows that were written with it."""

    __tablename__ = "search_feed"
    __table_args__ = ({"schema": "design", "comment": "How far search has followed designs; one row"},)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, comment="1")
    holder: Mapped[str | None] = mapped_column(Text, comment="The process that follows")
    held_until: Mapped[datetime | None] = mapped_column(comment="Until when no other process may")
    copied: Mapped[bool] = mapped_column(
        Boolean, server_default=text("false"), comment="Whether all designs were copied before changes were followed"
    )
    resume_token: Mapped[str | None] = mapped_column(
        Text, comment="Where the change stream goes on, as extended JSON; null where the server has none"
    )
    position: Mapped[datetime | None] = mapped_column(comment="The last updatedAt, where there is no change stream")
    caught_up_at: Mapped[datetime | None] = mapped_column(comment="When every change so far was known")
