"""How far apart two colours look: CIEDE2000, in CIELAB.

The names are those of Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference Formula: Implementation Notes,
Supplementary Test Data, and Mathematical Observations" (2005), whose test pairs the tests go through. About 1 is the
least that an eye can tell apart, and black is 100 from white.
"""

from __future__ import annotations

from math import atan2, cos, degrees, exp, hypot, radians, sin, sqrt
from typing import Final

Lab = tuple[float, float, float]
"""Lightness from 0 to 100, green to red, blue to yellow."""

_WHITE: Final = (0.95047, 1.0, 1.08883)
"""Daylight (D65), the white of screens, in XYZ."""
_25_TO_THE_7: Final = 25.0**7


def lab_of(number: str) -> Lab:
    """The colour `#rrggbb` of a screen (sRGB) in CIELAB."""
    red, green, blue = (_linear(int(number[start : start + 2], 16) / 255) for start in (1, 3, 5))
    x, y, z = (
        _cube_root(part / white)
        for part, white in zip(
            (
                0.4124564 * red + 0.3575761 * green + 0.1804375 * blue,
                0.2126729 * red + 0.7151522 * green + 0.0721750 * blue,
                0.0193339 * red + 0.1191920 * green + 0.9503041 * blue,
            ),
            _WHITE,
            strict=True,
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _linear(part: float) -> float:
    """The light of a screen's part, without its gamma."""
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def _cube_root(part: float) -> float:
    """The cube root; a straight line near black, as CIELAB has it."""
    return float(part ** (1 / 3)) if part > 216 / 24389 else (24389 / 27 * part + 16) / 116


def between(first: Lab, second: Lab) -> float:
    """The CIEDE2000 difference of two colours."""
    l1, a1, b1 = first
    l2, a2, b2 = second

    # chroma and hue, with greys pulled apart along a
    mean_c = (hypot(a1, b1) + hypot(a2, b2)) / 2
    g = (1 - sqrt(mean_c**7 / (mean_c**7 + _25_TO_THE_7))) / 2
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = hypot(a1, b1), hypot(a2, b2)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)

    # the differences in lightness, chroma and hue; of a grey, hue says nothing
    delta_l, delta_c, turn = l2 - l1, c2 - c1, h2 - h1
    grey = c1 * c2 == 0
    if grey:
        turn = 0.0
    elif turn > 180:
        turn -= 360
    elif turn < -180:
        turn += 360
    delta_h = 2 * sqrt(c1 * c2) * sin(radians(turn) / 2)

    # their weights, at the mean of the two colours
    mean_l, mean_c, mean_h = (l1 + l2) / 2, (c1 + c2) / 2, h1 + h2
    if not grey:
        if abs(h1 - h2) > 180:
            mean_h += 360 if mean_h < 360 else -360
        mean_h /= 2
    t = (
        1
        - 0.17 * cos(radians(mean_h - 30))
        + 0.24 * cos(radians(2 * mean_h))
        + 0.32 * cos(radians(3 * mean_h + 6))
        - 0.20 * cos(radians(4 * mean_h - 63))
    )
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / sqrt(20 + (mean_l - 50) ** 2)
    s_c = 1 + 0.045 * mean_c
    s_h = 1 + 0.015 * mean_c * t
    theta = 30 * exp(-(((mean_h - 275) / 25) ** 2))
    r_t = -2 * sqrt(mean_c**7 / (mean_c**7 + _25_TO_THE_7)) * sin(radians(2 * theta))

    lightness, chroma, hue = delta_l / s_l, delta_c / s_c, delta_h / s_h
    return sqrt(lightness**2 + chroma**2 + hue**2 + r_t * chroma * hue)


def _hue(a: float, b: float) -> float:
    """The angle of a hue, from 0 to 360 degrees; 0 of a grey."""
    return degrees(atan2(b, a)) % 360 if a or b else 0.0
