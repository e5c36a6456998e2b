"""Demo catalog items, as rows of `catalog.catalog_items`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from api.demo import silhouettes, textiles
from api.demo.seeded_random import EPOCH, START, Chance, asset_url, picture_url
from api.demo.users import Row

SILHOUETTES: Final = 500
FABRICS: Final = 600
PATTERNS: Final = 400
ITEMS: Final = SILHOUETTES + FABRICS + PATTERNS

OPENED: Final = START + timedelta(days=120)
"""When the catalog's first part is there and people begin to design."""

_FILES: Final = {"silhouette": "glb", "fabric": "ktx2", "pattern": "svg"}
_FIRST_PART: Final = 0.4


def items(block: int, accounts: list[Row]) -> list[Row]:
    """1,500 items made by the brands among the accounts, oldest first."""
    chance = Chance("items", block)
    brands = [account for account in accounts if account["role"] == "brand"]
    described = [*_silhouettes(chance), *_fabrics(chance), *_patterns(chance)]
    rows = [_row(chance, chance.choice(brands), fields) for fields in described]
    return sorted(rows, key=lambda row: (row["created_at"], row["id"]))


def _row(chance: Chance, brand: Row, fields: dict[str, Any]) -> Row:
    """`fields` are those that say what the item is; its price is the ordinary one, in cents."""
    created = chance.moment(brand["created_at"], OPENED if chance.chance(_FIRST_PART) else EPOCH)
    id = chance.uuid7(created)
    is_premium = chance.chance(0.18)
    cents = fields["price"]
    if is_premium:
        cents = cents * 8 // 5
    elif fields["type"] == "pattern" and chance.chance(0.12):
        cents = 0
    kind = f"{fields['type']}s"
    return {
        "id": id,
        **fields,
        "price": _price(cents),
        "asset_url": asset_url(kind, f"{id}.{_FILES[fields['type']]}"),
        "thumbnail_url": picture_url("catalog-items", id),
        "is_premium": is_premium,
        "is_active": not chance.chance(0.03),
        "created_at": created,
        "updated_at": _edited(chance, created),
        "created_by": brand["id"],
        "updated_by": brand["id"],
    }


def _silhouettes(chance: Chance) -> list[dict[str, Any]]:
    fields = []
    for family, cut, garment in chance.sample(silhouettes.SILHOUETTES, SILHOUETTES):
        low, high = family.cents
        tags = [family.category, *chance.sample(silhouettes.FIT_TAGS, chance.randint(1, 3))]
        sizes = silhouettes.sizes(cut, family.category)
        fields.append(
            {
                "name": f"{cut} {garment}",
                "description": f"{_article(cut)} {cut.lower()} {garment}. {chance.choice(silhouettes.FITS)} "
                f"{chance.choice(silhouettes.FINISHES)}",
                "type": "silhouette",
                "category": family.category,
                "properties": {"tags": tags} | ({"sizes": sizes} if sizes else {}),
                "price": chance.randint(low, high),
            }
        )
    return fields


def _fabrics(chance: Chance) -> list[dict[str, Any]]:
    fields = []
    for colour, cloth in chance.sample([(c, f) for c in textiles.COLOURS for f in textiles.FABRICS], FABRICS):
        grams = chance.randrange(cloth.grams[0], cloth.grams[1] + 1, 5)
        name = f"{_capital(colour)} {cloth.name}"
        made_of = "" if cloth.material in cloth.name else f" {_capital(cloth.material)}, {cloth.texture}."
        fields.append(
            {
                "name": name,
                "description": f"{_capital(cloth.name)} in {colour}: {cloth.hand}.{made_of} "
                f"Made for {cloth.use}. {grams} g/m², {chance.choice(textiles.WIDTHS)} cm wide.",
                "type": "fabric",
                "category": cloth.category,
                "properties": {
                    "color": colour,
                    "texture": cloth.texture,
                    "material": cloth.material,
                    "patternType": "solid",
                    "tags": [cloth.material, *chance.sample(textiles.CLOTH_TAGS, chance.randint(1, 3))],
                },
                "price": chance.randint(*cloth.cents),
            }
        )
    return fields


def _patterns(chance: Chance) -> list[dict[str, Any]]:
    fields = []
    for size, figure in _repeated(chance, PATTERNS):
        ground, second = chance.sample(textiles.COLOURS, 2)
        repeat = chance.randrange(2, 12) * (textiles.SIZES.index(size) + 1)
        fields.append(
            {
                "name": f"{size} {figure.name} in {ground} and {second}",
                "description": f"{figure.about}. {size} repeat of {repeat} cm in {ground} and {second}; "
                "tiles without a seam.",
                "type": "pattern",
                "category": figure.category,
                "properties": {
                    "color": ground,
                    "patternType": figure.name.lower(),
                    "tags": [figure.name.lower(), *chance.sample(textiles.PRINT_TAGS, chance.randint(1, 3))],
                },
                "price": chance.randint(*figure.cents),
            }
        )
    return fields


def _repeated(chance: Chance, count: int) -> list[tuple[str, textiles.Pattern]]:
    """Sizes and patterns: each pair as often as any other, as far as `count` allows."""
    pairs = [(size, figure) for size in textiles.SIZES for figure in textiles.PATTERNS]
    rounds = [chance.sample(pairs, len(pairs)) for _ in range(0, count, len(pairs))]
    return [pair for one in rounds for pair in one][:count]


def _price(cents: int) -> int:
    """As shops write prices: ten cents below a whole or half amount; what is free stays so."""
    return max(cents // 50 * 50 - 10, 90) if cents else 0


def _edited(chance: Chance, created: datetime) -> datetime:
    return chance.moment(created, EPOCH) if chance.chance(0.4) else created


def _capital(text: str) -> str:
    """With a capital letter in front, the others as they are (`Harris tweed`)."""
    return text[:1].upper() + text[1:]


def _article(word: str) -> str:
    return "An" if word[0] in "AEIOU" else "A"
