"""Table `catalog.catalog_items`."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, String, Text, literal_column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import DELETED, LIVE, Authored, Base, Identified, Timestamped

SEARCH_VECTOR: Final = (
    "(setweight(to_tsvector('english', name), 'A') "
    "|| setweight(to_tsvector('english', coalesce(description, '')), 'B'))"
)
"""What full-text search reads; the index and the queries must spell it alike."""


SIZED: Final = text("deleted_at IS NULL AND jsonb_typeof(properties -> 'sizes'::text) = 'object'::text")
"""The live items that have a size table."""


class CatalogItem(Identified, Timestamped, Authored, Base):
    """Something a layer can show: a silhouette, a fabric or a pattern."""

    __tablename__ = "catalog_items"
    __table_args__ = (
        CheckConstraint("type IN ('silhouette', 'fabric', 'pattern')", name="type"),
        CheckConstraint("category IN ('top', 'bottom', 'dress', 'outerwear', 'accessory', 'other')", name="category"),
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("jsonb_typeof(properties) = 'object'", name="properties"),
        Index("idx_catalog_items_created_at", "created_at", "id", postgresql_where=LIVE),
        Index("idx_catalog_items_updated_at", "updated_at", "id", postgresql_where=LIVE),
        Index("idx_catalog_items_name", "name", "id", postgresql_where=LIVE),
        Index("idx_catalog_items_price", "price", "id", postgresql_where=LIVE),
        Index("idx_catalog_items_type", "type", "created_at", "id", postgresql_where=LIVE),
        Index("idx_catalog_items_category", "category", "created_at", "id", postgresql_where=LIVE),
        Index("idx_catalog_items_deleted", "created_at", "id", postgresql_where=DELETED),
        Index("idx_catalog_items_created_by_deleted", "created_by", "created_at", "id", postgresql_where=DELETED),
        Index("idx_catalog_items_created_by", "created_by", "created_at", "id"),
        Index("idx_catalog_items_updated_by", "updated_by"),
        Index(
            "idx_catalog_items_tags",
            text("(properties -> 'tags'::text)"),
            postgresql_using="gin",
            postgresql_where=LIVE,
        ),
        Index("idx_catalog_items_sizes", "created_at", "id", postgresql_where=SIZED),
        Index(
            "idx_catalog_items_name_trgm",
            literal_column("shared.fold(name)").label("folded_name"),
            postgresql_using="gin",
            postgresql_ops={"folded_name": "gin_trgm_ops"},
        ),
        Index("idx_catalog_items_search", text(SEARCH_VECTOR), postgresql_using="gin"),
        {"schema": "catalog", "comment": "Silhouettes, fabrics and patterns that layers show"},
    )

    name: Mapped[str] = mapped_column(String(255), comment="Display name")
    description: Mapped[str | None] = mapped_column(Text, comment="What it is, for people")
    type: Mapped[str] = mapped_column(Text, comment="silhouette, fabric or pattern")
    category: Mapped[str | None] = mapped_column(
        Text, comment="top, bottom, dress, outerwear, accessory or other; null where none fits"
    )
    properties: Mapped[dict[str, Any]] = mapped_column(
        JSONB,
        server_default=text("'{}'::jsonb"),
        comment="color, texture, material, patternType (texts) and tags (list of texts)",
    )
    asset_url: Mapped[str | None] = mapped_column(Text, comment="3D asset; only for those who may use it")
    thumbnail_url: Mapped[str | None] = mapped_column(Text, comment="Small picture")
    is_premium: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="Whether the asset is for premium accounts only"
    )
    is_active: Mapped[bool] = mapped_column(
        server_default=text("true"), comment="False: no longer listed, but still shown where it is used"
    )
    price: Mapped[int] = mapped_column(server_default=text("0"), comment="In cents")
