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

from api.config.settings import ConfigurationError, Settings
from api.config.values import SECRET_BYTES
from api.recent import Recent

ALGORITHM: Final = "HS256"
TYPE: Final = "at+jwt"
MAX_LENGTH: Final = 2048
"""Characters of a token; ours have about 400."""
REMEMBERED: Final = 10_000
"""Verified tokens that are kept."""


class InvalidToken(Exception):
    """Not a token of ours, or no longer good."""


class ExpiredToken(InvalidToken):
    """A token of ours whose time has run out."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Whose a token is, and of which session."""

    user_id: UUID
    session_id: UUID


class AccessTokens:
    """Issues and verifies access tokens. Two keys verify while they are rotated; the current one signs."""

    def __init__(self, settings: Settings) -> None:
        secrets = secrets_of(settings)
        self._kid = key_id(secrets[0])
        self._keys = {key_id(secret): OctKey.import_key(secret) for secret in secrets}
        self._issuer, self._audience = settings.auth_issuer, settings.auth_audience
        self._lifetime = settings.access_token_lifetime
        self._verified = Recent[str, tuple[Claims, int]](REMEMBERED)
        self._claims = JWTClaimsRegistry(
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            sub={"essential": True},
            sid={"essential": True},
            exp={"essential": True},
        )

    def issue(self, user_id: UUID, session_id: UUID) -> tuple[str, datetime]:
        """A token for this session, and when it ends."""
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
        """What the token says. Raises InvalidToken for everything that isn't a token of ours which is still good.

        What has been verified is remembered until it ends: checking a signature takes 20 times as long as the rest of
        a request's preparation.
        """
        known = self._verified.get(token)
        if known is None:
            known = self._verified[token] = self._verify(token)
        claims, ends = known
        if ends <= time.time():
            del self._verified[token]
            raise ExpiredToken
        return claims

    def _verify(self, token: str) -> tuple[Claims, int]:
        """What the token says, and when it ends."""
        if len(token) > MAX_LENGTH:
            raise InvalidToken
        try:
            decoded = jwt.decode(token, self._key_of, algorithms=[ALGORITHM])
            claims: dict[str, Any] = decoded.claims
            if decoded.header.get("typ") != TYPE:
                raise InvalidToken
            # without `iat`: another instance's clock may be a little ahead of ours
            self._claims.validate({name: value for name, value in claims.items() if name != "iat"})
            return Claims(UUID(claims["sub"]), UUID(claims["sid"])), int(claims["exp"])
        except ExpiredTokenError:
            raise ExpiredToken from None
        except (JoseError, ValueError, TypeError, AttributeError, KeyError):
            raise InvalidToken from None

    def _key_of(self, token: GuestProtocol) -> OctKey:
        return self._keys[token.headers()["kid"]]


def key_id(secret: str) -> str:
    """The name of a key: a hash of it, so that instances agree without a setting more."""
    return hashlib.sha256(b"kid:" + secret.encode()).hexdigest()[:16]


def secrets_of(settings: Settings) -> list[str]:
    """The current secret, and the one before where there is one.

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
    """The secret in this file, made by whoever needs it first: all workers and restarts share it."""
    with contextlib.suppress(FileNotFoundError):
        return _read_secret(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(SECRET_BYTES))
    try:
        with contextlib.suppress(FileExistsError):
            os.link(name, path)  # whole or not at all, and once
    finally:
        Path(name).unlink()
    return _read_secret(path)


def _read_secret(path: Path) -> str:
    secret = path.read_text().strip()
    if len(secret) < SECRET_BYTES:
        raise ConfigurationError(f"{path} is no secret of {SECRET_BYTES} bytes: delete it, and another one is made")
    return secret
