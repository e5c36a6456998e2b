"""Colours: how far apart they look, and what the table knows."""

from __future__ import annotations

from typing import Final

import pytest

from api.colours.distance import Lab, between, lab_of
from api.colours.table import COLOURS, FAMILIES, colour_of, look_alikes, names_of
from api.demo import textiles

PAIRS: Final[list[tuple[Lab, Lab, float]]] = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
    ((50.0, 2.8361, -74.02), (50.0, 0.0, -82.7485), 3.4412),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, -1.1848, -84.8006), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, -0.9009, -85.5211), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.001), 7.1792),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0012), 7.2195),
    ((50.0, -0.001, 2.49), (50.0, 0.0009, -2.49), 4.8045),
    ((50.0, -0.001, 2.49), (50.0, 0.001, -2.49), 4.8045),
    ((50.0, -0.001, 2.49), (50.0, 0.0011, -2.49), 4.7461),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (61.0, -5.0, 29.0), 22.8977),
    ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.903),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((50.0, 2.5, 0.0), (50.0, 3.1736, 0.5854), 1.0),
    ((50.0, 2.5, 0.0), (50.0, 3.2972, 0.0), 1.0),
    ((50.0, 2.5, 0.0), (50.0, 1.8634, 0.5757), 1.0),
    ((50.0, 2.5, 0.0), (50.0, 3.2592, 0.335), 1.0),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.263),
    ((61.2901, 3.7196, -5.3901), (61.4292, 2.248, -4.962), 1.8731),
    ((35.0831, -44.1164, 3.7933), (35.0232, -40.0716, 1.5901), 1.8645),
    ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
    ((36.4612, 47.858, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.8027, -2.0831, 1.441), (91.1528, -1.6435, 0.0447), 1.4441),
    ((90.9257, -0.5406, -0.9208), (88.6381, -0.8985, -0.7239), 1.5381),
    ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
]
"""The test pairs of Sharma, Wu and Dalal, with their differences to four places."""


@pytest.mark.parametrize(("first", "second", "difference"), PAIRS)
def test_published_pairs_have_their_published_difference(first: Lab, second: Lab, difference: float) -> None:
    assert round(between(first, second), 4) == difference
    assert round(between(second, first), 4) == difference


def test_a_colour_of_a_screen_in_cielab() -> None:
    rounded = {number: tuple(round(part, 2) for part in lab_of(number)) for number in ("#ffffff", "#000000", "#ff0000")}

    # as Lindbloom's calculator has them
    assert rounded == {"#ffffff": (100.0, 0.0, -0.0), "#000000": (0.0, 0.0, 0.0), "#ff0000": (53.24, 80.09, 67.2)}
    assert [round(part, 2) for part in lab_of("#0a0a0a")] == [2.74, 0.0, -0.0]  # near black, where it is a line


def test_black_is_a_hundred_from_white() -> None:
    assert round(between(lab_of("#000000"), lab_of("#ffffff")), 4) == 100.0


def test_a_family_is_a_family() -> None:
    navy = colour_of("navy")

    assert navy is not None
    assert (navy.name, navy.hex, navy.family) == ("navy", "#1b2a49", "blue")
    assert names_of("blue")[0] == "blue"
    assert "navy" in names_of("blue")
    assert names_of("navy") == ()


def test_the_table_has_each_name_once_and_each_family_first() -> None:
    names = [name for family in FAMILIES.values() for name in family]

    assert len(names) == len(set(names)) == len(COLOURS)
    for family, colours in FAMILIES.items():
        first, *others = colours
        assert first == family
        assert others == sorted(others)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("navy", "navy"),
        ("  NAVY ", "navy"),
        ("soft navy", "navy"),
        ("light blue", "light blue"),
        ("very light blue", "light blue"),
        ("Dove Gray", "dove grey"),
        ("gray", "grey"),
        ("#1B2A49", "#1b2a49"),
        ("#fff", "#ffffff"),
        ("navy stripes", None),
        ("", None),
        ("#ffff", None),
        ("no colour at all", None),
        ("x" * 256 + " navy", None),
        (7, None),
        (None, None),
        (["navy"], None),
    ],
)
def test_texts_that_name_a_colour(text: object, name: str | None) -> None:
    found = colour_of(text)

    assert (None if found is None else found.name) == name


def test_a_number_belongs_to_the_family_of_the_nearest_name() -> None:
    families = {number: found.family for number in ("#1c2b4a", "#fefefe", "#050505") if (found := colour_of(number))}

    assert families == {"#1c2b4a": "blue", "#fefefe": "white", "#050505": "black"}


def test_look_alikes_are_the_nearest_first() -> None:
    navy = COLOURS["navy"]
    found = look_alikes(navy, within=12)

    assert found[0] == "navy"
    distances = [between(navy.lab, COLOURS[name].lab) for name in found]
    assert distances == sorted(distances)
    assert distances[-1] <= 12
    assert "yellow" not in found


def test_the_demo_data_use_colours_of_the_table() -> None:
    assert set(textiles.COLOURS) <= set(COLOURS)
