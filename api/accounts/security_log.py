"""Security events: one log line for each, with what an investigation needs later.

A line has `event: security`, the kind, the account that it is about (null where there is none), who acted, the network
address, a code, and the request's id. It never has a password, a token, or a typed email, since people type passwords
into the wrong field. `name` is a keyed hash of the email instead, equal for equal canonical emails.
"""

from __future__ import annotations

import hmac
from enum import Enum
from typing import Final, Protocol
from uuid import UUID

from api.accounts.tokens import secrets_of
from api.config.settings import Settings
from api.log import logger
from api.rights.viewer import Viewer

_DIGITS: Final = 16


class SecurityEvent(Enum):
    """What has happened."""

    SIGNED_UP = "an account was made"
    SIGNED_IN = "a session began"
    SIGN_IN_FAILED = "a password was wrong, or an account not there"
    SIGN_IN_LIMITED = "too many attempts, so that nobody looked at the password"
    SIGNED_OUT = "sessions were ended by their account"
    TOKEN_REFUSED = "an access token was not valid, or no longer"  # noqa: S105
    REFRESH_TOKEN_REUSED = "a refresh token came twice, and its session was ended"  # noqa: S105
    PASSWORD_CHANGED = "a password was replaced"  # noqa: S105
    EMAIL_CHANGED = "another address signs in"
    ROLE_CHANGED = "an account may do something else"
    DEACTIVATED = "an account may no longer sign in"
    REACTIVATED = "an account may sign in again"
    DELETED = "an account was deleted"
    RESTORED = "an account came back"
    ACCESS_REFUSED = "an operation was asked for without the right to it"


_ALARMING: Final = frozenset(
    {
        SecurityEvent.SIGN_IN_FAILED,
        SecurityEvent.SIGN_IN_LIMITED,
        SecurityEvent.TOKEN_REFUSED,
        SecurityEvent.REFRESH_TOKEN_REUSED,
        SecurityEvent.ACCESS_REFUSED,
    }
)


class Asking(Protocol):
    """The parts of an operation's context that an event needs."""

    @property
    def settings(self) -> Settings: ...
    @property
    def request_id(self) -> str: ...
    @property
    def viewer(self) -> Viewer: ...
    @property
    def address(self) -> str | None: ...


def note(
    asking: Asking,
    event: SecurityEvent,
    *,
    account: UUID | None = None,
    code: str | None = None,
    name: str | None = None,
    **more: str,
) -> None:
    """Log one event. `name` is the typed email in its canonical form."""
    settings = asking.settings
    if name is not None:
        more["name"] = _hashed(name, settings)
    address = asking.address
    if address is not None and settings.security_log_addresses == "hashed":
        address = _hashed(address, settings)
    tell = logger.warning if event in _ALARMING else logger.info
    tell(
        "security",
        kind=event.name,
        account=str(account) if account else None,
        actor=str(asking.viewer.id) if asking.viewer.id else None,
        address=address,
        code=code,
        request_id=asking.request_id,
        **more,
    )


def _hashed(text: str, settings: Settings) -> str:
    """A hash keyed with AUTH_SECRET: without it, nobody can find the text by trying a list."""
    key = secrets_of(settings)[0].encode()
    return hmac.digest(key, b"security log:" + text.encode(errors="replace"), "sha256").hex()[:_DIGITS]
