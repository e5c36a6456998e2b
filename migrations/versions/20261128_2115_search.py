"""Search: words of catalog items and designs, and their spellings

Revision ID: c47a1e90d3b5
Revises: 6e4a2c9b7d13
Create Date: 2026-11-28 21:15:00+00:00

The words of the items that there are are made here, which takes a minute or two for a million; writes to the catalog
wait meanwhile. Those of designs are read from MongoDB by a running server, or by `fashion-wallet search rebuild`.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR, UUID

from migrations.ownership import create_trigger, drop_triggers, require_free_functions
from migrations.search import COMMENTS, INDEX_CHANGED, create_functions, index_items
from migrations.tables import create_own

revision: str = "c47a1e90d3b5"
down_revision: str | None = "6e4a2c9b7d13"
branch_labels: str | None = None
depends_on: str | None = None

LANGUAGE: Final = "english"
"""Until it is rebuilt in another one."""

TRIGGERS: Final = {
    "INSERT": "NEW TABLE AS changed",
    "UPDATE": "NEW TABLE AS changed OLD TABLE AS before",
}
"""By event: what the trigger function reads."""

_METADATA = sa.MetaData()
sa.Table("catalog_items", _METADATA, sa.Column("id", UUID(as_uuid=True), primary_key=True), schema="catalog")

ITEM_SEARCH = sa.Table(
    "item_search",
    _METADATA,
    sa.Column("item_id", UUID(as_uuid=True), nullable=False, comment="Whose words they are"),
    sa.Column("words", TSVECTOR(), nullable=False, comment="Name (A), properties (B), tags (C) and description (D)"),
    sa.PrimaryKeyConstraint("item_id", name="pk_item_search"),
    sa.ForeignKeyConstraint(
        ["item_id"], ["catalog.catalog_items.id"], name="fk_item_search_item_id", ondelete="CASCADE"
    ),
    sa.Index("idx_item_search_words", "words", postgresql_using="gin"),
    schema="catalog",
    comment="What a search finds catalog items by; derived from them by a trigger",
)

DESIGN_SEARCH = sa.Table(
    "design_search",
    _METADATA,
    sa.Column("id", sa.String(24), nullable=False, comment="The ObjectId of the design"),
    sa.Column("user_id", sa.Text(), nullable=True, comment="Whose it is"),
    sa.Column("status", sa.Text(), nullable=False, comment="draft, published or archived"),
    sa.Column("name", sa.Text(), nullable=False, comment="Its name"),
    sa.Column("description", sa.Text(), nullable=True, comment="What it is, for people"),
    sa.Column("tags", JSONB(), nullable=False, comment="Words to find it by"),
    sa.Column("updated_at", sa.TIMESTAMP(timezone=True), nullable=False, comment="When the design last changed"),
    sa.Column("version", sa.Integer(), nullable=False, comment="Its version"),
    sa.Column("words", TSVECTOR(), nullable=False, comment="Name (A), tags (C) and description (D)"),
    sa.PrimaryKeyConstraint("id", name="pk_design_search"),
    sa.Index("idx_design_search_words", "words", postgresql_using="gin"),
    sa.Index("idx_design_search_updated_at", "updated_at"),
    schema="design",
    comment="What a search finds designs by; derived from MongoDB",
)

SEARCH_SPELLINGS = sa.Table(
    "search_spellings",
    _METADATA,
    sa.Column(
        "id",
        UUID(as_uuid=True),
        server_default=sa.text("gen_random_uuid()"),
        nullable=False,
        comment="Nothing but a key",
    ),
    sa.Column("spelling", sa.Text(), nullable=False, comment="The word, or the word without some of its letters"),
    sa.Column("word", sa.Text(), nullable=False, comment="A word that some object has or had"),
    sa.PrimaryKeyConstraint("id", name="pk_search_spellings"),
    sa.Index("idx_search_spellings_spelling", "spelling", "word"),
    schema="shared",
    comment="Words without one or two of their letters, to correct mistyped ones by",
)

SEARCH_FEED = sa.Table(
    "search_feed",
    _METADATA,
    sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False, comment="1"),
    sa.Column("holder", sa.Text(), nullable=True, comment="The process that follows"),
    sa.Column("held_until", sa.TIMESTAMP(timezone=True), nullable=True, comment="Until when no other process may"),
    sa.Column(
        "copied",
        sa.Boolean(),
        server_default=sa.text("false"),
        nullable=False,
        comment="Whether all designs were copied before changes were followed",
    ),
    sa.Column(
        "resume_token",
        sa.Text(),
        nullable=True,
        comment="Where the change stream goes on, as extended JSON; null where the server has none",
    ),
    sa.Column(
        "position",
        sa.TIMESTAMP(timezone=True),
        nullable=True,
        comment="The last updatedAt, where there is no change stream",
    ),
    sa.Column("caught_up_at", sa.TIMESTAMP(timezone=True), nullable=True, comment="When every change so far was known"),
    sa.PrimaryKeyConstraint("id", name="pk_search_feed"),
    schema="design",
    comment="How far search has followed designs; one row",
)

MAKES = (ITEM_SEARCH, DESIGN_SEARCH, SEARCH_SPELLINGS, SEARCH_FEED)


def upgrade() -> None:
    connection = op.get_bind()
    require_free_functions(connection, COMMENTS)
    for table in MAKES:
        create_own(table)
    create_functions(connection, LANGUAGE)
    for event, tables in TRIGGERS.items():
        create_trigger(
            connection,
            "catalog.catalog_items",
            f"trg_catalog_items_search_{event.lower()}",
            f"CREATE TRIGGER {{name}} AFTER {event} ON {{table}} REFERENCING {tables} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {INDEX_CHANGED}",
        )
    index_items(connection)


def downgrade() -> None:
    connection = op.get_bind()
    drop_triggers(connection, "catalog.catalog_items", INDEX_CHANGED.removesuffix("()"))
    for function in reversed(COMMENTS):
        op.execute(f"DROP FUNCTION {function}")
    for table in reversed(MAKES):
        table.drop(connection)
