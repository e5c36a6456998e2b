"""How many edits lead from one word to another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.search.corrections import Closeness, closeness, distance


@pytest.mark.parametrize(
    ("word", "other", "edits"),
    [
        ("silk", "silk", 0),
        ("slik", "silk", 1),
        ("sil", "silk", 1),
        ("sillk", "silk", 1),
        ("sulk", "silk", 1),
        ("hounstooth", "houndstooth", 1),
        ("windowpnea", "windowpane", 2),
        ("", "silk", 4),
        ("ca", "abc", 3),
        ("silk", "wool", 4),
    ],
)
def test_hand_worked(word: str, other: str, edits: int) -> None:
    assert distance(word, other) == distance(other, word) == edits


@pytest.mark.parametrize(
    ("word", "other", "found"),
    [
        ("silkk", "silk", Closeness(1, False, 1)),
        ("silt", "silk", Closeness(1, False, 2)),
        ("milk", "silk", Closeness(1, True, 2)),
        # a letter that has moved
        ("fuschia", "fuchsia", Closeness(1, False, 0)),
        ("uchsfia", "fuchsia", Closeness(2, True, 0)),
        # doubled letters
        ("collum", "column", Closeness(1, False, 2)),
        ("cigarret", "cigarette", Closeness(1, False, 3)),
        ("buton", "button", Closeness(1, False, 1)),
        ("buutonn", "button", Closeness(1, False, 3)),
        ("butttton", "button", Closeness(1, False, 2)),
    ],
)
def test_how_close(word: str, other: str, found: Closeness) -> None:
    assert closeness(word, other) == found


WORDS = st.text("abc", max_size=6)


@given(WORDS, WORDS, WORDS)
def test_is_a_distance(one: str, two: str, three: str) -> None:
    assert (distance(one, two) == 0) == (one == two)
    assert distance(one, two) == distance(two, one)
    assert abs(len(one) - len(two)) <= distance(one, two) <= max(len(one), len(two))


@given(WORDS, st.integers(0, 5), st.sampled_from("abc"))
def test_one_edit_is_one(word: str, place: int, letter: str) -> None:
    place = min(place, len(word))
    assert distance(word, word[:place] + letter + word[place:]) == 1
    if word:
        assert distance(word, word[: place % len(word)] + word[place % len(word) + 1 :]) == 1
