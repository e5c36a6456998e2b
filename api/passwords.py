"""Hashes of passwords: argon2id, and bcrypt as the original service made them, off the event loop.

Passwords are hashed in Unicode's NFC, so that the same letters typed on another keyboard are the same password;
bcrypt hashes are compared with what was sent, as the original service did.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, TypeVar

import anyio.to_thread
import bcrypt
from anyio import CapacityLimiter
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.config import Settings
from api.errors import RateLimited

SHORTEST: Final = 8
LONGEST: Final = 256
"""Characters, after normalisation."""
THREADS: Final = 2
"""Hashes computed at the same time in a process; each takes the memory of the settings."""
WAITING: Final = 100
"""Who may wait for one of the threads; others are turned away."""
_BCRYPT: Final = ("$2a$", "$2b$", "$2y$")
_BCRYPT_READS: Final = 72
"""Bytes of a password that bcrypt looks at."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password is right; if so, the hash to store instead, where the stored one is of an older kind."""

    right: bool
    new_hash: str | None = None


WRONG: Final = Verdict(right=False)


def normalised(password: str) -> str:
    """The password as it is hashed. Raises ValueError with the rule that it breaks."""
    text = unicodedata.normalize("NFC", password)
    if not SHORTEST <= len(text) <= LONGEST:
        raise ValueError(f"must have {SHORTEST} to {LONGEST} characters")
    if "\0" in text:
        raise ValueError("must not contain null characters")
    return text


class Passwords:
    """Hashes and verifies, few at a time. Raises RateLimited where too many wait already."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHasher(time_cost=settings.password_hash_time, memory_cost=settings.password_hash_memory)
        self._limiter = CapacityLimiter(THREADS)

    async def hash(self, password: str) -> str:
        """The hash of a password that keeps the rules. Raises ValueError for any other."""
        return await self._run(partial(self._hasher.hash, normalised(password)))

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Whether the password is the one of this hash. None, for an account that isn't there, costs as much."""
        return await self._run(partial(self._verify, password, stored))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._limiter.statistics().tasks_waiting >= WAITING:
            raise RateLimited(1)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    def _verify(self, password: str, stored: str | None) -> Verdict:
        text = unicodedata.normalize("NFC", password)
        if stored is not None and stored.startswith(_BCRYPT):
            return Verdict(True, self._hasher.hash(text)) if _is_bcrypt_of(password, stored) else WRONG
        try:
            if stored is None:
                raise InvalidHashError
            self._hasher.verify(stored, text)
        except InvalidHashError:
            self._verify(password, self._nobodys)
            return WRONG
        except VerificationError:
            return WRONG
        return Verdict(True, self._hasher.hash(text) if self._hasher.check_needs_rehash(stored) else None)

    @cached_property
    def _nobodys(self) -> str:
        """A hash of a password that nobody has, made with the parameters of all others."""
        return self._hasher.hash(secrets.token_bytes())


def _is_bcrypt_of(password: str, stored: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:_BCRYPT_READS], stored.encode())
    except ValueError:  # not a hash after all
        return False
