"""Row-level security of users, avatars and the audit log

Revision ID: 8a6b3c5d7e1f
Revises: 0d4e2f7c91ab
Create Date: 2026-11-22 18:03:00+00:00

The policies bind the role `fashion_wallet_app` alone, which transactions take on where ROW_LEVEL_SECURITY is set. Every
other role sees what its grants say, as before: an adopted database may have users of its own. The role belongs to the
whole server, so a downgrade takes its grants in this database away and leaves the role.

A transaction says who acts by `app.user_id` and `app.role` (`admin` for admins, `system` for sign-up and the like), and
which rows are shown by reference, because something visible refers to them, by their ids in `app.reference`.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from migrations.batch import execute_all
from migrations.roles import create_application_role
from migrations.tables import VERSION_SCHEMA, VERSION_TABLE, note

revision: str = "8a6b3c5d7e1f"
down_revision: str | None = "0d4e2f7c91ab"
branch_labels: str | None = None
depends_on: str | None = None

ROLE: Final = "fashion_wallet_app"

SCHEMAS: Final = "shared, avatar, catalog, audit"
WRITTEN: Final = (
    "shared.users, shared.account_sessions, shared.account_refresh_tokens, shared.idempotency_keys, "
    "shared.operations, avatar.avatars, catalog.catalog_items"
)
READ: Final = "audit.audit_log"

GRANTS: Final = (
    f"GRANT USAGE ON SCHEMA {SCHEMAS} TO {ROLE}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON {WRITTEN} TO {ROLE}",
    f"GRANT SELECT ON {READ} TO {ROLE}",
)
REVOCATIONS: Final = (
    f"REVOKE ALL ON {WRITTEN}, {READ}, {VERSION_SCHEMA}.{VERSION_TABLE} FROM {ROLE}",
    f"REVOKE USAGE ON SCHEMA {SCHEMAS} FROM {ROLE}",
)

# in sub-selects, so that they are evaluated once a statement and not once a row
OTHERS: Final = f"(SELECT current_user <> '{ROLE}')"
ADMIN: Final = f"(SELECT current_user <> '{ROLE}' OR current_setting('app.role', true) = 'admin')"
TRUSTED: Final = f"(SELECT current_user <> '{ROLE}' OR current_setting('app.role', true) IN ('admin', 'system'))"
VIEWER: Final = "(SELECT nullif(current_setting('app.user_id', true), '')::uuid)"
REFERRED: Final = "((SELECT string_to_array(nullif(current_setting('app.reference', true), ''), ',')::uuid[])::uuid[])"

OWN_AVATAR: Final = f"{TRUSTED} OR user_id = {VIEWER}"

POLICIES: Final = {
    "shared.users": {
        "SELECT": f"USING ({TRUSTED} OR id = {VIEWER} OR id = ANY {REFERRED})",
        "INSERT": f"WITH CHECK ({TRUSTED})",
        # the check: nobody makes an admin of themselves
        "UPDATE": f"USING ({TRUSTED} OR id = {VIEWER}) "
        f"WITH CHECK ({TRUSTED} OR (id = {VIEWER} AND role = (SELECT current_setting('app.role', true))))",
        "DELETE": f"USING ({TRUSTED})",
    },
    "avatar.avatars": {
        "SELECT": f"USING ({OWN_AVATAR} OR id = ANY {REFERRED})",
        "INSERT": f"WITH CHECK ({OWN_AVATAR})",
        "UPDATE": f"USING ({OWN_AVATAR})",
        "DELETE": f"USING ({OWN_AVATAR})",
    },
    "audit.audit_log": {
        "SELECT": f"USING ({ADMIN})",
        "INSERT": f"WITH CHECK ({OTHERS})",
        "UPDATE": f"USING ({OTHERS})",
        "DELETE": f"USING ({OTHERS})",
    },
}


def upgrade() -> None:
    connection = op.get_bind()
    for table, policies in POLICIES.items():
        made = [
            f"CREATE POLICY {_policy(command)} ON {table} FOR {command} {rule}" for command, rule in policies.items()
        ]
        execute_all(connection, [*made, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"])
    if create_application_role(connection, ROLE):
        for grant in GRANTS:
            op.execute(grant)
    else:
        note(
            f"skipped the role {ROLE}, which ROW_LEVEL_SECURITY needs; let an administrator run: "
            f"CREATE ROLE {ROLE} NOLOGIN; GRANT {ROLE} TO <user of the API>; "
            f"and what `fashion-wallet migrate grants {ROLE}` prints"
        )


def downgrade() -> None:
    connection = op.get_bind()
    for table, policies in POLICIES.items():
        for command in policies:
            op.execute(f"DROP POLICY {_policy(command)} ON {table}")
        others = sa.text("SELECT count(*) FROM pg_policy WHERE polrelid = to_regclass(:table)")
        if not connection.scalar(others, {"table": table}):
            op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    if connection.scalar(sa.text("SELECT count(*) FROM pg_roles WHERE rolname = :role"), {"role": ROLE}):
        for revocation in REVOCATIONS:
            op.execute(revocation)


def _policy(command: str) -> str:
    return f"pol_{command.lower()}"
