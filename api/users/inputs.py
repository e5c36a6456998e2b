"""Filters and orders of users."""

from __future__ import annotations

from enum import Enum

import strawberry

from api.filtering import DateTimeRange, TextFilter, where
from api.pagination import OrderDirection


@strawberry.enum(description="What an account may do.")
class UserRole(Enum):
    USER = strawberry.enum_value("user", description="Designs for itself.")
    PREMIUM = strawberry.enum_value("premium", description="Uses premium assets too.")
    BRAND = strawberry.enum_value("brand", description="Offers catalog items of its own.")
    ADMIN = strawberry.enum_value("admin", description="Runs the service.")


@strawberry.input(description="Which users. Conditions given together must all hold; a list takes one value as well.")
class UserFilter:
    and_: list[UserFilter] | None = where("All of these filters.", name="and")
    or_: list[UserFilter] | None = where("At least one of these filters.", name="or")
    not_: UserFilter | None = where("Not this filter.", name="not")
    id: list[strawberry.ID] | None = where("One of these users.", node="User")
    role: list[UserRole] | None = where("One of these roles.")
    is_active: bool | None = where("Whether the account may sign in.")
    email_verified: bool | None = where("Whether the email is confirmed.")
    email: TextFilter | None = where("Conditions on the email.")
    first_name: TextFilter | None = where("Conditions on the given name.")
    last_name: TextFilter | None = where("Conditions on the family name.")
    created_by: list[strawberry.ID] | None = where("Created by one of these users.", node="User")
    created_at: DateTimeRange | None = where("When the account was created.")
    deleted: bool | None = where("True: the deleted users instead of the live ones; for admins.")
    updated_at: DateTimeRange | None = where("When the account last changed.")


@strawberry.enum(description="By what users are ordered.")
class UserOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When the account was created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When the account last changed.")
    NAME = strawberry.enum_value("last_name", description="Family name; users without one come last ascending.")
    EMAIL = strawberry.enum_value("email", description="Email.")


@strawberry.input(description="How users are ordered.")
class UserOrder:
    field: UserOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description="In which direction.")
