"""Drawing cloth: the weave of fabrics, and the figures of patterns."""

from __future__ import annotations

import re
from typing import Any, Final

from api.demo.textiles import SIZES
from api.http.pictures.svg import Tiles, against, colour

Drawn = dict[str, Any]
"""An item as api/http/pictures/catalog-item.graphql asks for it."""

_TWO_COLOURS: Final = re.compile(r" in (?P<ground>[^,]+?) and (?P<second>[^,]+)$")

_WEAVES: Final[dict[str, tuple[float, str]]] = {
    "lines": (10, '<path d="M-2 2 2-2M0 10 10 0M8 12 12 8" stroke="{c}" stroke-width="1.6"/>'),
    "ribs": (12, '<path d="M3 0V12M9 0V12" stroke="{c}" stroke-width="2.4"/>'),
    "grid": (14, '<path d="M0 3H14M3 0V14" stroke="{c}" stroke-width="2"/>'),
    "loops": (16, '<g fill="{c}"><circle cx="4" cy="4" r="2.4"/><circle cx="12" cy="11" r="2.8"/></g>'),
    "slubs": (22, '<path d="M1 5H9M12 12H20M5 18H10" stroke="{c}" stroke-width="1.6"/>'),
    "sheen": (60, '<path d="M0 60 60 0V24L24 60Z" fill="{c}" opacity=".45"/>'),
    "plain": (6, '<path d="M0 1H3M3 4H6" stroke="{c}" stroke-width="1"/>'),
}
"""The size of a tile, and its content."""
_TEXTURES: Final[dict[str, str]] = {
    **dict.fromkeys(("twill", "coarse", "hairy"), "lines"),
    **dict.fromkeys(("ribbed", "corded", "puckered", "crinkled"), "ribs"),
    **dict.fromkeys(("basketweave", "waffled", "gridded", "net", "openwork"), "grid"),
    **dict.fromkeys(("looped", "pebbled", "nubby", "napped", "felted", "raised"), "loops"),
    "slubbed": "slubs",
    **dict.fromkeys(("satin", "velvety", "waxed", "sheer", "stiff"), "sheen"),
}

_FIGURES: Final[dict[str, tuple[float, str]]] = {
    "stripes": (40, '<path d="M10 0V40" stroke="{c}" stroke-width="16"/>'),
    "pinstripes": (26, '<path d="M13 0V26" stroke="{c}" stroke-width="2.5"/>'),
    "diagonals": (40, '<path d="M-10 10 10-10M0 40 40 0M30 50 50 30" stroke="{c}" stroke-width="12"/>'),
    "checks": (48, '<g fill="{c}" opacity=".6"><path d="M0 0H24V48H0Z"/><path d="M0 0H48V24H0Z"/></g>'),
    "panes": (52, '<path d="M26 0V52M0 26H52" stroke="{c}" stroke-width="4"/>'),
    "plaid": (
        80,
        '<g fill="{c}" opacity=".55"><path d="M0 0H26V80H0Z"/><path d="M0 0H80V26H0Z"/></g>'
        '<path d="M53 0V80M0 53H80" stroke="{c}" stroke-width="3"/>',
    ),
    "dots": (36, '<g fill="{c}"><circle cx="9" cy="9" r="7"/><circle cx="27" cy="27" r="7"/></g>'),
    "specks": (18, '<circle cx="9" cy="9" r="2.4" fill="{c}"/>'),
    "zigzags": (40, '<path d="M0 30 20 10 40 30" fill="none" stroke="{c}" stroke-width="8"/>'),
    "diamonds": (
        60,
        '<path d="M30 4 56 30 30 56 4 30Z" fill="{c}"/>'
        '<path d="M0 0 60 60M60 0 0 60" stroke="{c}" stroke-width="1.5"/>',
    ),
    "flowers": (
        64,
        '<g fill="{c}"><circle cx="20" cy="11" r="7"/><circle cx="29" cy="18" r="7"/><circle cx="25" cy="29" r="7"/>'
        '<circle cx="15" cy="29" r="7"/><circle cx="11" cy="18" r="7"/></g>'
        '<path d="M20 30Q24 52 50 56Q44 40 28 42" fill="none" stroke="{c}" stroke-width="3"/>',
    ),
    "blots": (
        60,
        '<g fill="{c}"><path d="M8 10q10-9 20 0t-4 15-16-2z"/><path d="M38 32q12-6 16 5t-9 13-12-6z"/>'
        '<circle cx="47" cy="10" r="5"/><circle cx="13" cy="46" r="6"/></g>',
    ),
    "waves": (48, '<path d="M0 24Q12 0 24 24T48 24" fill="none" stroke="{c}" stroke-width="7"/>'),
    "rings": (90, '<g fill="none" stroke="{c}" stroke-width="7"><circle cx="45" cy="45" r="36"/>'
                  '<circle cx="45" cy="45" r="22"/><circle cx="45" cy="45" r="8"/></g>'),
    "stars": (56, '<path d="M28 6V50M6 28H50M13 13 43 43M43 13 13 43" stroke="{c}" stroke-width="5"/>'),
    "teeth": (40, '<path d="M0 0H20V20H40V40H30L20 30V40H10L20 30V20L10 10V20L0 10Z" fill="{c}"/>'),
    "bricks": (40, '<path d="M2 4H18V16H2ZM22 24H38V36H22Z" fill="{c}"/>'),
}  # fmt: skip
_KINDS: Final = (
    ("diagonals", ("regimental",)),
    ("pinstripes", ("pinstripe", "chalk", "breton")),
    ("stripes", ("stripe", "ombré")),
    ("plaid", ("plaid", "tartan", "madras", "glen")),
    ("panes", ("windowpane", "tattersall")),
    ("checks", ("check", "gingham")),
    ("specks", ("pin dot", "bandhani")),
    ("dots", ("dot",)),
    ("zigzags", ("chevron", "herringbone", "ikat", "kilim")),
    ("diamonds", ("argyle", "kente", "asanoha", "sashiko", "quatrefoil", "greek")),
    ("teeth", ("houndstooth",)),
    ("bricks", ("basket",)),
    ("stars", ("snowflake", "fair isle", "suzani")),
    ("rings", ("tie-dye", "shibori", "ogee")),
    ("waves", ("zebra", "moiré", "seigaiha")),
    ("blots", ("leopard", "terrazzo", "camouflage", "batik")),
    ("flowers", ("",)),
)
"""Figures, with the words in names of patterns that are drawn with them. The first match counts; the rest are
flowers."""


def weave(item: Drawn, tiles: Tiles, ground: str, turned: float = 0, stretched: float = 1) -> str:
    """The fill that is drawn over the colour of a fabric."""
    size, content = _WEAVES[_TEXTURES.get((item["properties"]["texture"] or "").lower(), "plain")]
    return tiles.fill(size, content.format(c=against(ground, 0.2)), turned, stretched)


def figure(item: Drawn, tiles: Tiles, second: str, turned: float = 0, stretched: float = 1) -> str:
    """The fill that is drawn over the ground of a pattern."""
    words = (item["properties"]["patternType"] or item["name"]).lower()
    kind = next(kind for kind, names in _KINDS if any(name in words for name in names))
    size, content = _FIGURES[kind]
    of_name = next((0.5 + 0.3 * place for place, name in enumerate(SIZES) if item["name"].startswith(name)), 1.1)
    return tiles.fill(size, content.format(c=second), turned, stretched * of_name)


def colours(item: Drawn, tint: str | None = None) -> tuple[str, str]:
    """The ground and the second colour, by names such as `in navy and coral`. A tint replaces the ground."""
    said = _TWO_COLOURS.search(item["name"])
    ground = colour(tint or item["properties"]["color"] or (said["ground"] if said else None))
    return ground, colour(said["second"]) if said else against(ground)
