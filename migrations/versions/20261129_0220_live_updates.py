"""Live updates: the order of the audit log, and a word to whoever waits for its next entry

Revision ID: e92b6d04f1c8
Revises: c47a1e90d3b5
Create Date: 2026-11-29 02:20:00+00:00

Entries that are there already get no place. Writes to users, avatars and the catalog wait while the index is built: a
second for a million entries.
"""

from __future__ import annotations

from typing import Final

from alembic import op

from migrations.ownership import create_index, create_trigger, drop_index, drop_triggers, require_free_functions

revision: str = "e92b6d04f1c8"
down_revision: str | None = "c47a1e90d3b5"
branch_labels: str | None = None
depends_on: str | None = None

LOG: Final = "audit.audit_log"
POSITIONS: Final = "audit.audit_log_positions"
INDEX: Final = "idx_audit_log_log_position"
WATCHED: Final = ("catalog.catalog_items",)

NOTIFY: Final = "audit.notify_of_changes"
COMMENT: Final = "Trigger function: tells those who listen that there is something new in the log"
FUNCTION: Final = """
CREATE FUNCTION audit.notify_of_changes() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('fashion_wallet_changes', '');
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    op.execute(f"ALTER TABLE {LOG} ADD COLUMN log_position bigint")
    op.execute(f"CREATE SEQUENCE {POSITIONS}")
    op.execute(f"ALTER TABLE {LOG} ALTER COLUMN log_position SET DEFAULT nextval('{POSITIONS}')")
    op.execute(
        f"COMMENT ON COLUMN {LOG}.log_position IS 'Place in the order of entries, by which live updates follow them; "
        "null for those before there was one'"
    )
    create_index(op.get_bind(), LOG, INDEX, "(log_position)")
    require_free_functions(op.get_bind(), {f"{NOTIFY}()": COMMENT})
    op.execute(FUNCTION)
    op.execute(f"COMMENT ON FUNCTION {NOTIFY}() IS '{COMMENT}'")
    for table in WATCHED:
        create_trigger(
            op.get_bind(),
            table,
            f"trg_{table.partition('.')[2]}_notify",
            "CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {NOTIFY}()",
        )


def downgrade() -> None:
    for table in WATCHED:
        drop_triggers(op.get_bind(), table, NOTIFY)
    op.execute(f"DROP FUNCTION {NOTIFY}()")
    drop_index(op.get_bind(), LOG, INDEX)
    op.execute(f"ALTER TABLE {LOG} DROP COLUMN log_position")
    op.execute(f"DROP SEQUENCE {POSITIONS}")
