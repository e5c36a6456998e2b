"""Validation of the inputs of accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel

from api.accounts.emails import new_email
from api.accounts.passwords import normalised
from api.writing.validation import UNGIVEN, UserKey, one_line

LONGEST_NAME: Final = 100

Email = Annotated[str, AfterValidator(new_email)]
Name = Annotated[str, one_line(LONGEST_NAME)]
Password = Annotated[str, AfterValidator(normalised)]


class NewAccount(BaseModel):
    """The input of a sign-up."""

    email: Email
    password: Password
    first_name: Name | None = None
    last_name: Name | None = None


class Profile(BaseModel):
    """Changes of a profile; only fields that are set change."""

    first_name: Name | None = None
    last_name: Name | None = None
    email: Email = UNGIVEN
    current_password: str | None = None
    expected_updated_at: datetime | None = None

    def values(self) -> dict[str, Any]:
        """The changes by column."""
        return self.model_dump(exclude={"current_password", "expected_updated_at"}, exclude_unset=True)


class Chosen(BaseModel):
    """The id of an account."""

    id: UserKey


class NewPassword(BaseModel):
    """A new password for an account."""

    new_password: Password
