"""The demo data: the same on every run and every machine. No input or output here.

It comes in blocks of one scale each, and a block depends on its number alone (and on who the first block's
admin is), so a bigger scale holds everything that a smaller one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from api.demo import catalog_items, designs, users
from api.demo.designs import Document
from api.demo.users import Row

COUNTS: Final = {
    "users": users.USERS,
    "avatars": users.AVATARS,
    "catalog items": catalog_items.ITEMS,
    "designs": designs.DESIGNS,
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
    people, genders = users.users(number, admin)
    avatars = users.avatars(number, people, genders)
    catalog = catalog_items.items(number, people)
    return Block(number, people, avatars, catalog, designs.designs(number, people, avatars, catalog))
