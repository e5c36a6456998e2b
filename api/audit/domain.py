"""The domain of the audit log."""

from __future__ import annotations

from typing import Any, Final

from api.audit.queries import AuditQueries, find_entry
from api.fields.costs import LARGE_TEXT
from api.fields.domain import Domain, RecordType
from api.ids import uuid_key, write_key


def _key(text: str) -> Any:
    """The key of a row of the log, or of a write of a design."""
    return write_key(text) or uuid_key(text)


domain: Final = Domain(
    queries=(AuditQueries,),
    records={"AuditEntry": RecordType(_key, find_entry)},
    costs={"AuditEntry.oldValues": LARGE_TEXT, "AuditEntry.newValues": LARGE_TEXT},
)
