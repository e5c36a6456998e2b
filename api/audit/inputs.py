"""The filter of the audit log."""

from __future__ import annotations

from enum import Enum

import strawberry

from api.lists.filters import DateTimeRange, where


@strawberry.enum(description="What was changed.")
class AuditKind(Enum):
    USER = strawberry.enum_value("shared.users", description="An account was changed.")
    AVATAR = strawberry.enum_value("avatar.avatars", description="An avatar was changed.")
    CATALOG_ITEM = strawberry.enum_value("catalog.catalog_items", description="A catalog item was changed.")
    DESIGN = strawberry.enum_value("designs", description="A design was changed.")


@strawberry.enum(description="How it was changed. A soft deletion is an update, which sets when it was deleted.")
class AuditOperation(Enum):
    INSERT = strawberry.enum_value("INSERT", description="It was created.")
    UPDATE = strawberry.enum_value("UPDATE", description="It was changed.")
    DELETE = strawberry.enum_value("DELETE", description="It was removed for good.")


@strawberry.input(description="Which changes. Conditions given together must all hold; a list takes one value as well.")
class AuditLogFilter:
    and_: list[AuditLogFilter] | None = where("All of these filters.", name="and")
    or_: list[AuditLogFilter] | None = where("At least one of these filters.", name="or")
    not_: AuditLogFilter | None = where("Not this filter.", name="not")
    kind: list[AuditKind] | None = where("Changes of one of these kinds of objects.")
    record: list[strawberry.ID] | None = where("Changes of one of these objects, of whatever type.", on="record_id")
    actor: list[strawberry.ID] | None = where("Changes by one of these users.", on="actor_id", node="User")
    operation: list[AuditOperation] | None = where("One of these operations.")
    request_id: list[str] | None = where("Changes by one of these requests (the header `x-request-id`).")
    at: DateTimeRange | None = where("When it was changed.")
