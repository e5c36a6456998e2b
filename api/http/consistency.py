"""`X-Consistency-Token`: what a client has written, for its next queries to see, wherever they are read from.

Only used where queries are read from replicas. The token goes out with the answer to a mutation, and comes in with what
follows. Sessions remember it by themselves, for clients that don't send it. It is signed, so that nobody can make the
stores wait for what never happens.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from typing import TYPE_CHECKING, Final

from api.accounts import sessions
from api.accounts.tokens import secrets_of
from api.config.settings import Settings
from api.errors import BadUserInput
from api.log import logger
from api.stores.replicas.position import EVERYWHERE, NOWHERE, Position

if TYPE_CHECKING:
    from api.fields.context import Context
    from api.http.exchange import Exchange

HEADER: Final = "X-Consistency-Token"
_NAME: Final = HEADER.lower().encode()
_PLACES: Final = struct.Struct(">BIQQ")
"""A version, the timeline, the place in the log, and the cluster time."""
_VERSION: Final = 1
_SIGNATURE: Final = 16
_LENGTH: Final = -(-(_PLACES.size + _SIGNATURE) // 3) * 4


class Consistency:
    """Makes and reads the tokens. The current AUTH_SECRET signs; the previous one is still believed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: list[bytes] | None = None

    @property
    def _keys(self) -> list[bytes]:
        if self._made is None:
            self._made = [
                hmac.digest(secret.encode(), b"consistency token", hashlib.sha256)
                for secret in secrets_of(self._settings)
            ]
        return self._made

    def token(self, position: Position) -> str:
        """The token of a position."""
        content = _PLACES.pack(_VERSION, position.timeline, position.wal, position.cluster_time)
        return base64.urlsafe_b64encode(content + _signature(self._keys[0], content)).decode()

    def read(self, token: str) -> Position:
        """The position of a token. Raises BadUserInput for what isn't one of ours."""
        try:
            if len(token) != _LENGTH:
                raise ValueError
            signed = base64.b64decode(token, altchars=b"-_", validate=True)
            if base64.urlsafe_b64encode(signed).decode() != token:  # bits that mean nothing
                raise ValueError
            content, signature = signed[: _PLACES.size], signed[_PLACES.size :]
            version, *places = _PLACES.unpack(content)
        except (ValueError, struct.error):
            raise _not_ours() from None
        if version != _VERSION or not any(
            hmac.compare_digest(_signature(key, content), signature) for key in self._keys
        ):
            raise _not_ours()
        return Position(*places)

    def seen(self, exchange: Exchange) -> Position:
        """What the client of this request says that it has seen. Raises BadUserInput."""
        if not exchange.stores.follows_writers or _NAME not in exchange.request:
            return NOWHERE
        return self.read(exchange.request.header(_NAME))

    async def note(self, exchange: Exchange, context: Context) -> None:
        """A mutation may have written something: its answer gets a token, and its session knows, too."""
        try:
            position = await exchange.stores.position()
            if context.viewer.session_id is not None:
                async with context.system_stores.sessions.begin() as transaction:
                    await sessions.note_seen(transaction, context.viewer.session_id, position)
        except Exception as error:  # it is done, whatever comes now
            logger.warning("it is not known how far a write went", request_id=exchange.request_id, error=repr(error))
            position = EVERYWHERE
        exchange.written = exchange.written.joined(position)
        exchange.headers[HEADER.lower()] = self.token(exchange.written)


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, hashlib.sha256)[:_SIGNATURE]


def _not_ours() -> BadUserInput:
    return BadUserInput(f"{HEADER} is not a token of this API: send the newest one, or none.")
