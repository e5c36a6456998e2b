"""SVG as text. Stored values only get in by these functions: as numbers, colours, or escaped text."""

from __future__ import annotations

import colorsys
import math
import re
import zlib
from typing import Any, Final
from xml.sax.saxutils import escape

from api.colours.table import colour_of

UNCOLOURED: Final = "#b9b2a6"
"""The colour of things that have none."""
MOST_TEXT: Final = 200

_NOT_XML: Final = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that an XML document can't have, escaped or not."""


def number(value: float) -> str:
    """The number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def bounded(value: Any, low: float, high: float, default: float) -> float:
    """The number, limited to its bounds; the default for other values."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return default
    return min(max(float(value), low), high)


def text(value: str) -> str:
    """The first characters of a text, as the content of an element."""
    return escape(_NOT_XML.sub("", value[:MOST_TEXT]))


def colour(name: str | None) -> str:
    """`#rrggbb` for a colour's name or number. Every unknown name gets its own colour."""
    if not name or not name.strip():
        return UNCOLOURED
    if (known := colour_of(name)) is not None:
        return known.hex
    key = name.strip().lower()
    hue = zlib.crc32(key.encode("utf-8", "replace")) % 360
    return _hex(colorsys.hls_to_rgb(hue / 360, 0.55, 0.45))


def shade(of: str, by: float) -> str:
    """The colour `#rrggbb` made darker (below zero) or lighter, -1 being black and 1 white."""
    target = 1.0 if by > 0 else 0.0
    return _hex(tuple(part + (target - part) * abs(by) for part in _parts(of)))


def against(of: str, by: float = 0.5) -> str:
    """A shade that stands out from the colour: darker than a light one, lighter than a dark one."""
    red, green, blue = _parts(of)
    return shade(of, -by if 0.3 * red + 0.59 * green + 0.11 * blue > 0.45 else by)


def document(width: float, height: float, title: str, content: str) -> str:
    """A whole picture."""
    w, h = number(width), number(height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img">'
        f"<title>{text(title)}</title>{content}</svg>"
    )


class Tiles:
    """The `pattern` elements of a picture, each once."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def fill(self, size: float, content: str, turned: float = 0, stretched: float = 1) -> str:
        """The value of `fill` that repeats the content, a square of this size."""
        transform = f"rotate({number(turned)}) scale({number(stretched)})"
        body = (
            f'width="{number(size)}" height="{number(size)}" patternUnits="userSpaceOnUse" '
            f'patternTransform="{transform}">{content}</pattern>'
        )
        return f"url(#{self._ids.setdefault(body, f't{len(self._ids)}')})"

    def definitions(self) -> str:
        """What the document must have for the fills to work."""
        tiles = "".join(f'<pattern id="{id}" {body}' for body, id in self._ids.items())
        return f"<defs>{tiles}</defs>" if tiles else ""


def _parts(of: str) -> tuple[float, float, float]:
    return int(of[1:3], 16) / 255, int(of[3:5], 16) / 255, int(of[5:7], 16) / 255


def _hex(parts: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)
