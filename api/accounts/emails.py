"""Email addresses of accounts: what a new one must be like, and the form in which all are compared."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from sqlalchemy import ColumnElement, func

import models
from api.folding import composed, folded

LONGEST_EMAIL: Final = 254
"""Characters; RFC 5321 allows no more, and the column has one more."""
LONGEST_TYPED: Final = 1024
"""Characters of what is typed that are looked at: more than any stored address has, whatever its form."""
# as its documentation has it: `localhost` and `.test` are domains of somebody's accounts
SPECIAL_USE_DOMAIN_NAMES.clear()
_LOCAL_AND_DOMAIN: Final = re.compile(r"[^@\s]{1,64}@[^@\s]+")


def canonical_email(text: str) -> str:
    """The form of an address by which it is stored once, looked up, and counted: its folding, without blanks around.

    Addresses that no account can have come back as they are, cut off.
    """
    if len(text) > LONGEST_TYPED:
        return text[:LONGEST_TYPED]
    return folded(text.strip())


def has_email(text: str) -> ColumnElement[bool]:
    """Whether an account has this address: the same in SQL, as the unique index has it."""
    return func.shared.fold(func.btrim(models.User.email)) == canonical_email(text)


def new_email(text: str) -> str:
    """An address as it is stored: in NFC, capitals as they were typed. Raises ValueError with the rule it breaks.

    What no mail could be sent to is refused, and characters that can't be seen, which make two addresses look alike.
    Only its form is checked, nothing is asked of the DNS; domains of tests and of local networks are addresses, too.
    """
    text = text.strip()
    if len(text) > LONGEST_EMAIL:
        raise ValueError(f"must have at most {LONGEST_EMAIL} characters")
    if any(unicodedata.category(character).startswith("C") for character in text):
        raise ValueError("must not contain control characters or characters that can't be seen")
    text = composed(text)
    if not _LOCAL_AND_DOMAIN.fullmatch(text):
        raise ValueError("must be an email address")
    try:
        validate_email(text, check_deliverability=False, globally_deliverable=False, strict=True)
    except EmailNotValidError:
        raise ValueError("must be an email address") from None
    return text
