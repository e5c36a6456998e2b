"""What inputs of accounts must be like."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel

from api.passwords import normalised
from api.validation import UNGIVEN, Moment, UserKey

LONGEST_EMAIL: Final = 255
LONGEST_NAME: Final = 100
_EMAIL: Final = re.compile(r"[^@\s\0-\x1f\x7f]{1,64}@[^@\s\0-\x1f\x7f]+")


def _email(text: str) -> str:
    text = unicodedata.normalize("NFC", text.strip())
    if len(text) > LONGEST_EMAIL:
        raise ValueError(f"must have at most {LONGEST_EMAIL} characters")
    if not _EMAIL.fullmatch(text):
        raise ValueError("must be an email address")
    return text


def _name(text: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= LONGEST_NAME:
        raise ValueError(f"must have 1 to {LONGEST_NAME} characters")
    if not text.isprintable():
        raise ValueError("must not contain control characters")
    return text


Email = Annotated[str, AfterValidator(_email)]
Name = Annotated[str, AfterValidator(_name)]
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
    expected_updated_at: Moment | None = None

    def values(self) -> dict[str, Any]:
        """What changes, by column."""
        return self.model_dump(exclude={"current_password", "expected_updated_at"}, exclude_unset=True)


class Chosen(BaseModel):
    """An account."""

    id: UserKey


class NewPassword(BaseModel):
    """A password that replaces another."""

    new_password: Password
