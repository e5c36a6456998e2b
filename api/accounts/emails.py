"""Email addresses of accounts: the rules for a new one, and the canonical form in which addresses are compared."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from sqlalchemy import ColumnElement, func

import models
from api.folding import composed, folded

LONGEST_EMAIL: Final = 254
"""In characters; RFC 5321 allows no more."""
LONGEST_TYPED: Final = 1024
"""The most characters of an input that are looked at: more than any stored address has, in any form."""
# As the documentation of email_validator proposes: accounts may have addresses at `localhost` or `.test`.
SPECIAL_USE_DOMAIN_NAMES.clear()
_LOCAL_AND_DOMAIN: Final = re.compile(r"[^@\s]{1,64}@[^@\s]+")


def canonical_email(text: str) -> str:
    """The form by which an address is unique, looked up and counted: folded, without blanks around it.

    An input that is too long for any account is cut off and not folded.
    """
    if len(text) > LONGEST_TYPED:
        return text[:LONGEST_TYPED]
    return folded(text.strip())


def has_email(text: str) -> ColumnElement[bool]:
    """The SQL condition that an account has this address, with the expression of the unique index."""
    return func.shared.fold(func.btrim(models.User.email)) == canonical_email(text)


def new_email(text: str) -> str:
    """A new address as it is stored: in NFC, with capitals as typed. Raises ValueError with the rule that it breaks.

    Refused are texts to which no mail can be sent, and invisible characters, by which two addresses could look alike.
    Only the form is checked, not the DNS. Domains of tests and of local networks are accepted.
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
