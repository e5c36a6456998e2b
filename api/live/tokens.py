"""Resume tokens: a place in a source of changes, for one question."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

import orjson

from api.errors import BadUserInput

_LONGEST: Final = 256
"""Characters of a token."""


class ResumeTokens:
    """Makes and reads the tokens of one question. `asked` is whatever decides which events there are."""

    def __init__(self, asked: Any) -> None:
        self._fingerprint = hashlib.blake2b(repr(asked).encode(), digest_size=6).hexdigest()

    def of(self, place: int) -> str:
        """The token of a place."""
        return base64.urlsafe_b64encode(orjson.dumps([self._fingerprint, place])).decode()

    def read(self, token: str) -> int:
        """The place of a token. Raises BadUserInput for those of other questions, and for what is none."""
        try:
            if len(token) > _LONGEST:
                raise ValueError
            fingerprint, place = orjson.loads(base64.b64decode(token, altchars=b"-_", validate=True))
            if type(place) is not int or not 0 <= place < 2**63:
                raise ValueError
        except (ValueError, TypeError):
            raise BadUserInput("after is not a resume token.") from None
        if fingerprint != self._fingerprint:
            raise BadUserInput("The resume token was given for another filter: subscribe without it.")
        return place
