"""The domain of the audit log."""

from __future__ import annotations

from typing import Final

from api.audit.entry import entry_key
from api.audit.queries import AuditQueries, find_entry
from api.fields.costs import LARGE_TEXT
from api.fields.domain import Domain, RecordType

domain: Final = Domain(
    queries=(AuditQueries,),
    records={"AuditEntry": RecordType(entry_key, find_entry)},
    costs={"AuditEntry.oldValues": LARGE_TEXT, "AuditEntry.newValues": LARGE_TEXT},
)
