"""Filters and orders of users, and what their mutations take."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import strawberry

from api.lists.filters import DateTimeRange, TextFilter, where
from api.lists.pagination import OrderDirection


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
    EMAIL = strawberry.enum_value("email", description="By the email address.")


@strawberry.input(description="How users are ordered.")
class UserOrder:
    field: UserOrderField = strawberry.field(description="What they are ordered by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.ASC, description="In which direction.")


@strawberry.input(description="Who a new account is for.")
class SignUpInput:
    email: str = strawberry.field(
        description="Address to sign in with, at most 254 characters. No other account has it in any case, deleted "
        "ones included."
    )
    password: str = strawberry.field(description="8 to 256 characters.")
    first_name: str | None = strawberry.field(default=None, description="Given name; at most 100 characters.")
    last_name: str | None = strawberry.field(default=None, description="Family name; at most 100 characters.")


@strawberry.input(description="What proves who somebody is.")
class SignInInput:
    email: str = strawberry.field(description="Address of the account, whatever its case.")
    password: str = strawberry.field(description="Password of the account.")


@strawberry.input(description="Which session goes on.")
class RefreshSessionInput:
    refresh_token: str = strawberry.field(description="The newest refresh token of the session; good for one use.")


@strawberry.input(description="Which sessions end.")
class SignOutInput:
    everywhere: bool = strawberry.field(default=False, description="All sessions of the account, not only this one.")
    refresh_token: str | None = strawberry.field(
        default=None,
        description="A refresh token of the session that ends, for who has no access token any more; that of the "
        "request where it is not given.",
    )


@strawberry.input(description="What changes about the viewer's account; what is left out stays.")
class UpdateProfileInput:
    first_name: strawberry.Maybe[str | None] = strawberry.field(
        description="Given name; at most 100 characters. Null removes it."
    )
    last_name: strawberry.Maybe[str | None] = strawberry.field(
        description="Family name; at most 100 characters. Null removes it."
    )
    email: strawberry.Maybe[str | None] = strawberry.field(
        description="Another address to sign in with; needs the current password, and is unconfirmed again, unless it "
        "is another spelling of the same. The one that is there already changes nothing. The address of a deleted "
        "account stays taken."
    )
    current_password: str | None = strawberry.field(default=None, description="For a change of the email.")
    expected_updated_at: datetime | None = strawberry.field(
        default=None, description="`updatedAt` as the client knows it: where it is another by now, nothing changes."
    )


@strawberry.input(description="The old password and the new one.")
class ChangePasswordInput:
    current_password: str = strawberry.field(description="Password until now.")
    new_password: str = strawberry.field(description="Password from now on: 8 to 256 characters.")


@strawberry.input(description="What an account may do from now on.")
class SetUserRoleInput:
    id: strawberry.ID = strawberry.field(description="Global id of the account.")
    role: UserRole = strawberry.field(description="Its new role.")


@strawberry.input(description="Which account may no longer sign in.")
class DeactivateUserInput:
    id: strawberry.ID = strawberry.field(description="Global id of the account.")


@strawberry.input(description="Which account may sign in again.")
class ReactivateUserInput:
    id: strawberry.ID = strawberry.field(description="Global id of the account.")
