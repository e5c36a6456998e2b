"""Table `shared.users`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Index, String, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import DELETED, LIVE, Authored, Base, Identified, Timestamped

FULL_NAME: Final = "((coalesce(first_name, '') || ' ') || coalesce(last_name, ''))"
"""The expression that searches for names use; the index must have the same one."""

CANONICAL_EMAIL: Final = "shared.fold(btrim(email))"
"""The expression by which an address is looked up: folded, and without blanks that other programs stored around it."""

TEXTS: Final = ("email", "first_name", "last_name")
"""Columns that lists can be filtered by with a part of their text."""


class User(Identified, Timestamped, Authored, Base):
    """An account. The email is unique among all rows, deleted ones included, by its canonical form."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('user', 'premium', 'brand', 'admin')", name="role"),
        Index("uidx_users_email", text(CANONICAL_EMAIL), unique=True),
        Index("idx_users_created_at", "created_at", "id", postgresql_where=LIVE),
        Index("idx_users_updated_at", "updated_at", "id", postgresql_where=LIVE),
        Index("idx_users_last_name", "last_name", "id", postgresql_where=LIVE),
        Index("idx_users_email", "email", "id", postgresql_where=LIVE),
        Index("idx_users_role", "role", "created_at", "id", postgresql_where=LIVE),
        Index("idx_users_is_active", "is_active", "created_at", "id", postgresql_where=LIVE),
        Index("idx_users_deleted", "created_at", "id", postgresql_where=DELETED),
        Index("idx_users_created_by", "created_by"),
        Index("idx_users_updated_by", "updated_by"),
        Index(
            "idx_users_name_trgm",
            literal_column(FULL_NAME).label("full_name"),
            postgresql_using="gin",
            postgresql_ops={"full_name": "gin_trgm_ops"},
        ),
        Index(
            "idx_users_texts_trgm",
            *(literal_column(f"shared.fold({name})").label(f"folded_{name}") for name in TEXTS),
            postgresql_using="gin",
            postgresql_ops={f"folded_{name}": "gin_trgm_ops" for name in TEXTS},
        ),
        {"schema": "shared", "comment": "Accounts"},
    )

    email: Mapped[str] = mapped_column(String(255), comment="Sign-in name; unique whatever its case")
    password_hash: Mapped[str] = mapped_column(String(255), comment="argon2id, or bcrypt of the original service")
    first_name: Mapped[str | None] = mapped_column(String(100), comment="Given name")
    last_name: Mapped[str | None] = mapped_column(String(100), comment="Family name")
    role: Mapped[str] = mapped_column(
        String(50), server_default=text("'user'"), comment="user, premium, brand or admin"
    )
    is_active: Mapped[bool] = mapped_column(server_default=text("true"), comment="False: may not sign in")
    email_verified: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="Whether the owner of the address has confirmed it"
    )
