"""What inputs of accounts must be like."""

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
    """An account as it is signed up."""

    email: Email
    password: Password
    first_name: Name | None = None
    last_name: Name | None = None


class Profile(BaseModel):
    """What an account says of itself; only what is set changes."""

    first_name: Name | None = None
    last_name: Name | None = None
    email: Email = UNGIVEN
    current_password: str | None = None
    expected_updated_at: datetime | None = None

    def values(self) -> dict[str, Any]:
        """What changes, by column."""
        return self.model_dump(exclude={"current_password", "expected_updated_at"}, exclude_unset=True)


class Chosen(BaseModel):
    """An account."""

    id: UserKey


class NewPassword(BaseModel):
    """A password that replaces another."""

    new_password: Password
