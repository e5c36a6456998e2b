"""Table `avatar.avatars`."""

from __future__ import annotations

import uuid
from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, literal_column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import DELETED, LIVE, Authored, Base, Identified, Timestamped

MEASUREMENTS: Final = ("height", "weight", "chest", "waist", "hips", "shoulderWidth")
"""Keys of `measurements`: lengths in cm, weight in kg, each optional and positive."""


class Avatar(Identified, Timestamped, Authored, Base):
    """A body that designs are worn on. A user has at most one default among the live ones."""

    __tablename__ = "avatars"
    __table_args__ = (
        CheckConstraint("gender IN ('male', 'female', 'unisex')", name="gender"),
        CheckConstraint(
            "jsonb_typeof(measurements) = 'object' "
            "AND NOT jsonb_path_exists(measurements, '$.* ? (@.type() != \"number\" || @ <= 0)')",
            name="measurements",
        ),
        Index("idx_avatars_user_id", "user_id", "created_at", "id", postgresql_where=LIVE),
        Index("idx_avatars_created_at", "created_at", "id", postgresql_where=LIVE),
        Index("idx_avatars_updated_at", "updated_at", "id", postgresql_where=LIVE),
        Index("idx_avatars_name", "name", "id", postgresql_where=LIVE),
        Index("idx_avatars_gender", "gender", "created_at", "id", postgresql_where=LIVE),
        Index("idx_avatars_deleted", "created_at", "id", postgresql_where=DELETED),
        Index("idx_avatars_created_by", "created_by"),
        Index("idx_avatars_updated_by", "updated_by"),
        Index(
            "idx_avatars_name_trgm",
            literal_column("shared.fold(name)").label("folded_name"),
            postgresql_using="gin",
            postgresql_ops={"folded_name": "gin_trgm_ops"},
        ),
        Index(
            "uidx_avatars_user_id_default",
            "user_id",
            unique=True,
            postgresql_where=text("is_default AND deleted_at IS NULL"),
        ),
        {"schema": "avatar", "comment": "Bodies that designs are worn on"},
    )

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("shared.users.id", ondelete="CASCADE"), comment="Owner")
    name: Mapped[str] = mapped_column(String(255), comment="Name the owner gave it")
    gender: Mapped[str] = mapped_column(Text, server_default=text("'unisex'"), comment="male, female or unisex")
    measurements: Mapped[dict[str, Any]] = mapped_column(
        JSONB,
        server_default=text("'{}'::jsonb"),
        comment="height, weight, chest, waist, hips, shoulderWidth in cm and kg; each optional and positive",
    )
    model_url: Mapped[str | None] = mapped_column(Text, comment="3D model")
    thumbnail_url: Mapped[str | None] = mapped_column(Text, comment="Small picture")
    is_default: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="The avatar that new designs of the owner use"
    )
