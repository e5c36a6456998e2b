"""Demo designs, as documents of the collection `designs`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from api.colours.table import COLOURS
from api.demo import design_texts, names, textiles
from api.demo.catalog_items import OPENED
from api.demo.seeded_random import EPOCH, Chance, picture_url
from api.demo.users import Row
from documents.last_change import first_change

Document = dict[str, Any]

DESIGNS: Final = 1000
MOST_LAYERS: Final = 8

_OF_EACH_ACCOUNT: Final = 12
_STATUSES: Final = ("published", "draft", "published", "archived", "published")
"""The statuses of the designs of an account that has twelve; others draw from them."""
_FIGURES: Final = {figure.name.lower(): figure.name for figure in textiles.PATTERNS}
"""How patterns are written in a sentence (`toile de Jouy`)."""


class Shelf:
    """Items of one kind, oldest first, so that a design only shows items that existed when it was made."""

    def __init__(self, items: list[Row]) -> None:
        self._items = items
        self._times = [item["created_at"] for item in items]

    def take(self, chance: Chance, moment: datetime) -> Row:
        return chance.early(self._items, bisect_right(self._times, moment))


Shelves = dict[tuple[str, str], Shelf]
"""Items by their type and the garment's category that they suit."""


def designs(block: int, owners: list[Row], avatars: list[Row], items: list[Row]) -> list[Document]:
    """1,000 designs of 3 to 8 layers, with avatars of their owners; `items` as `items.items` made them."""
    chance = Chance("designs", block)
    shelves = {
        (kind, garment): Shelf([item for item in items if item["type"] == kind and item["category"] in suiting])
        for garment in design_texts.SLOTS
        for kind, suiting in (
            ("silhouette", (garment,)),
            ("fabric", (garment, None)),
            ("pattern", (garment, None)),
        )
    }
    wardrobes: dict[Any, list[Row]] = {owner["id"]: [] for owner in owners}
    for avatar in avatars:
        wardrobes[avatar["user_id"]].append(avatar)
    return [
        _design(chance, owner, wardrobes[owner["id"]], shelves, status)
        for owner, status in _commissions(chance, owners)
    ]


def _commissions(chance: Chance, owners: list[Row]) -> Iterator[tuple[Row, str]]:
    """The owner and the status of each design. The four accounts to sign in with have some of every status."""
    accounts, others = owners[: len(names.ACCOUNTS)], owners[len(names.ACCOUNTS) :]
    for account in accounts:
        for number in range(_OF_EACH_ACCOUNT):
            yield account, _STATUSES[number % len(_STATUSES)]
    # some design every week, some never come back
    weights = [chance.randint(0, 5) ** 2 for _ in others]
    for owner in chance.choices(others, weights, k=DESIGNS - len(accounts) * _OF_EACH_ACCOUNT):
        yield owner, chance.choice(_STATUSES)


def _design(chance: Chance, owner: Row, avatars: list[Row], shelves: Shelves, status: str) -> Document:
    # the default avatar is there two hours after its owner
    created = chance.moment(max(owner["created_at"] + timedelta(hours=2), OPENED), EPOCH)
    avatar = chance.choice([avatar for avatar in avatars if avatar["created_at"] <= created])
    version = chance.choice((1, 1, 2, 3, 5, 8))
    canvas = chance.choice(design_texts.CANVASES)
    outfit = _outfit(chance, shelves, created)
    layers = [_layer(chance, number, slot, item, canvas) for number, (slot, item) in enumerate(outfit)]
    id = chance.object_id(created)
    updated = created if version == 1 else chance.moment(created, EPOCH)
    return {
        "_id": id,
        "version": version,
        "createdAt": created,
        "updatedAt": updated,
        "change": first_change(version, updated, str(owner["id"]), None),
        **({"publishedAt": updated} if status == "published" else {}),
        "userId": str(owner["id"]),
        "status": status,
        "layers": layers,
        "avatarId": str(avatar["id"]),
        "catalogItemIds": list(dict.fromkeys(layer["itemId"] for layer in layers)),
        **_story(chance, id, [item for _, item in outfit], canvas, status),
    }


def _outfit(chance: Chance, shelves: Shelves, moment: datetime) -> list[tuple[str, Row]]:
    """Items from back to front, each with the garment that it lies on: cut, cloth and perhaps a pattern."""
    garments = list(chance.choice((("dress",), ("bottom", "top"), ("bottom", "top"), ("other",))))
    if chance.chance(0.45):
        garments.append("outerwear")
    if chance.chance(0.4):
        garments.append("accessory")
    outfit: list[tuple[str, Row]] = []
    cloth = None
    for number, garment in enumerate(garments):
        suits = cloth is not None and cloth["category"] in (garment, None)
        if cloth is None or not suits or chance.chance(0.6):  # else cut from the same cloth as the last
            cloth = shelves["fabric", garment].take(chance, moment)
        outfit += [(garment, shelves["silhouette", garment].take(chance, moment)), (garment, cloth)]
        if number == 0 or chance.chance(0.35):
            outfit.append((garment, shelves["pattern", garment].take(chance, moment)))
    return outfit[:MOST_LAYERS]


def _layer(chance: Chance, number: int, slot: str, item: Row, canvas: tuple[int, int]) -> Document:
    across, down = design_texts.SLOTS[slot]
    layer: Document = {
        "id": f"layer-{number + 1}",
        "type": item["type"],
        "itemId": str(item["id"]),
        "position": {
            "x": round(canvas[0] * across + chance.uniform(-24, 24), 1),
            "y": round(canvas[1] * down + chance.uniform(-24, 24), 1),
            "z": float(number),
        },
        "visible": not chance.chance(0.06),
    }
    if chance.chance(0.8):
        factor = round(chance.uniform(0.8, 1.25), 2)
        layer["scale"] = {"x": factor, "y": factor}
    if chance.chance(0.5):
        layer["rotation"] = float(chance.choice((0, 0, -3, 3, 45, 90) if item["type"] == "pattern" else (0, 0, -2, 2)))
    if item["type"] == "fabric":
        layer["color"] = COLOURS[item["properties"]["color"]].hex
    return layer


def _story(chance: Chance, id: object, outfit: list[Row], canvas: tuple[int, int], status: str) -> Document:
    """Name and metadata: what its maker would say of these items."""
    occasion, tags = chance.choice(tuple(design_texts.OCCASIONS.items()))
    silhouette = next(item for item in outfit if item["type"] == "silhouette")["name"]
    fabric = next(item for item in outfit if item["type"] == "fabric")
    pattern = next(item for item in outfit if item["type"] == "pattern")
    figure = _FIGURES[pattern["properties"]["patternType"]]
    colour = fabric["properties"]["color"]
    cloth = fabric["name"][len(colour) + 1 :]
    name = chance.choice(design_texts.NAMES).format(
        occasion=occasion,
        colour=colour,
        garment=silhouette[0].lower() + silhouette[1:],
        cloth=cloth,
        figure=figure,
        when=chance.choice(design_texts.SEASONS),
    )
    metadata: Document = {
        "tags": list(dict.fromkeys([*tags, *chance.sample(design_texts.STYLES, chance.randint(1, 3))])),
        "canvasSize": {"width": canvas[0], "height": canvas[1]},
    }
    if chance.chance(0.85):
        metadata["description"] = (
            f"{silhouette} in {colour} {cloth}, with {figure}. {chance.choice(design_texts.NOTES)}"
        )
    if status == "published" or chance.chance(0.5):
        metadata["thumbnailUrl"] = picture_url("designs", id)
    return {"name": name[0].upper() + name[1:], "metadata": metadata}
