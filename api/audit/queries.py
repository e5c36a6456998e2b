"""The root field `auditLog`."""

from __future__ import annotations

from typing import Annotated, Any, Final

import strawberry

from api.audit import store
from api.audit.entry import Entry
from api.audit.inputs import AuditLogFilter
from api.audit.types import AuditEntry, AuditLogConnection
from api.fields.context import Context
from api.fields.selection import ResolveInfo, columns_of, selects_any
from api.lists.costs import COUNTS, READS, Listing, weight_of_condition
from api.lists.filters import condition_of
from api.lists.pagination import MAX_SIZE, Cursors, Order, Page, is_outage, page_request
from api.rights.policies import EVERYTHING

NEWEST_FIRST: Final = Order("at", descending=True)


@strawberry.type
class AuditQueries:
    @strawberry.field(
        description="Who changed what in users, avatars, catalog items and designs, the newest first; for admins."
    )
    async def audit_log(
        self,
        info: strawberry.Info[Context],
        first: Annotated[
            int | None, strawberry.argument(description=f"How many entries from the beginning, at most {MAX_SIZE}.")
        ] = None,
        after: Annotated[
            str | None, strawberry.argument(description="Only what follows the entry with this cursor.")
        ] = None,
        last: Annotated[
            int | None, strawberry.argument(description=f"How many entries from the end, at most {MAX_SIZE}.")
        ] = None,
        before: Annotated[
            str | None, strawberry.argument(description="Only what precedes the entry with this cursor.")
        ] = None,
        filter: Annotated[
            AuditLogFilter | None, strawberry.argument(description="Which entries; all of them where it is not given.")
        ] = None,
    ) -> AuditLogConnection | None:
        context, raw = info.context, info._raw_info
        context.viewer.require("admin")
        request = page_request(
            "audit_log",
            first=first,
            after=after,
            last=last,
            before=before,
            scope=EVERYTHING,
            order=NEWEST_FIRST,
            condition=condition_of(filter),
        )
        rows: list[Entry] = []
        error: Exception | None = None
        reads = bool(request.size) and selects_any(raw, READS)
        listing = Listing(whole=True, reads=reads, counts=selects_any(raw, (COUNTS,)))
        context.surcharge += listing.surcharge(weight_of_condition(request.condition))
        if reads:
            try:
                rows = await store.page(context.stores, request, columns_of(raw))
            except Exception as raised:
                if not is_outage(raised) or not selects_any(raw, ("edges", "nodes")):
                    raise
                error = raised
        page = Page(
            cursors=Cursors(request, order_value=_order_value, key=_key),
            rows=rows,
            node=AuditEntry.of,
            length=lambda _: store.count(context.stores, request.condition),
            error=error,
        )
        return AuditLogConnection(page=page)


def _order_value(entry: Any) -> str:
    value: str = entry.sort_key.value
    return value


def _key(entry: Any) -> Any:
    return entry.sort_key.key


async def find_entry(key: Any, info: ResolveInfo) -> AuditEntry | None:
    """The entry with this key, for admins."""
    context: Context = info.context
    if not context.viewer.is_admin:
        return None
    entry = await store.one(context.stores, key, columns_of(info, AuditEntry.__name__))
    return None if entry is None else AuditEntry.of(entry)
