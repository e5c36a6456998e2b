"""Schemas, extensions and the trigger function of updated_at

Revision ID: c4ae3af98bb2
Revises:
Create Date: 2026-11-22 17:30:00+00:00

Schemas and tables that are already there are recorded as adopted: they are not dropped by a downgrade, and not
proposed for dropping by `generate`. Downgrading keeps the extensions (others may use them), schemas that are not
empty, and `shared`, which holds Alembic's version table.
"""

from __future__ import annotations

from alembic import op

from migrations.adopted_objects import forget_adopted, is_adopted, record_existing
from migrations.extensions import require_extension
from migrations.ownership import require_free_functions
from migrations.tables import TOUCH, VERSION_SCHEMA, drop_schema_if_empty, has_schema

revision: str = "c4ae3af98bb2"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

SCHEMAS = ("shared", "avatar", "catalog", "design", "audit")
REQUIRED = "pg_trgm"
COMMENT = "Trigger function: sets updated_at on every UPDATE"


def upgrade() -> None:
    connection = op.get_bind()
    record_existing(connection, SCHEMAS)
    for schema in SCHEMAS:
        if not has_schema(connection, schema):
            op.execute(f"CREATE SCHEMA {schema}")
    require_extension(connection, REQUIRED)
    require_free_functions(connection, {f"{TOUCH}()": COMMENT})
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION {TOUCH}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            -- later than before even when the clock was set back: clients compare it to detect changes
            NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at + interval '1 microsecond');
            RETURN NEW;
        END
        $$
        """
    )
    op.execute(f"COMMENT ON FUNCTION {TOUCH}() IS '{COMMENT}'")


def downgrade() -> None:
    connection = op.get_bind()
    op.execute(f"DROP FUNCTION {TOUCH}()")
    for schema in SCHEMAS:
        if schema != VERSION_SCHEMA and not is_adopted(connection, "schema", schema, schema):
            drop_schema_if_empty(connection, schema)
    forget_adopted(connection)
