"""Resume tokens: a place in a source of changes, for one question."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import orjson

from api.errors import BadUserInput

_LONGEST: Final = 4096
"""Characters of a token."""

P = TypeVar("P")


class ResumeTokens(Generic[P]):
    """Makes and reads the tokens of one question. `asked` is whatever decides which events there are.

    `to_json` is what stands in a token for a place, and `from_json` the way back, which raises ValueError.
    """

    def __init__(self, asked: Any, to_json: Callable[[P], Any], from_json: Callable[[Any], P]) -> None:
        self._fingerprint = hashlib.blake2b(repr(asked).encode(), digest_size=6).hexdigest()
        self._to_json, self._from_json = to_json, from_json

    def of(self, place: P) -> str:
        """The token of a place."""
        return base64.urlsafe_b64encode(orjson.dumps([self._fingerprint, self._to_json(place)])).decode()

    def read(self, token: str) -> P:
        """The place of a token. Raises BadUserInput for those of other questions, and for what is none."""
        try:
            if len(token) > _LONGEST:
                raise ValueError
            fingerprint, given = orjson.loads(base64.b64decode(token, altchars=b"-_", validate=True))
            place = self._from_json(given)
        except (ValueError, TypeError):
            raise BadUserInput("after is not a resume token.") from None
        if fingerprint != self._fingerprint:
            raise BadUserInput("The resume token was given for another filter: subscribe without it.")
        return place
