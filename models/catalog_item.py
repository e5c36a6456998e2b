"""Table `catalog.catalog_items`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import CheckConstraint, ColumnElement, Index, String, Text, literal_column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import DELETED, LIVE, Authored, Base, Identified, Timestamped

SEARCH_VECTOR: Final = (
    "(setweight(to_tsvector('english', name), 'A') "
    "|| setweight(to_tsvector('english', coalesce(description, '')), 'B'))"
)
"""What full-text search reads; the index and the queries must spell it alike."""
TEXT_KEYS: Final = {"color": "color", "material": "material", "texture": "texture", "pattern_type": "patternType"}
"""The keys of the texts inside `properties`, by Python name."""


def text_of_properties(key: str, table: str = "") -> str:
    """SQL of a text inside `properties`: null where no text is stored. Indexes and queries must spell it alike.

    It is cut off where no filter reaches: an index can't hold the longest texts that JSON can. `table` is what names
    the table, with a dot. Lines are PostgreSQL's own, so that Alembic finds nothing to change.
    """
    kind, value = (f"{table}properties {operator} '{key}'" for operator in ("->", "->>"))
    return f"left(\nCASE\n WHEN jsonb_typeof({kind}) = 'string' THEN {value}\n ELSE NULL\nEND, 255)"


# spelt as in the index; SQLAlchemy would write a subscript, which doesn't match the index
TAGS: Final = literal_column("(catalog.catalog_items.properties -> 'tags')", JSONB)
TEXTS: Final[Mapping[str, ColumnElement[str]]] = {
    name: literal_column(text_of_properties(key, "catalog.catalog_items."), String()) for name, key in TEXT_KEYS.items()
}
"""The texts inside `properties`, by Python name."""

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
        # whole, not only of live rows: PostgreSQL uses the statistics of an expression only of a whole index
        *(
            Index(f"idx_catalog_items_{name}", text(text_of_properties(key)), "created_at", "id")
            for name, key in TEXT_KEYS.items()
        ),
        Index(
            "idx_catalog_items_properties_trgm",
            *(
                literal_column(f"shared.fold({text_of_properties(key)})").label(f"folded_{name}")
                for name, key in TEXT_KEYS.items()
            ),
            postgresql_using="gin",
            postgresql_ops={f"folded_{name}": "gin_trgm_ops" for name in TEXT_KEYS},
        ),
        Index(
            "idx_catalog_items_without_thumbnail",
            "created_at",
            "id",
            postgresql_where=text("deleted_at IS NULL AND thumbnail_url IS NULL"),
        ),
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
