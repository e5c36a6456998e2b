"""Audit triggers of users, avatars and catalog items

Revision ID: 0d4e2f7c91ab
Revises: 70dc8fd6bcbe
Create Date: 2026-11-22 18:02:00+00:00

Every INSERT, UPDATE and DELETE writes an entry, whoever sends it. What an entry holds is listed column by column, so
that neither the password's hash nor a column of the original service's own gets into it; TRUNCATE leaves no trace.
"""

from __future__ import annotations

from typing import Final

from alembic import op

from migrations.ownership import create_trigger, drop_triggers, require_free_functions

revision: str = "0d4e2f7c91ab"
down_revision: str | None = "70dc8fd6bcbe"
branch_labels: str | None = None
depends_on: str | None = None

STAMPS: Final = ("created_at", "updated_at", "deleted_at", "created_by", "updated_by")

LOGGED: Final = {
    "shared.users": ("id", "email", "first_name", "last_name", "role", "is_active", "email_verified", *STAMPS),
    "avatar.avatars": (
        *("id", "user_id", "name", "gender", "measurements", "model_url", "thumbnail_url", "is_default"),
        *STAMPS,
    ),
    "catalog.catalog_items": (
        *("id", "name", "description", "type", "category", "properties", "asset_url", "thumbnail_url"),
        *("is_premium", "is_active", "price"),
        *STAMPS,
    ),
}
"""The columns that entries show."""

RECORD: Final = "audit.record_change"
COMMENT: Final = "Trigger function: writes the columns given to the log"
FUNCTION: Final = """
CREATE FUNCTION audit.record_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    before_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    after_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    before_shown jsonb;
    after_shown jsonb;
    password_changed boolean := TG_OP = 'UPDATE'
        AND before_row -> 'password_hash' IS DISTINCT FROM after_row -> 'password_hash';
BEGIN
    SELECT jsonb_object_agg(key, value) INTO before_shown FROM jsonb_each(before_row) WHERE key = ANY (TG_ARGV);
    SELECT jsonb_object_agg(key, value) INTO after_shown FROM jsonb_each(after_row) WHERE key = ANY (TG_ARGV);
    IF password_changed THEN
        after_shown := after_shown || '{"password_changed": true}';
    ELSIF TG_OP = 'UPDATE' AND before_shown - 'updated_at' = after_shown - 'updated_at' THEN
        RETURN NULL;
    END IF;
    INSERT INTO audit.audit_log (table_name, record_id, operation, old_values, new_values, actor_id, request_id, at)
    VALUES (
        TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME,
        (coalesce(before_row, after_row) ->> 'id')::uuid,
        TG_OP,
        before_shown,
        after_shown,
        nullif(current_setting('app.user_id', true), '')::uuid,
        nullif(current_setting('app.request_id', true), ''),
        clock_timestamp()
    );
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    require_free_functions(op.get_bind(), {f"{RECORD}()": COMMENT})
    op.execute(FUNCTION)
    # whoever may execute it could let a trigger on a table of their own forge entries
    op.execute(f"REVOKE ALL ON FUNCTION {RECORD}() FROM PUBLIC")
    op.execute(f"COMMENT ON FUNCTION {RECORD}() IS '{COMMENT}'")
    for table, columns in LOGGED.items():
        listed = ", ".join(f"'{column}'" for column in columns)
        create_trigger(
            op.get_bind(),
            table,
            f"trg_{table.partition('.')[2]}_audit",
            "CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {RECORD}({listed})",
        )


def downgrade() -> None:
    for table in LOGGED:
        drop_triggers(op.get_bind(), table, RECORD)
    op.execute(f"DROP FUNCTION {RECORD}()")
