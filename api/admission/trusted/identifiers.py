"""Identifiers of documents, as in the appendix *Persisted Documents* of GraphQL over HTTP."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from api.errors import BadRequest

PREFIX: Final = "sha256:"
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_IDENTIFIER: Final = re.compile(r"(?:x-[\w.~-]{1,100}:)?[\w.~-]{1,200}", re.ASCII)
"""Custom identifiers (of manifests: MD5, SHA-1 and the like), and those with a prefix of somebody's own."""


def identifier_of(document: str) -> str:
    """`sha256:` and the hash of the text, in lower case hexadecimal."""
    return PREFIX + hashlib.sha256(document.encode()).hexdigest()


def is_hash(text: str) -> bool:
    """Whether it is a SHA-256 in hexadecimal digits."""
    return _HASH.fullmatch(text.lower()) is not None


def normalised(identifier: str) -> str:
    """The identifier as it is stored: a bare SHA-256, which Apollo's clients and manifests use, gets its prefix.

    Raises BadRequest for what the appendix doesn't allow.
    """
    value = identifier.removeprefix(PREFIX).lower()
    if _HASH.fullmatch(value):
        return PREFIX + value
    if identifier.startswith(PREFIX) or not _IDENTIFIER.fullmatch(identifier):
        raise BadRequest(
            "A document's identifier is sha256: with 64 hexadecimal digits, or letters, digits and any of -._~, "
            "perhaps after a prefix such as x-name:"
        )
    return identifier
