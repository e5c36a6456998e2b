"""The outlines of garments and of the figure that wears them, in a box of 400 by 500."""

from __future__ import annotations

from typing import Final, NamedTuple

WIDTH: Final = 400
HEIGHT: Final = 500


class Garment(NamedTuple):
    """`outline` is filled, `lines` are drawn over it. `size` is its width, as a part of the figure's canvas."""

    outline: str
    lines: str
    size: float


_TOP: Final = Garment(
    "M140 70 85 100 30 240 88 264 115 205V420H285V205L312 264 370 240 315 100 260 70Q200 125 140 70Z",
    "M115 205 120 150M285 205 280 150",
    0.50,
)
_TROUSERS: Final = Garment("M125 40H275L308 465H222L200 180 178 465H92Z", "M125 70H275M200 70V180", 0.44)
_SKIRT: Final = Garment("M140 70H260L335 420Q200 450 65 420Z", "M140 100H260M180 100 150 432M220 100 250 432", 0.48)
_DRESS: Final = Garment(
    "M150 30Q200 95 250 30L278 40 262 165 252 205 335 465Q200 495 65 465L148 205 138 165 122 40Z",
    "M148 205Q200 220 252 205M180 212 160 470M220 212 240 470",
    0.56,
)
_COAT: Final = Garment(
    "M150 40 92 68 38 310 92 324 114 215 100 470H300L286 215 308 324 362 310 308 68 250 40 200 95Z",
    "M200 95V470M150 40 175 150 200 95 225 150 250 40M130 340H175M225 340H270",
    0.58,
)
_BAG: Final = Garment("M80 210H320L350 430H50Z", "M135 210Q135 90 200 90T265 210M80 270H320", 0.24)
_HAT: Final = Garment(
    "M118 270Q128 130 200 130T282 270Q362 280 375 322 200 366 25 322 38 280 118 270Z", "M118 250Q200 285 282 250", 0.26
)
_SCARF: Final = Garment(
    "M145 50Q200 105 255 50L275 95Q240 150 252 450H188Q185 180 125 95Z", "M196 420V450M212 420V450M228 420V450", 0.22
)
_BELT: Final = Garment("M20 215Q200 255 380 215V265Q200 305 20 265Z", "M175 232H225V288H175Z", 0.34)
_SUIT: Final = Garment(
    "M148 30Q200 90 252 30L280 42 288 190 266 225 305 470H224L200 290 176 470H95L134 225 112 190 120 42Z",
    "M134 225H266M200 85V225",
    0.54,
)

_WORDS: Final = (
    (_BAG, ("bag", "clutch", "satchel", "tote")),
    (_HAT, ("hat", "cap", "beret", "cloche", "panama")),
    (_BELT, ("belt", "obi")),
    (_SCARF, ("scarf", "shawl", "pashmina", "bandana", "snood")),
    (_SKIRT, ("skirt", "kilt")),
)
_CATEGORIES: Final = {
    "TOP": _TOP,
    "BOTTOM": _TROUSERS,
    "DRESS": _DRESS,
    "OUTERWEAR": _COAT,
    "ACCESSORY": _SCARF,
    "OTHER": _SUIT,
}

FIGURE: Final = (
    "M200 8a27 33 0 1 1 0 66 27 33 0 1 1 0-66ZM186 70H214V86L262 98Q280 104 284 126L300 262 286 264 262 150 250 210"
    "Q268 250 262 300L244 492H216L202 300H198L184 492H156L138 300Q132 250 150 210L138 150 114 264 100 262 116 126"
    "Q120 104 138 98L186 86Z"
)
"""The outline of a standing person."""


def garment(name: str, category: str | None) -> Garment:
    """The garment for a silhouette, by the end of its name, else by its category."""
    last = name.lower().rpartition(" ")[2]
    if category in ("ACCESSORY", "BOTTOM"):
        for found, words in _WORDS:
            if last in words:
                return found
    return _CATEGORIES.get(category or "", _SUIT)
