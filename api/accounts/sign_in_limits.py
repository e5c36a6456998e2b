"""Limits of sign-in: by address, and by account."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from api.accounts.attempts import SharedAttempts
from api.accounts.emails import canonical_email
from api.config.settings import Settings
from api.rates.addresses import site
from api.rates.counts import MemoryCounts, SharedCounts
from api.recent import Recent

FRIENDS: Final = 50_000
"""Pairs of account and address that are remembered."""


class SignInLimits:
    """Counts sign-ins by address, and failed ones by account.

    All strangers share one count of an account, so that a password is not guessed from many addresses. An address
    from which the account has signed in before has a count of its own: an attacker who keeps the strangers' count
    full locks nobody out where they usually are, nor ends their sessions, which are refreshed without a password.
    Each instance knows the addresses that it has seen itself; the counts are shared where Redis is configured.
    """

    def __init__(self, settings: Settings, counts: MemoryCounts | SharedCounts | None = None) -> None:
        shared = counts if isinstance(counts, SharedCounts) else None
        self._addresses = SharedAttempts("sign-in-address", settings.sign_in_limit_address, shared)
        self._accounts = SharedAttempts("sign-in-account", settings.sign_in_limit_account, shared)
        self._friends = Recent[tuple[str, str], None](FRIENDS)

    async def arrive(self, address: str | None) -> None:
        """Count a request for which a password is hashed. Raises RateLimited."""
        if address is not None:
            await self._addresses.take(site(address))

    @contextlib.asynccontextmanager
    async def attempt(self, account: str | UUID, address: str | None) -> AsyncIterator[None]:
        """Count the block as a failed attempt on this account (an email, or the id of a signed-in one) unless it
        ends well. Raises RateLimited."""
        name, place = _name(account), site(address) if address is not None else ""
        friend = (name, place)
        key = f"{name}@{place}" if friend in self._friends else name
        taken = await self._accounts.take(key)
        yield
        await self._accounts.give_back(key, taken)
        self._friends[friend] = None


def _name(account: str | UUID) -> str:
    """Of one length, whatever was typed for an email."""
    return hashlib.sha256(canonical_email(str(account)).encode()).hexdigest()[:32]
