"""The table of colours: names as shops write them, by family, with what screens show for them.

To add a colour, write it under its family here: nothing else knows any names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from api.colours.distance import Lab, between, lab_of
from api.folding import folded

FAMILIES: Final[Mapping[str, Mapping[str, str]]] = {
    "red": {
        "red": "#d01c1f", "brick": "#a8402f", "burgundy": "#6d0f23", "cardinal": "#a31621", "cherry": "#b11030",
        "claret": "#7f1734", "cranberry": "#9f1b3b", "crimson": "#b3122c", "garnet": "#7a1f2b", "maroon": "#6f1a26",
        "oxblood": "#4f1016", "poppy": "#e0352b", "raspberry": "#b82553", "ruby": "#9b1136", "scarlet": "#c6211f",
        "tomato": "#dd4a34", "vermilion": "#d9381e", "wine": "#722f37",
    },
    "orange": {
        "orange": "#f07c1e", "amber": "#f2a029", "apricot": "#fbceb1", "burnt orange": "#bf5700", "coral": "#ff6f59",
        "melon": "#f7a58b", "papaya": "#f58b52", "peach": "#f9c7a5", "pumpkin": "#d9691a", "rust": "#a5421d",
        "salmon": "#f08a77", "tangerine": "#f28500", "terracotta": "#c4633f",
    },
    "yellow": {
        "yellow": "#f5d327", "butter": "#f6e9a8", "canary": "#f7e35b", "gold": "#cfa23a", "honey": "#d99a2b",
        "lemon": "#f4e04d", "mustard": "#d2a017", "ochre": "#c57f22", "primrose": "#efe5a0", "saffron": "#f0b323",
        "straw": "#e2cf85", "sunflower": "#f5c124",
    },
    "green": {
        "green": "#2e8b47", "apple green": "#8cb63c", "bottle green": "#0b4a3a", "celadon": "#ace1af",
        "chartreuse": "#c4d82e", "emerald": "#1f8a5b", "fern": "#5d8a4a", "forest green": "#22512c",
        "hunter green": "#2b5138", "jade": "#2a9d74", "khaki": "#a59a6b", "lime": "#a4cf3a", "mint": "#a8dcc0",
        "moss": "#6f7b3c", "olive": "#6a6a2d", "pine": "#23493d", "pistachio": "#b7cf8b", "sage": "#9caf88",
        "seafoam": "#9fd8bd",
    },
    "blue": {
        "blue": "#2456b0", "aqua": "#5cc5d1", "azure": "#3b8ede", "baby blue": "#aecdea", "cerulean": "#2a7fb8",
        "cobalt": "#0047ab", "cornflower": "#6f8fdb", "cyan": "#17b3cf", "denim": "#3b5b85", "duck egg": "#c0dcd8",
        "ice blue": "#d3e6ef", "indigo": "#2f3f73", "light blue": "#a9c9e6", "midnight blue": "#191f45",
        "navy": "#1b2a49", "peacock": "#12637a", "petrol": "#0f4c5c", "royal blue": "#2b4fb3", "sapphire": "#1d4b94",
        "sky blue": "#8dc2ea", "steel blue": "#4b7aa6", "teal": "#12807c", "turquoise": "#30b7b0",
    },
    "purple": {
        "purple": "#6f3a96", "amethyst": "#9966cc", "aubergine": "#472c4c", "eggplant": "#4a2a45",
        "lavender": "#b9a7d6", "lilac": "#c8a2c8", "mauve": "#a98aa6", "mulberry": "#78295a", "orchid": "#b768b8",
        "plum": "#6b2d5c", "violet": "#7445a8", "wisteria": "#9f90c8",
    },
    "pink": {
        "pink": "#f0a1b8", "blush": "#ecc5c0", "bubblegum": "#f58ab5", "dusty pink": "#cfa09c", "fuchsia": "#c7257f",
        "hot pink": "#ee3f8e", "magenta": "#c3207a", "powder pink": "#ecc7cb", "rose": "#d8617c", "shell": "#f3d5cb",
    },
    "brown": {
        "brown": "#6f4a2f", "bronze": "#8a622f", "camel": "#c19a6b", "caramel": "#a9662f", "chestnut": "#6c3522",
        "chocolate": "#4e2f1f", "cinnamon": "#99582f", "coffee": "#5a4030", "cognac": "#954a28", "copper": "#b06a41",
        "hazel": "#8c6a44", "mahogany": "#57261f", "mocha": "#7a5d49", "sienna": "#96502c", "tan": "#c8a27a",
        "taupe": "#857669", "tobacco": "#7c5630", "umber": "#5e4630", "walnut": "#5c4433",
    },
    "beige": {
        "beige": "#dcc9a6", "biscuit": "#d9b68c", "champagne": "#f2dfc0", "ecru": "#dfd2b4", "nude": "#e1bfa3",
        "oatmeal": "#d8cbb6", "sand": "#d6bd94", "stone": "#c2b8a3",
    },
    "white": {
        "white": "#fbfbfa", "alabaster": "#f2f0e6", "chalk": "#f3f2ec", "cream": "#f6eed3", "eggshell": "#f0ead6",
        "ivory": "#f8f4e3", "off-white": "#f4f1e8", "pearl": "#ece8df", "snow": "#fafcfd",
    },
    "grey": {
        "grey": "#8b8d8e", "anthracite": "#34383c", "ash": "#b2b3ae", "charcoal": "#36454f", "dove grey": "#a9a8a5",
        "graphite": "#4a4d50", "gunmetal": "#3f464c", "pearl grey": "#cfd0cb", "silver": "#bfc2c5",
        "slate": "#5f6f7a", "smoke": "#9c9fa0", "steel": "#70797f",
    },
    "black": {"black": "#101010", "ebony": "#1d1a18", "jet": "#0b0b0d", "onyx": "#17171b"},
}  # fmt: skip
"""The colours of each family: the family's own name first, then the others in the order of the alphabet."""

LONGEST: Final = 255
"""Characters of a colour's name; a longer one is none."""
_HEX: Final = re.compile(r"#(?:[0-9a-f]{3}){1,2}")
_SPELLINGS: Final = {"gray": "grey"}
_REMEMBERED: Final = 4096
"""Texts whose colours are kept: the same few are asked for again and again."""


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour: `hex` is `#rrggbb`. One that is only given by its number is called by it."""

    name: str
    hex: str
    family: str
    lab: Lab


COLOURS: Final[Mapping[str, Colour]] = {
    name: Colour(name, number, family, lab_of(number))
    for family, names in FAMILIES.items()
    for name, number in names.items()
}
"""Every colour of the table, by its name."""


def colour_of(text: object) -> Colour | None:
    """The colour that a text names, whatever its case, or writes as `#rgb` or `#rrggbb`; None where it is none.

    Words before a name that the table has are left aside: `soft navy` is navy.
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    return _of(folded(text.strip()))


def names_of(family: str) -> tuple[str, ...]:
    """The names of a family's colours, its own first; none where there is no such family."""
    return tuple(FAMILIES.get(family, ()))


def look_alikes(colour: Colour, within: float) -> tuple[str, ...]:
    """The names of the table's colours that look no further than `within` from this one, the nearest first."""
    found = sorted((between(colour.lab, other.lab), other.name) for other in COLOURS.values())
    return tuple(name for distance, name in found if distance <= within)


@lru_cache(maxsize=_REMEMBERED)
def _of(text: str) -> Colour | None:
    """The colour of a folded text without blanks around it."""
    if _HEX.fullmatch(text):
        number = text if len(text) == 7 else "#" + "".join(digit * 2 for digit in text[1:])
        lab = lab_of(number)
        nearest = min(COLOURS.values(), key=lambda colour: (between(colour.lab, lab), colour.name))
        return Colour(number, number, nearest.family, lab)
    words = [_SPELLINGS.get(word, word) for word in text.split()]
    for start in range(len(words)):
        if (known := COLOURS.get(" ".join(words[start:]))) is not None:
            return known
    return None
