"""The demo data: the same on every run and every machine. No input or output here.

It comes in blocks of one scale each, and a block depends on its number alone (and on who the first block's
admin is), so a bigger scale holds everything that a smaller one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from api.demo import accounts, items, outfits
from api.demo.accounts import Row
from api.demo.outfits import Document

COUNTS: Final = {
    "users": accounts.USERS,
    "avatars": accounts.AVATARS,
    "catalog items": items.ITEMS,
    "designs": outfits.DESIGNS,
}
"""How many of each kind are in a block, in the order in which they refer to each other."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows by column name and documents as stored. Users have no `password_hash` yet."""

    number: int
    users: list[Row]
    avatars: list[Row]
    items: list[Row]
    designs: list[Document]


def generate(scale: int) -> Iterator[Block]:
    """As many blocks. Raises ValueError for a scale below 1."""
    if scale < 1:
        raise ValueError("the scale of the demo data must be at least 1")
    admin: Row | None = None
    for number in range(scale):
        block = _block(number, admin)
        admin = admin or block.users[0]
        yield block


def _block(number: int, admin: Row | None) -> Block:
    users, genders = accounts.users(number, admin)
    avatars = accounts.avatars(number, users, genders)
    catalog = items.items(number, users)
    return Block(number, users, avatars, catalog, outfits.designs(number, users, avatars, catalog))
