"""Cursors of a search: the place of what was found in the ranking of one query."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

import orjson

from api.errors import BadCursor
from api.search.store import SEARCHED, Found

_LONGEST: Final = 256
"""Characters of a cursor."""


class SearchCursors:
    """Makes and reads the cursors of one search. `searched` is whatever its result depends on."""

    def __init__(self, searched: Any) -> None:
        self._fingerprint = hashlib.blake2b(repr(searched).encode(), digest_size=6).hexdigest()

    def of(self, found: Found) -> str:
        """The cursor of what was found."""
        return base64.urlsafe_b64encode(orjson.dumps([self._fingerprint, *found])).decode()

    def read(self, cursor: str) -> Found:
        """Where a cursor points. Raises BadCursor for those of other searches, and for what is none."""
        try:
            if len(cursor) > _LONGEST:
                raise ValueError
            fingerprint, score, type_name, key = orjson.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
            if type(score) is not int or abs(score) >= 2**31 or type_name not in SEARCHED or "\x00" in key:
                raise ValueError
        except (ValueError, TypeError):
            raise BadCursor("This is not a valid cursor.") from None
        if fingerprint != self._fingerprint:
            raise BadCursor("The cursor was made in another search; start again from the first page.")
        return Found(score, type_name, key)
