"""Limits of sign-in: by address, and by account."""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from api.addresses import site
from api.attempts import Attempts
from api.config import Settings

FRIENDS: Final = 50_000
"""Pairs of account and address that are remembered."""


class SignInLimits:
    """Counts sign-ins by address, and failed ones by account.

    All strangers share one count of an account, so that a password is not guessed from many addresses. An address
    from which the account has signed in before has a count of its own: an attacker who keeps the strangers' count
    full locks nobody out where they usually are, nor ends their sessions, which are refreshed without a password.
    """

    def __init__(self, settings: Settings) -> None:
        self._addresses = Attempts(settings.sign_in_limit_address)
        self._accounts = Attempts(settings.sign_in_limit_account)
        self._friends: OrderedDict[tuple[bytes, str], None] = OrderedDict()

    def arrive(self, address: str | None) -> None:
        """Count a request for which a password is hashed. Raises RateLimited."""
        if address is not None:
            self._addresses.take(site(address))

    @contextlib.contextmanager
    def attempt(self, account: str | UUID, address: str | None) -> Iterator[None]:
        """Count the block as a failed attempt on this account (an email, or the id of a signed-in one) unless it
        ends well. Raises RateLimited."""
        name, place = _name(account), site(address) if address is not None else ""
        friend = (name, place)
        key = friend if friend in self._friends else name
        taken = self._accounts.take(key)
        yield
        self._accounts.give_back(key, taken)
        self._friends[friend] = None
        self._friends.move_to_end(friend)
        if len(self._friends) > FRIENDS:
            self._friends.popitem(last=False)


def _name(account: str | UUID) -> bytes:
    """Of one length, whatever was typed for an email."""
    return hashlib.sha256(str(account).strip().lower().encode()).digest()[:16]
