"""Several statements in one: each that is sent alone costs two round trips and a plan, and a run has hundreds."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.schema import ExecutableDDLElement


def execute_all(connection: sa.Connection, statements: Iterable[str | ExecutableDDLElement]) -> None:
    """Run the statements one after the other, in one block of PL/pgSQL. None of them may return rows."""
    texts = [
        statement if isinstance(statement, str) else str(statement.compile(dialect=connection.dialect))
        for statement in statements
    ]
    if texts:
        connection.exec_driver_sql(f"DO $batch$ BEGIN {'; '.join(texts)}; END $batch$")
