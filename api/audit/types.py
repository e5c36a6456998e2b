"""The GraphQL type `AuditEntry`."""

from __future__ import annotations

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from api.audit.entry import TYPE_OF, Entry
from api.audit.inputs import AuditKind, AuditOperation
from api.fields.connections import Connection
from api.fields.context import Context
from api.fields.lookups import load_view
from api.fields.node import Node
from api.users.types import User


@strawberry.type(description="One change of one object. Passwords are never part of it, not even hashed.")
class AuditEntry(Node):
    sources = (Entry,)

    id: strawberry.ID = strawberry.field(description="Opaque id, unique among all objects.")
    at: datetime = strawberry.field(description="When it happened.")
    kind: AuditKind = strawberry.field(description="What was changed.")
    operation: AuditOperation = strawberry.field(description="How it was changed.")
    record_id: strawberry.ID = strawberry.field(description="Global id of what was changed, whether it is still there.")
    old_values: JSON | None = strawberry.field(
        description="What was stored before, by stored name; null where it was created, and for a design where that is "
        "no longer kept."
    )
    new_values: JSON | None = strawberry.field(
        description="What was stored after, by stored name; null where it was removed, and for a design where that is "
        "no longer kept, or another program has changed it before it was. `password_changed` says that the password "
        "was."
    )
    actor_id: strawberry.ID | None = strawberry.field(
        description="Global id of the user who did it; null for the service itself and for statements by hand."
    )
    request_id: str | None = strawberry.field(
        description="The request that did it, by its header `x-request-id`; null where it was none."
    )
    version: int | None = strawberry.field(description="The version that a design had after it; null for the rest.")

    @strawberry.field(description="What was changed, as it is now; null where it is gone.", metadata={"needs": ()})
    async def record(self, info: strawberry.Info[Context]) -> Node | None:
        entry: Entry = self.stored
        type_name = TYPE_OF[entry.kind]
        loader = info.context.domains.objects[type_name].loader
        view = await load_view(loader, entry.record_key, info._raw_info, type_name=type_name, found=True)
        assert view is None or isinstance(view, Node)
        return view

    @strawberry.field(description="Who did it; null where nobody did, or the account is gone.", metadata={"needs": ()})
    async def actor(self, info: strawberry.Info[Context]) -> User | None:
        entry: Entry = self.stored
        if entry.actor_key is None:
            return None
        view = await load_view("user", entry.actor_key, info._raw_info, found=True)
        assert view is None or isinstance(view, User)
        return view


@strawberry.type(name="AuditLogConnection", description="One page of the audit log.")
class AuditLogConnection(Connection[AuditEntry]):
    pass
