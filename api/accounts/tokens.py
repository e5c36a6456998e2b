"""Access tokens: JWTs (RFC 9068) signed with HS256, and the keys that sign them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import GuestProtocol, OctKey
from joserfc.jwt import JWTClaimsRegistry

from api.bounded_dict import BoundedDict
from api.config.setting_types import SECRET_BYTES
from api.config.settings import ConfigurationError, Settings

ALGORITHM: Final = "HS256"
TYPE: Final = "at+jwt"
MAX_LENGTH: Final = 2048
"""The most characters of a token; ours have about 400."""
REMEMBERED: Final = 10_000
"""The most verified tokens that are remembered."""


class InvalidToken(Exception):
    """The token isn't one of ours, or is no longer valid."""


class ExpiredToken(InvalidToken):
    """The token is one of ours, but has expired."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The account and the session of a token, and when it expires (in seconds since 1970)."""

    user_id: UUID
    session_id: UUID
    expires_at: int


class AccessTokens:
    """Issues and verifies access tokens. The current key signs; during a rotation, the previous one verifies, too."""

    def __init__(self, settings: Settings) -> None:
        secrets = secrets_of(settings)
        self._kid = key_id(secrets[0])
        self._keys = {key_id(secret): OctKey.import_key(secret) for secret in secrets}
        self._issuer, self._audience = settings.auth_issuer, settings.auth_audience
        self._lifetime = settings.access_token_lifetime
        self._verified = BoundedDict[str, Claims](REMEMBERED)
        self._claims = JWTClaimsRegistry(
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            sub={"essential": True},
            sid={"essential": True},
            exp={"essential": True},
        )

    def issue(self, user_id: UUID, session_id: UUID) -> tuple[str, datetime]:
        """A token for this session, and when it expires."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": now,
            "exp": now + self._lifetime,
        }
        header = {"alg": ALGORITHM, "kid": self._kid, "typ": TYPE}
        token = jwt.encode(header, claims, self._keys[self._kid], algorithms=[ALGORITHM])
        return token, datetime.fromtimestamp(now + self._lifetime, UTC)

    def verify(self, token: str) -> Claims:
        """The claims of a valid token. Raises InvalidToken (ExpiredToken where it has expired).

        Verified tokens are remembered until they expire: checking a signature takes 20 times as long as everything else
        that prepares a request.
        """
        known = self._verified.get(token)
        if known is None:
            known = self._verified[token] = self._verify(token)
        if known.expires_at <= time.time():
            del self._verified[token]
            raise ExpiredToken
        return known

    def _verify(self, token: str) -> Claims:
        if len(token) > MAX_LENGTH:
            raise InvalidToken
        try:
            decoded = jwt.decode(token, self._key_of, algorithms=[ALGORITHM])
            claims: dict[str, Any] = decoded.claims
            if decoded.header.get("typ") != TYPE:
                raise InvalidToken
            # `iat` isn't checked: the clock of another instance may be a little ahead
            self._claims.validate({name: value for name, value in claims.items() if name != "iat"})
            return Claims(UUID(claims["sub"]), UUID(claims["sid"]), int(claims["exp"]))
        except ExpiredTokenError:
            raise ExpiredToken from None
        except (JoseError, ValueError, TypeError, AttributeError, KeyError):
            raise InvalidToken from None

    def _key_of(self, token: GuestProtocol) -> OctKey:
        return self._keys[token.headers()["kid"]]


def key_id(secret: str) -> str:
    """The id of a key: a hash of it, so that all instances agree without another setting."""
    return hashlib.sha256(b"kid:" + secret.encode()).hexdigest()[:16]


def secrets_of(settings: Settings) -> list[str]:
    """The current secret, and the previous one if there is one.

    Raises ConfigurationError where none is set in production.
    """
    previous = settings.auth_secret_previous
    return [_current_secret(settings), *([previous.get_secret_value()] if previous is not None else [])]


def _current_secret(settings: Settings) -> str:
    if settings.auth_secret is not None:
        return settings.auth_secret.get_secret_value()
    if settings.is_production:
        raise ConfigurationError("AUTH_SECRET must be set in production")
    return development_secret(settings.data_dir / "auth-secret")


def development_secret(path: Path) -> str:
    """The secret in this file. The first process that needs it makes it; all workers and restarts share it."""
    with contextlib.suppress(FileNotFoundError):
        return _read_secret(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(SECRET_BYTES))
    try:
        with contextlib.suppress(FileExistsError):
            os.link(name, path)  # the file appears complete, and only once
    finally:
        Path(name).unlink()
    return _read_secret(path)


def _read_secret(path: Path) -> str:
    secret = path.read_text().strip()
    if len(secret) < SECRET_BYTES:
        raise ConfigurationError(f"{path} is no secret of {SECRET_BYTES} bytes: delete it, and another one is made")
    return secret
