"""The rights that the API needs, for a role that does not own the tables.

They are read off the models, so that a table of a later revision is among them. `migrate run` gives them to the user of
DATABASE_URL, where migrations have a role of their own, and to the role of row-level security; `migrate grants` prints
them for somebody who may give them.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from migrations.roles import APPLICATION_ROLE, attempt
from migrations.tables import VERSION_SCHEMA, VERSION_TABLE
from models import Base

READ: Final = ("audit.audit_log", f"{VERSION_SCHEMA}.{VERSION_TABLE}")
"""Triggers write the log, as the owner; the version is compared with the program's."""
WRITTEN: Final = tuple(sorted(name for name in Base.metadata.tables if name not in READ))
SCHEMAS: Final = tuple(sorted({name.partition(".")[0] for name in (*READ, *WRITTEN)}))

_RIGHTS: Final = "SELECT, INSERT, UPDATE, DELETE"
_MISSING: Final = """
    SELECT EXISTS (SELECT FROM unnest(cast(:schemas AS text[])) s WHERE NOT has_schema_privilege(:role, s, 'USAGE'))
        OR EXISTS (SELECT FROM unnest(cast(:read AS text[])) t WHERE NOT has_table_privilege(:role, t, 'SELECT'))
        OR EXISTS (SELECT FROM unnest(cast(:written AS text[])) t, regexp_split_to_table(:rights, ', ') r
                   WHERE NOT has_table_privilege(:role, t, r))
"""


def grants(role: str) -> list[str]:
    """The statements that give the role, an identifier as SQL has it, what the API needs."""
    return [
        f"GRANT USAGE ON SCHEMA {', '.join(SCHEMAS)} TO {role}",
        f"GRANT SELECT ON {', '.join(READ)} TO {role}",
        f"GRANT {_RIGHTS} ON {', '.join(WRITTEN)} TO {role}",
    ]


def complete_grants(connection: sa.Connection, user: str | None, *, row_level_security: bool) -> list[str]:
    """Give what they lack to the role of row-level security and, where it isn't the connected one, to `user`.

    Returns a line where `user` was given something, and one for what only an administrator can give.
    """
    quote = connection.dialect.identifier_preparer.quote
    lines = []
    if not _exists(connection, APPLICATION_ROLE):
        if row_level_security:
            by_hand = "; ".join((f"CREATE ROLE {APPLICATION_ROLE} NOLOGIN", *grants(APPLICATION_ROLE)))
            lines.append(f"ROW_LEVEL_SECURITY needs a role; let an administrator run: {by_hand}")
    elif _lacks(connection, APPLICATION_ROLE):
        line = _give(connection, APPLICATION_ROLE, grants(APPLICATION_ROLE))
        lines += [line] if _lacks(connection, APPLICATION_ROLE) else []
    if user is not None and _exists(connection, user):
        if _lacks(connection, user):
            lines.append(_give(connection, user, grants(quote(user))))
        member = sa.text("SELECT pg_has_role(:user, :role, 'MEMBER')")
        if (
            row_level_security
            and _exists(connection, APPLICATION_ROLE)
            and not connection.scalar(member, {"user": user, "role": APPLICATION_ROLE})
        ):
            lines.append(_give(connection, user, [f"GRANT {APPLICATION_ROLE} TO {quote(user)}"]))
    return lines


def _exists(connection: sa.Connection, role: str) -> bool:
    return bool(connection.scalar(sa.text("SELECT count(*) FROM pg_roles WHERE rolname = :role"), {"role": role}))


def _lacks(connection: sa.Connection, role: str) -> bool:
    parameters = {"role": role, "schemas": list(SCHEMAS), "read": list(READ), "written": list(WRITTEN)}
    return bool(connection.scalar(sa.text(_MISSING), parameters | {"rights": _RIGHTS}))


def _give(connection: sa.Connection, role: str, statements: list[str]) -> str:
    given = [attempt(connection, statement) for statement in statements]
    if all(given):
        return f"gave {role} the rights that the API needs"
    return f"{role} lacks rights that the API needs; let an administrator run: {'; '.join(statements)}"
