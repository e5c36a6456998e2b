"""Limits on signing in: by address, and by account."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from api.accounts.attempts import SharedAttempts
from api.accounts.emails import canonical_email
from api.bounded_dict import BoundedDict
from api.config.settings import Settings
from api.rates.addresses import site
from api.rates.counts import MemoryCounts, SharedCounts

KNOWN_ADDRESSES: Final = 50_000
"""The most pairs of account and address that are remembered."""


class SignInLimits:
    """Counts sign-ins by address, and failed ones by account.

    All unknown addresses share one count of an account, so that its password can't be guessed from many addresses. An
    address from which the account has signed in before has its own count: an attacker who fills the shared count locks
    nobody out where they usually sign in, nor ends their sessions, which are refreshed without a password. Each
    instance knows the addresses that it has seen itself; the counts are shared where Redis is configured.
    """

    def __init__(self, settings: Settings, counts: MemoryCounts | SharedCounts | None = None) -> None:
        shared = counts if isinstance(counts, SharedCounts) else None
        self._addresses = SharedAttempts("sign-in-address", settings.sign_in_limit_address, shared)
        self._accounts = SharedAttempts("sign-in-account", settings.sign_in_limit_account, shared)
        self._known_addresses = BoundedDict[tuple[str, str], None](KNOWN_ADDRESSES)

    async def arrive(self, address: str | None) -> None:
        """Count a request that needs a password hash. Raises RateLimited."""
        if address is not None:
            await self._addresses.take(site(address))

    @contextlib.asynccontextmanager
    async def attempt(self, account: str | UUID, address: str | None) -> AsyncIterator[None]:
        """Count the block as a failed attempt on this account, unless it ends without an error. Raises RateLimited.

        `account` is an email, or the id of an account that is signed in.
        """
        name, place = _name(account), site(address) if address is not None else ""
        known = (name, place)
        key = f"{name}@{place}" if known in self._known_addresses else name
        taken = await self._accounts.take(key)
        yield
        await self._accounts.give_back(key, taken)
        self._known_addresses[known] = None


def _name(account: str | UUID) -> str:
    """A hash of the account's name: it has one length, whatever was typed."""
    return hashlib.sha256(canonical_email(str(account)).encode()).hexdigest()[:32]
