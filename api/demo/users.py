"""Demo users and their avatars, as rows of `shared.users` and `avatar.avatars`."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from typing import Any, Final

from api.demo import names
from api.demo.seeded_random import EPOCH, START, Chance, asset_url

Row = dict[str, Any]

USERS: Final = 200
AVATARS: Final = 400
DOMAIN: Final = "fashion-wallet.test"

_ROLES: Final = ["admin", "brand", "premium", "user", *["brand"] * 7, *["premium"] * 45, *["user"] * 144]
_GENDERS: Final = {"female": names.FEMALE, "male": names.MALE, "unisex": names.NEUTRAL}
_MOST_AVATARS: Final = 5
_UNDECOMPOSED: Final = str.maketrans({"ø": "o", "ł": "l", "ı": "i", "'": "", " ": ""})
_OPENED: Final = START + timedelta(days=30)
"""When the brands have registered, and everybody else may."""


def users(block: int, admin: Row | None) -> tuple[list[Row], list[str]]:
    """200 users, without `password_hash`, and the gender of each. The first four have one role each.

    `admin` created the brands' accounts; None where the block's own first user is that.
    """
    chance = Chance("users", block)
    named = list(names.ACCOUNTS) if block == 0 else []
    pairs = [(gender, first) for gender, first_names in _GENDERS.items() for first in first_names]
    chosen = chance.sample([(*pair, last) for pair in pairs for last in names.FAMILY], USERS)
    rows: list[Row] = []
    genders = []
    for number, role in enumerate(_ROLES):
        if number < len(named):
            local, first, last, gender = named[number]
        else:
            gender, first, last = chosen[number]
            # the number keeps blocks apart; within a block no two people share both names
            local = f"{_ascii(first)}.{_ascii(last)}{block + 1 if block else ''}"
        is_demo_account = number < len(named)
        created = _registered(chance, role, early=is_demo_account)
        creator = (admin or rows[0])["id"] if role == "brand" else None
        rows.append(
            {
                "id": chance.uuid7(created),
                "email": f"{local}@{DOMAIN}",
                "first_name": first,
                "last_name": last,
                "role": role,
                "is_active": is_demo_account or role in ("admin", "brand") or not chance.chance(0.03),
                "email_verified": is_demo_account or chance.chance(0.9),
                "created_at": created,
                "updated_at": _edited(chance, created, 0.5),
                "created_by": creator,
                "updated_by": creator,
            }
        )
        genders.append(gender)
    return rows, genders


def avatars(block: int, owners: list[Row], genders: list[str]) -> list[Row]:
    """400 avatars: one to five a user, the first of each the default one."""
    chance = Chance("avatars", block)
    counts = [3 if number < len(names.ACCOUNTS) else 1 for number in range(USERS)]
    while sum(counts) < AVATARS:
        number = chance.randrange(USERS)
        counts[number] += counts[number] < _MOST_AVATARS
    return [
        row
        for owner, gender, count in zip(owners, genders, counts, strict=True)
        for row in _avatars_of(chance, owner, gender, count)
    ]


def _avatars_of(chance: Chance, owner: Row, gender: str, count: int) -> list[Row]:
    chosen = [chance.choice(names.FIRST_AVATAR).format(name=owner["first_name"])]
    chosen += chance.sample(names.FURTHER_AVATARS, count - 1)
    rows = []
    for number, name in enumerate(chosen):
        first_day = owner["created_at"] + timedelta(hours=2)
        created = chance.moment(owner["created_at"], first_day if number == 0 else EPOCH)
        shape = gender if number == 0 or chance.chance(0.7) else chance.choice(tuple(names.GRADES))
        id = chance.uuid7(created)
        rows.append(
            {
                "id": id,
                "user_id": owner["id"],
                "name": name,
                "gender": shape,
                "measurements": _measurements(chance, shape),
                "model_url": asset_url("models", "avatars", f"{id}.glb"),
                "thumbnail_url": asset_url("thumbnails", "avatars", f"{id}.webp"),
                "is_default": number == 0,
                "created_at": created,
                "updated_at": _edited(chance, created, 0.3),
                "created_by": owner["id"],
                "updated_by": owner["id"],
            }
        )
    return rows


def _measurements(chance: Chance, gender: str) -> dict[str, float]:
    """In cm and kg. The girths follow the weight, the weight follows the height; some people leave parts out."""
    height_grade, index_grade, chest, waist, hips, shoulders = names.GRADES[gender]
    height = chance.normal(*height_grade)
    weight = chance.normal(*index_grade) * height * height / 10_000
    measured = {
        "height": height,
        "weight": weight,
        "chest": chance.normal(chest[0] + chest[1] * weight, 2.0),
        "waist": chance.normal(waist[0] + waist[1] * weight, 2.4),
        "hips": chance.normal(hips[0] + hips[1] * weight, 2.0),
        "shoulderWidth": chance.normal(shoulders * height, 1.1),
    }
    left_out: tuple[str, ...] = ()
    if chance.chance(0.12):
        left_out = chance.choice((("shoulderWidth",), ("hips", "shoulderWidth"), ("weight",), tuple(measured)))
    return {name: round(value, 1) for name, value in measured.items() if name not in left_out}


def _registered(chance: Chance, role: str, *, early: bool) -> datetime:
    if role == "admin":
        return START + timedelta(milliseconds=chance.randrange(3_600_000))
    if role == "brand" or early:
        return chance.moment(START + timedelta(days=1), _OPENED)
    # the later of two days: the service grows
    return max(chance.moment(_OPENED, EPOCH - timedelta(days=5)) for _ in range(2))


def _edited(chance: Chance, created: datetime, probability: float) -> datetime:
    return chance.moment(created, EPOCH) if chance.chance(probability) else created


def _ascii(name: str) -> str:
    """The name as it is written in an address: `Zielińska` is `zielinska`."""
    decomposed = unicodedata.normalize("NFKD", name.lower().translate(_UNDECOMPOSED))
    return "".join(letter for letter in decomposed if letter.isascii())
